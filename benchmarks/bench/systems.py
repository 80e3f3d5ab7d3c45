"""What a report compares: models in runtimes, and which of them with which."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.bench.schema import Comparison, Isolates, Model, Precision, Report, System
from benchmarks.measure.latency import Forward, pytorch_forward
from exporters.runtime import OnnxVqaModel
from exporters.variants import VARIANTS, Variant
from lxcompress.model.lxmert import load_model
from lxcompress.run import Run
from lxcompress.system.progress import progress

EAGER, COMPILED, ONNX = "PyTorch eager", "PyTorch compiled", "ONNX Runtime"
# Whose answers the run has kept: the dense model, trained as long in all as the ticket.
DENSE_CONTROL = System.of(EAGER, "dense control", "fp32")
# The dense fp32 file in a second session: what differs between the two is noise.
CONTROL = System.of("ONNX Runtime (control)", "dense", "fp32")
_PYTORCH_PRECISIONS: dict[str, tuple[Precision, ...]] = {"cpu": ("fp32",), "cuda": ("fp32", "fp16")}
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


def model_of(variant: Variant) -> Model:
    """Whose weights the file of a variant holds."""
    return "ticket" if variant.sparse else "dense"


def onnx_system(variant: Variant) -> System:
    """The file of a variant in ONNX Runtime."""
    return System.of(ONNX, model_of(variant), variant.precision)


def model_folders(run: Run) -> dict[Model, Path]:
    """The Hugging Face folders of a run's two models."""
    return {"dense": run.dense, "ticket": run.ticket}


def open_systems(
    run: Run, variants: Sequence[str], device: str, threads: int, compiled: bool
) -> dict[System, Forward]:
    """Load every system that is timed; `compiled` adds PyTorch with torch.compile.

    Raises:
        ModelError, DeviceError: A model cannot be loaded.
    """

    def session(file: str) -> Forward:
        return OnnxVqaModel(run.onnx / file, device, threads=threads).logits

    systems: dict[System, Forward] = {}
    with progress("Loading the systems", len(variants) + 3, "models") as meter:
        for name, folder in model_folders(run).items():
            loaded = load_model(folder).eval()
            for precision in _PYTORCH_PRECISIONS[device]:
                model = copy.deepcopy(loaded).to(device, _DTYPES[precision])
                systems[System.of(EAGER, name, precision)] = pytorch_forward(model, device)
                if compiled:
                    fast = torch.compile(model, dynamic=True)
                    systems[System.of(COMPILED, name, precision)] = pytorch_forward(fast, device)
            meter.advance()
        for variant in (VARIANTS[name] for name in variants):
            systems[onnx_system(variant)] = session(variant.file)
            meter.advance()
        systems[CONTROL] = session(VARIANTS["fp32"].file)
        meter.advance()
    return systems


def pairs(systems: Collection[System]) -> Iterator[tuple[System, System, Isolates]]:
    """Yield pairs (of, against) of one runtime, and what the two differ in.

    A ticket is compared with the dense model of its precision ("pruning"), every other precision
    with dense fp32, and the control with the system that it repeats. The dense control differs from
    the dense model in the length of its training, and from the ticket in pruning.
    """
    for of in systems:
        if of == CONTROL:
            yield of, System.of(ONNX, of.model, of.precision), "control"
            continue
        if of == DENSE_CONTROL:
            yield of, System.of(EAGER, "dense", of.precision), "training"
            continue
        same_precision = System.of(of.runtime, "dense", of.precision)
        dense_fp32 = System.of(of.runtime, "dense", "fp32")
        if of.model == "ticket" and same_precision in systems:
            yield of, same_precision, "pruning"
        if of == System.of(EAGER, "ticket", "fp32") and DENSE_CONTROL in systems:
            yield of, DENSE_CONTROL, "pruning"
        if of.precision != "fp32" and dense_fp32 in systems:
            yield of, dense_fp32, "precision" if of.model == "dense" else "both"


def speed_pairs(
    systems: Collection[System], *, compact: bool
) -> Iterator[tuple[System, System, Isolates]]:
    """Yield pairs (of, against) whose speeds are compared, and what the two differ in.

    They attribute the speed of a ticket's file over the dense model in PyTorch eager ("all") to
    the runtime, the precision, and what pruning gained: "structure" where the files are `compact`,
    "sparsity" where both systems compute with the same shapes, as in PyTorch.
    """
    for of, against, isolates in pairs(systems):
        if isolates == "pruning":
            yield of, against, "structure" if compact and of.runtime == ONNX else "sparsity"
        elif isolates != "both":
            yield of, against, isolates
    eager = System.of(EAGER, "dense", "fp32")
    for of in systems if eager in systems else ():
        if of == System.of(ONNX, "dense", "fp32"):
            yield of, eager, "runtime"
        elif of.runtime == ONNX and of.model == "ticket":
            yield of, eager, "all"


def pair_name(report: Report, comparison: Comparison, between: str) -> str:
    """The two systems of a comparison, which share their runtime: `ONNX Runtime, A between B`."""
    systems = {accuracy.system.name: accuracy.system for accuracy in report.accuracy.systems}
    of, against = systems[comparison.of], systems[comparison.against]
    first, second = (f"{system.model} {system.precision}" for system in (of, against))
    return f"{of.runtime}, {first} {between} {second}"
