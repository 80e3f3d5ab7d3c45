"""Load time and memory of exported files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench.schema import Loading
from benchmarks.bench.systems import model_of
from benchmarks.measure import loading
from benchmarks.measure.loading import LOADERS, Loader
from benchmarks.report.records import Samples
from exporters.variants import VARIANTS, Variant
from lxcompress.system.progress import progress


def load_times(onnx: Path, variants: Sequence[str], device: str, loads: int) -> list[Loading]:
    """Load each file in `onnx` `loads` times with each loader that the device allows.

    Raises:
        ModelError: A process that loads a file fails.
    """
    cases = {
        (loader, onnx / variant.file): variant
        for variant in (VARIANTS[name] for name in variants)
        for loader in loaders(variant, device)
    }
    with progress("Loading in new processes", loads * len(cases), "loads") as meter:
        measured = loading.load_in_rounds(
            list(cases), device, loads, lambda path: meter.advance(note=path.name)
        )
    return [
        Loading(
            file=path.name,
            model=model_of(variant),
            precision=variant.precision,
            loader=loader,
            **{
                name: Samples.of(unit, [getattr(load, name) for load in measured[loader, path]])
                for name, unit in loading.UNITS.items()
            },
        )
        for (loader, path), variant in cases.items()
    ]


def loaders(variant: Variant, device: str) -> tuple[Loader, ...]:
    """The loaders of a variant's file on a device; stock ONNX Runtime has no int8 for CUDA."""
    if device == "cuda" and variant.precision == "int8":
        return ("runtime",)
    return LOADERS
