"""torch.compile: whether it works on this machine, and compiling before anything is timed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import torch

from benchmarks.measure.latency import Forward, Inputs
from lxcompress.errors import DeviceError
from lxcompress.system.progress import progress
from lxcompress.system.text import first_line


def check_compiler(device: str) -> None:
    """Raise DeviceError unless torch.compile works here, before minutes go into the rest."""
    try:
        with torch.inference_mode():
            torch.compile(torch.nn.functional.gelu)(torch.zeros(8, device=device))
    except Exception as problem:  # a missing compiler and much else, of many classes
        raise _cannot_compile(problem) from problem


def compile_for(batches: Sequence[Inputs], models: Mapping[str, Forward]) -> None:
    """Run models with torch.compile, given by name, on all batches: every shape is compiled.

    Raises:
        DeviceError: torch.compile fails.
    """
    # The first batch of a model takes nearly all of the time, without any progress to show.
    print(f"compiling {len(models)} models; each can take minutes", file=sys.stderr, flush=True)
    with progress("Compiling", len(models), "models") as meter:
        for name, forward in models.items():
            start = time.perf_counter()
            for batch in batches:
                try:
                    forward(batch)
                except Exception as problem:
                    raise _cannot_compile(problem) from problem
            meter.advance(note=f"{name} in {time.perf_counter() - start:.0f} s")


def _cannot_compile(problem: Exception) -> DeviceError:
    first = first_line(problem)
    if "InvalidCxxCompiler" in first:
        return DeviceError(
            "--compile: torch.compile finds no C++ compiler that works (g++, or what CXX names); "
            "install one, or use --no-compile"
        )
    return DeviceError(f"--compile: torch.compile does not work here ({first}); use --no-compile")
