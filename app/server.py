"""Serve the page, with a temporary folder for uploads, until Ctrl-C."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.address import LOOPBACK, Address, find_port
from app.answers.service import Service
from lxcompress.errors import ConfigError, LxcompressError
from lxcompress.system.interrupts import sigterm_interrupts
from lxcompress.system.proxies import proxy_advice, unusable_proxies
from lxcompress.vision.pixel import PixelDetector

if TYPE_CHECKING:
    import gradio as gr

_LAUNCH_ATTEMPTS = 5  # each on another port, when other processes take them at the same moment


@dataclass(frozen=True)
class ServedPage:
    """A running page: its address on this machine, and its public one if it is shared."""

    address: str
    public_address: str | None


@contextmanager
def serve_page(
    service: Service,
    port: int | None = None,
    address: Address | None = None,
    *,
    share: bool = False,
) -> Iterator[ServedPage]:
    """Serve the page while the block runs; delete the uploads at its end.

    Without an `address` only this machine can connect.

    Raises:
        ConfigError: the port or the address cannot be used.
        LxcompressError: `share` was requested and Gradio could not create a public address.
    """
    address = address or Address()
    advice = proxy_advice() if share else None
    if advice is not None:
        raise ConfigError(f"--share: {advice}")
    with tempfile.TemporaryDirectory(prefix="lxcompress-demo-") as name:
        folder = Path(name).resolve()
        uploads, examples = folder / "uploads", folder / "examples"
        uploads.mkdir()
        examples.mkdir()
        with _gradio_environment(uploads, address):
            page, used = _launch_on(port, address, service, uploads, examples, share)
            try:
                if share and not page.share_url:
                    raise LxcompressError(
                        "--share: no public address; Gradio's servers assign it, and could not be "
                        "reached. Leave out --share to use the page on this machine"
                    )
                yield ServedPage(address.local_url(used), page.share_url)
            finally:
                service.close()
                page.close(verbose=False)


def _launch_on(
    port: int | None,
    address: Address,
    service: Service,
    uploads: Path,
    examples: Path,
    share: bool,
) -> tuple[gr.Blocks, int]:
    """Launch on `port`; for None, on the first port that is still free when the page is built.

    Returns the page and its port.
    """
    for _ in range(_LAUNCH_ATTEMPTS):
        free = find_port(port, address.host)
        try:
            return _launch(address, service, uploads, examples, free, share), free
        except OSError:  # another process took the port in the meantime
            if port is not None:
                break
    raise ConfigError(f"--port {free} is in use on {address.host}; choose another")


def _launch(
    address: Address, service: Service, uploads: Path, examples: Path, port: int, share: bool
) -> gr.Blocks:
    from starlette.middleware import Middleware

    from app.page.examples import make_examples
    from app.page.layout import build_page
    from app.page.style import CSS, SCRIPT, theme
    from app.page.upload_guard import UploadGuard

    # Of a detector that finds flat shapes; there are no photographs to show.
    shown = make_examples(examples) if service.regions.detector.name == PixelDetector.name else []
    page = build_page(service, shown, uploads, address.client_url(port))
    page.launch(
        server_name=address.server_name,
        server_port=port,
        root_path=address.root_path,
        share=share,
        inline=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=False,
        allowed_paths=[str(examples)],
        app_kwargs={"middleware": [Middleware(UploadGuard)]},
        state_session_capacity=500,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        theme=theme(),
        css=CSS,
        head=f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>",
    )
    return page


def wait_for_interrupt() -> None:
    """Return at Ctrl-C or SIGTERM; after both, `serve_page` deletes the uploads."""
    with suppress(KeyboardInterrupt), sigterm_interrupts():
        while True:
            time.sleep(3600)


@contextmanager
def _gradio_environment(uploads: Path, address: Address) -> Iterator[None]:
    """Set the options that Gradio only reads from environment variables, also while it serves."""
    own = ",".join(dict.fromkeys([LOOPBACK, "localhost", address.host]))
    settings: dict[str, str | None] = {
        "GRADIO_ANALYTICS_ENABLED": "False",
        # The default is a folder shared by all Gradio apps of a machine, served to anyone.
        "GRADIO_TEMP_DIR": str(uploads),
        "GRADIO_EXAMPLES_CACHE": str(uploads.parent / "cached"),
        # Gradio sends a request to its own address at the start, which must not go to a proxy.
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), own])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), own])),
        # With one that it cannot use, Gradio cannot even be imported.
        **dict.fromkeys(unusable_proxies()),
    }
    before = {name: os.environ.get(name) for name in settings}
    _set_variables(settings)
    try:
        yield
    finally:
        _set_variables(before)


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
