"""Where a model is: the embedded one, a folder or a hub id; and errors of loading as ModelError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import logging as transformers_logging

from lxcompress.config import EMBEDDED_MODEL
from lxcompress.errors import ModelError
from lxcompress.system.files import check_regular
from lxcompress.system.proxies import explain_proxy
from lxcompress.system.text import first_line

_ASSETS = Path(__file__).parents[1] / "assets"


def locate(source: str | Path) -> str | Path:
    """Return the folder of the embedded model for its name, and anything else unchanged.

    Raises:
        ModelError: there is no such folder, and the name is not a hub id (owner/name) either; or it
            holds a pipe, where loading would wait for ever.
    """
    if str(source) == EMBEDDED_MODEL:
        return _ASSETS / EMBEDDED_MODEL
    path = Path(source)
    can_be_hub_id = not path.is_absolute() and path.parts[:1] != ("..",) and len(path.parts) <= 2
    if not can_be_hub_id and not path.exists():
        raise ModelError(f"cannot load {source}: there is no such model folder")
    for file in [path, *(path.iterdir() if path.is_dir() else ())]:
        check_regular(file, ModelError)
    return source


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' reports on unused heads while the block runs; callers check weights."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def model_errors(source: str | Path) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as problem:  # the libraries below raise anything from OSError to KeyError
        first = explain_proxy(problem) or first_line(problem)
        raise ModelError(f"cannot load {source} as an LXMERT model: {first}") from problem
