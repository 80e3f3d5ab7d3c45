"""Load time and peak memory of a run's files, each load in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.bench.sizes import model_of
from benchmarks.measure import loading
from exporters.variants import VARIANTS, Variant
from lxcompress.errors import ModelError
from lxcompress.run import Run
from lxcompress.system.progress import progress

_MEASURED = {"seconds": "seconds", "peak_bytes": "bytes", "kept_bytes": "bytes"}


def load_times(run: Run, variants: Sequence[str], device: str, loads: int) -> list[dict[str, Any]]:
    """The report's `loading` (`bench_schema.Loading`): `loads` of each, in turns.

    All files in stock ONNX Runtime and with our decoder in front of it. On CUDA int8 is a format
    that only our decoder turns into fp16. Raises ModelError when a process does not end well.
    """
    cases = [
        (loader, VARIANTS[name]) for name in variants for loader in loaders(VARIANTS[name], device)
    ]
    taken: defaultdict[tuple[str, Variant], dict[str, list[float]]]
    taken = defaultdict(lambda: {name: [] for name in _MEASURED})
    with progress("Loading in processes of their own", loads * len(cases), "loads") as meter:
        for loader, variant in cases * loads:
            path = run.onnx / variant.file
            try:
                (found,) = loading.compare([(loader, path)], device, 1).values()
            except subprocess.CalledProcessError as problem:
                raise ModelError(
                    f"loading {path} ({loader}) in a process of its own failed with exit code "
                    f"{problem.returncode}; is there memory enough?"
                ) from problem
            for name in _MEASURED:
                taken[loader, variant][name] += found[name]["samples"]
            meter.advance(note=path.name)
    return [
        {
            "file": variant.file,
            "model": model_of(variant),
            "precision": variant.precision,
            "loader": loader,
            **{
                name: {"unit": unit, "median": statistics.median(samples[name])}
                | {"samples": samples[name]}
                for name, unit in _MEASURED.items()
            },
        }
        for (loader, variant), samples in taken.items()
    ]


def loaders(variant: Variant, device: str) -> tuple[str, ...]:
    """The ways in which a file is loaded on a device."""
    if device == "cuda" and variant.precision == "int8":
        return ("runtime",)
    return loading.LOADERS
