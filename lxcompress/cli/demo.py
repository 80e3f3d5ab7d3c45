"""`lxcompress demo`: a web page that answers questions about pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

_RUNS = Path("runs")


def demo(
    run: Annotated[
        Path | None,
        typer.Argument(help="Run directory. [default: the most recently finished one in runs/]"),
    ] = None,
    variant: Annotated[
        str,
        typer.Option(help="ONNX file of the ticket: sparse-fp32, sparse-fp16 or sparse-int8."),
    ] = "sparse-int8",
    dense_variant: Annotated[
        str | None,
        typer.Option(
            help="ONNX file of the dense model: fp32, fp16 or int8. [default: fp32; for a "
            "structured ticket that of its precision, so that their speeds can be compared]"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="CPU threads of each model. [default: 1 for a small model, else all cores]"
        ),
    ] = None,
    detector_weights: Annotated[
        str | None,
        typer.Option(
            help="For a run with regions of the detector butd: folder or hub id of its weights. "
            "[default: the published weights]"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="[default: the first free port from 7860]"),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on: 0.0.0.0 or :: lets other machines connect, in a container "
            "for instance. There is no password."
        ),
    ] = "127.0.0.1",
    root_path: Annotated[
        str,
        typer.Option(
            help="Behind a reverse proxy: the path that it serves the page at, such as /vqa, or "
            "the whole public URL."
        ),
    ] = "",
    share: Annotated[
        bool,
        typer.Option("--share", help="Also serve at a public address, through Gradio's servers."),
    ] = False,
) -> None:
    """Ask questions about a picture: the ticket and the dense model answer side by side on a page.

    Only this machine can open the page, unless --host says otherwise. ONNX files that the run lacks
    are exported first; without a finished run, the default ticket is found first, in about two
    minutes.

    Example: lxcompress demo runs/shapes-low-50
    """
    from app.address import Address, find_port
    from app.answers.open_run import (
        ServedModels,
        export_files,
        find_missing_files,
        find_newest_run,
        open_service,
    )
    from app.server import serve_page, wait_for_interrupt
    from exporters.runtime.session import check_device

    # What can be checked at once is checked before minutes of work.
    served = ServedModels.parse(variant, dense_variant or "fp32", device, threads, detector_weights)
    check_device(device)
    address = Address.parse(host, root_path)
    find_port(port, address.host)
    folder = run or find_newest_run(_RUNS)
    if folder is None:
        folder = _find_default_ticket()
    if dense_variant is None:
        served = served.with_comparable_dense(folder)
    missing = find_missing_files(folder, served)
    if missing:
        names = ", ".join(variant.file for variant in missing)
        print(f"{folder} has no {names} yet; exporting first", flush=True)
        export_files(folder, missing)
    service = open_service(folder, served)
    with serve_page(service, port, address, share=share) as page:
        if address.warning:
            print(address.warning, file=sys.stderr, flush=True)
        print(f"{folder}, on {service.known.data}: {page.address}", flush=True)
        if page.public_address:
            print(f"public address: {page.public_address}", flush=True)
        print("stop with Ctrl-C", flush=True)
        wait_for_interrupt()
    print("\nstopped")


def _find_default_ticket() -> Path:
    from lxcompress.cli.prune import find_ticket, report
    from lxcompress.config import PruneConfig
    from lxcompress.run import Run
    from lxcompress.run_name import run_name

    config = PruneConfig.parse({})
    run = Run(_RUNS / run_name(config))
    print(
        f"no finished run in {_RUNS}/; finding the default ticket first, in {run.folder} "
        "(about two minutes on 2 cores)",
        flush=True,
    )
    report(run, find_ticket(run, config))
    return run.folder
