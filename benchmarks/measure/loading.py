"""Time and memory of loading an exported file, each time in a process of its own.

    python -m benchmarks.measure.loading stock runs/shapes-low-50/onnx/model.onnx

"stock" is ONNX Runtime by itself, "runtime" our own decoder in front of it
(`exporters.runtime.vqa_model.OnnxVqaModel`). The file is in the system's cache before it is loaded.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil  # comes with accelerate

from benchmarks.measure.memory import peak_bytes
from lxcompress.system.child_process import run_module

LOADERS = ("stock", "runtime")
_MODULE = "benchmarks.measure.loading"  # in the child process __name__ is "__main__"


def compare(
    cases: Sequence[tuple[str, Path]], device: str, repeats: int
) -> dict[tuple[str, str], dict[str, Any]]:
    """For each loader and file, in turns: seconds, and bytes at the peak and afterwards."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(repeats):
        for loader, path in cases:
            child = run_module(_MODULE, loader, str(path), device, stdout=subprocess.PIPE)
            found.setdefault((loader, path.name), []).append(json.loads(child.stdout))
    return {case: _summary(measured) for case, measured in found.items()}


def _summary(measured: Sequence[dict[str, float]]) -> dict[str, Any]:
    units = {"seconds": "seconds", "peak_bytes": "bytes", "kept_bytes": "bytes"}
    return {
        name: {
            "unit": unit,
            "median": statistics.median(sample[name] for sample in measured),
            "samples": [sample[name] for sample in measured],
        }
        for name, unit in units.items()
    }


def load(loader: str, path: Path, device: str) -> dict[str, float]:
    """Load once, in this process: seconds, and bytes above what the process had before."""
    from exporters.runtime.vqa_model import OnnxVqaModel, check_device, stock_session

    check_device(device)  # loads the device's libraries, which are not the file's
    _read(path)
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.perf_counter()
    kept = stock_session(path, device) if loader == "stock" else OnnxVqaModel(path, device)
    seconds = time.perf_counter() - began
    after = process.memory_info().rss
    del kept
    return {
        "seconds": seconds,
        "peak_bytes": peak_bytes() - before,
        "kept_bytes": after - before,
    }


def _read(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        with open(file, "rb") as data:
            while data.read(1 << 24):
                pass


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
