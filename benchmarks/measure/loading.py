"""Time and memory of loading an exported file, each load in a new process.

    python -m benchmarks.measure.loading stock runs/shapes-low-50/onnx/model.onnx cpu

"stock" is ONNX Runtime alone, "runtime" decodes the weights before ONNX Runtime gets them
(`exporters.runtime.OnnxVqaModel`). The file is in the page cache before it is loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import psutil  # comes with accelerate

from benchmarks.measure.memory import peak_bytes
from lxcompress.errors import ModelError
from lxcompress.system.child_process import run_module

Loader = Literal["stock", "runtime"]
LOADERS: tuple[Loader, ...] = get_args(Loader)
Case = tuple[Loader, Path]
_MODULE = "benchmarks.measure.loading"  # in the child process __name__ is "__main__"


UNITS = {"seconds": "seconds", "peak_bytes": "bytes", "kept_bytes": "bytes"}  # of a Load


@dataclass(frozen=True)
class Load:
    """One load; bytes are above what the process had before it."""

    seconds: float
    peak_bytes: int
    kept_bytes: int


def load_in_rounds(
    cases: Sequence[Case],
    device: str,
    rounds: int,
    on_load: Callable[[Path], None] = lambda path: None,
) -> dict[Case, list[Load]]:
    """Load each file with its loader `rounds` times, one after the other in every round.

    `on_load` gets the path after each load.

    Raises:
        ModelError: A process fails.
    """
    loads: dict[Case, list[Load]] = {case: [] for case in cases}
    for _ in range(rounds):
        for loader, path in cases:
            loads[loader, path].append(load_in_child(loader, path, device))
            on_load(path)
    return loads


def load_in_child(loader: Loader, path: Path, device: str) -> Load:
    """Load once, in a new process.

    Raises:
        ModelError: The process fails.
    """
    try:
        child = run_module(_MODULE, loader, str(path), device, stdout=subprocess.PIPE)
    except subprocess.CalledProcessError as problem:
        raise ModelError(
            f"loading {path} ({loader}) in a new process failed with exit code "
            f"{problem.returncode}; is there enough memory?"
        ) from problem
    return Load(**json.loads(child.stdout))


def load(loader: Loader, path: Path, device: str) -> Load:
    """Load once, in this process."""
    from exporters.runtime import OnnxVqaModel
    from exporters.runtime.session import check_device, stock_session

    check_device(device)  # loads the device's libraries, which are not the file's
    _read(path)
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.perf_counter()
    kept = stock_session(path, device) if loader == "stock" else OnnxVqaModel(path, device)
    seconds = time.perf_counter() - began
    after = process.memory_info().rss
    del kept
    return Load(seconds, peak_bytes() - before, after - before)


def _read(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        with open(file, "rb") as data:
            while data.read(1 << 24):
                pass


def main() -> None:
    loader, path, device = sys.argv[1:]
    print(json.dumps(asdict(load(cast(Loader, loader), Path(path), device))))


if __name__ == "__main__":
    main()
