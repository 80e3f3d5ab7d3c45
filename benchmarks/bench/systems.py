"""What a report compares: models in runtimes, and which of them with which."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator

import torch

from benchmarks.bench.inputs import BenchInputs
from benchmarks.bench.schema import Comparison, Isolates, Model, Precision, System
from benchmarks.measure.latency import Forward, pytorch_forward
from exporters.runtime import OnnxVqaModel
from exporters.variants import VARIANTS, Variant
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


def open_systems(
    inputs: BenchInputs, device: str, threads: int, compiled: bool
) -> dict[System, Forward]:
    """Load every system that is timed; `compiled` adds PyTorch with torch.compile.

    Raises:
        ModelError, DeviceError: A model cannot be loaded.
    """

    def session(file: str) -> Forward:
        return OnnxVqaModel(inputs.source.onnx / file, device, threads=threads).logits

    systems: dict[System, Forward] = {}
    models, variants = inputs.models, inputs.variants
    with progress("Loading the systems", len(models) + len(variants) + 1, "models") as meter:
        for name in models:
            loaded = inputs.load(name).eval()
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
    "sparsity" where both systems compute with the same shapes, as in PyTorch. Without a ticket,
    "all" is that of the dense files of other precisions than fp32.
    """
    for of, against, isolates in pairs(systems):
        if isolates == "pruning":
            yield of, against, "structure" if compact and of.runtime == ONNX else "sparsity"
        elif isolates != "both":
            yield of, against, isolates
    eager = System.of(EAGER, "dense", "fp32")
    last = "ticket" if any(system.model == "ticket" for system in systems) else "dense"
    for of in systems if eager in systems else ():
        if of == System.of(ONNX, "dense", "fp32"):
            yield of, eager, "runtime"
        elif of.runtime == ONNX and of.model == last:
            yield of, eager, "all"


def pair_name(comparison: Comparison, systems: Iterable[System], between: str) -> str:
    """The two systems of a comparison, which share their runtime: `ONNX Runtime, A between B`."""
    by_name = {system.name: system for system in systems}
    of, against = by_name[comparison.of], by_name[comparison.against]
    first, second = (f"{system.model} {system.precision}" for system in (of, against))
    return f"{of.runtime}, {first} {between} {second}"
