"""How fast PyTorch and the exported files answer the same real questions, in turns."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.bench.schema import Model, Precision
from benchmarks.measure import latency, statistics
from benchmarks.measure.latency import Answer, Inputs
from exporters.runtime import OnnxVqaModel
from exporters.variants import VARIANTS
from lxcompress.data.batches import EncodedQuestions, model_arrays
from lxcompress.errors import ConfigError, DeviceError
from lxcompress.model.lxmert import load_model
from lxcompress.run import Run
from lxcompress.system.progress import progress

EAGER, COMPILED, ONNX = "PyTorch eager", "PyTorch compiled", "ONNX Runtime"
CONTROL = "ONNX Runtime, again,"  # the same file in a second session: how far noise goes
_PYTORCH_PRECISIONS: dict[str, tuple[Precision, ...]] = {"cpu": ("fp32",), "cuda": ("fp32", "fp16")}
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
_SEED = 0


@dataclass(frozen=True)
class System:
    """One way to get an answer."""

    runtime: str
    model: Model
    precision: Precision

    @property
    def name(self) -> str:
        """Unique within a report."""
        return f"{self.runtime} {self.model} {self.precision}"

    def record(self) -> dict[str, str]:
        """`bench_schema.System`."""
        return {"name": self.name, **asdict(self)}


def open_systems(
    run: Run, variants: Sequence[str], device: str, threads: int, compiled: bool
) -> dict[System, Answer]:
    """Everything that is timed, loaded: float32 logits `[B, answers]` of a batch's arrays.

    Raises what loading raises, DeviceError where `compiled` is asked for and does not work here.
    """
    total = len(variants) + 3
    systems: dict[System, Answer] = {}
    models: tuple[Model, Model] = ("dense", "ticket")
    with progress("Loading the systems", total, "models") as meter:
        for name, folder in zip(models, (run.dense, run.ticket), strict=True):
            loaded = load_model(folder).eval()
            for precision in _PYTORCH_PRECISIONS[device]:
                model = copy.deepcopy(loaded).to(device, _DTYPES[precision])
                systems[System(EAGER, name, precision)] = latency.in_pytorch(model, device)
                if compiled:
                    quick = torch.compile(model, dynamic=True)
                    systems[System(COMPILED, name, precision)] = latency.in_pytorch(quick, device)
            meter.advance()
        for variant in (VARIANTS[name] for name in variants):
            path, whose = run.onnx / variant.file, models[variant.sparse]
            logits = OnnxVqaModel(path, device, threads=threads).logits
            systems[System(ONNX, whose, variant.precision)] = logits
            meter.advance()
        again = OnnxVqaModel(run.onnx / VARIANTS["fp32"].file, device, threads=threads)
        systems[System(CONTROL, "dense", "fp32")] = again.logits
        meter.advance()
    return systems


def real_batches(data: EncodedQuestions, batch_size: int, questions: int) -> list[Inputs]:
    """Arrays of about `questions` different questions, drawn by lot: their own lengths mixed.

    At least one batch; ConfigError when the data have not that many questions.
    """
    if batch_size > len(data):
        raise ConfigError(
            f"--batch-size {batch_size}: the data have only {len(data)} questions to answer"
        )
    order = np.random.default_rng(_SEED).permutation(len(data))
    number = max(1, min(questions, len(data)) // batch_size)
    found = []
    for index in range(number):
        rows = order[index * batch_size : (index + 1) * batch_size].tolist()
        found.append(model_arrays(data[rows]))
    return found


def time_systems(
    systems: Mapping[System, Answer], batches: Sequence[Inputs], *, runs: int, seconds: float
) -> dict[str, Any]:
    """The report's record of one batch size (`bench_schema.LatencyOfBatch`).

    From a batch's arrays to logits on the host; at least `runs` turns, and `seconds` in all.
    """
    size = len(batches[0]["input_ids"])
    _compile(systems, batches)
    samples = _take_turns(systems, batches, f"Timing, batch {size}", runs, seconds)
    return {
        "batch_size": size,
        "batches": len(batches),
        "tokens": [batch["input_ids"].shape[1] for batch in batches],
        "systems": [
            {
                "system": system.record(),
                **{key: value for key, value in latency.summary(taken).items() if key != "unit"},
                "questions_per_second": size * len(taken) / sum(taken),
            }
            for system, taken in samples.items()
        ],
        "ratios": _ratios(samples),
    }


def check_compiler(device: str) -> None:
    """DeviceError unless torch.compile works here; known before minutes are spent on the rest."""
    try:
        with torch.inference_mode():
            torch.compile(torch.nn.functional.gelu)(torch.zeros(8, device=device))
    except Exception as problem:  # a missing compiler and much else, of many classes
        raise _no_compiler(problem) from problem


def _no_compiler(problem: Exception) -> DeviceError:
    first = str(problem).strip().partition("\n")[0]
    if "InvalidCxxCompiler" in first:
        return DeviceError(
            "--compile: torch.compile finds no C++ compiler that works (g++, or what CXX names); "
            "install one, or use --no-compile"
        )
    return DeviceError(f"--compile: torch.compile does not work here ({first}); use --no-compile")


def _compile(systems: Mapping[System, Answer], batches: Sequence[Inputs]) -> None:
    """Let every shape be compiled that will come, before anything is timed."""
    compiled = [system for system in systems if system.runtime == COMPILED]
    if not compiled:
        return
    # Nothing can be told while the first batch of a model is compiled, nearly all of the time.
    print(f"compiling {len(compiled)} models; each can take minutes", file=sys.stderr, flush=True)
    with progress("Compiling", len(compiled), "models") as meter:
        for system in compiled:
            began = time.perf_counter()
            for batch in batches:
                try:
                    systems[system](batch)
                except Exception as problem:
                    raise _no_compiler(problem) from problem
            seconds = time.perf_counter() - began
            meter.advance(note=f"{system.model} {system.precision} in {seconds:.0f} s")


def _take_turns(
    systems: Mapping[System, Answer],
    batches: Sequence[Inputs],
    what: str,
    runs: int,
    seconds: float,
) -> dict[System, list[float]]:
    shown = 0
    with progress(what, 100, "%") as meter:

        def show(turns: int, elapsed: float) -> None:
            nonlocal shown
            percent = int(100 * min(turns / runs, elapsed / max(seconds, 1e-9), 1))
            if percent > shown:
                meter.advance(percent - shown, f"{turns} runs of each")
                shown = percent

        ready = {system: latency.over(batches, systems[system]) for system in systems}
        return latency.in_turns(ready, runs=runs, seconds=seconds, turned=show)


def _ratios(samples: Mapping[System, Sequence[float]]) -> list[dict[str, Any]]:
    """The ticket against the dense model in the same runtime and precision, nothing else."""
    found = []
    for of, taken in samples.items():
        runtime = ONNX if of.runtime == CONTROL else of.runtime
        against = System(runtime, "dense", of.precision)
        if against not in samples or of == against:
            continue
        found.append(
            {
                "of": of.name,
                "against": against.name,
                "isolates": "control" if of.runtime == CONTROL else "sparsity",
                "times_as_fast": asdict(statistics.median_ratio(samples[against], taken)),
            }
        )
    return found
