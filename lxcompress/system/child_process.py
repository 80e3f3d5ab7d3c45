"""Python child processes that import what this process imports, whatever the current folder holds.

`python -m`, `python -c` and multiprocessing's "spawn" and "forkserver" search the current folder
first: a file benchmarks.py or json.py there would be imported in place of the installed package.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lxcompress

_VARIABLE = "PYTHONSAFEPATH"  # as the option -P, for all child processes (Python 3.11)


def run_module(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m MODULE ARGUMENTS` until it exits.

    `env` is added to the environment; `options` go to `subprocess.run`.

    Raises:
        subprocess.CalledProcessError: The exit code is not 0.
    """
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, **_python_path(), **(env or {})},
        check=True,
        **options,
    )


def _python_path() -> dict[str, str]:
    """PYTHONPATH for the child, if it would not find this package (a checkout, not installed)."""
    root = Path(lxcompress.__file__).resolve().parents[1]
    # Python searches site-packages last; on PYTHONPATH they would hide the standard library.
    installed = (*site.getsitepackages(), site.getusersitepackages())
    if root in (Path(folder).resolve() for folder in installed):
        return {}
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(root), others] if others else [str(root)])}


@contextmanager
def safe_path() -> Iterator[None]:
    """Let Python processes that start in the block not import from the current folder.

    multiprocessing hands its workers this process's `sys.path`, but they import a part of the
    standard library before they have it.
    """
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
