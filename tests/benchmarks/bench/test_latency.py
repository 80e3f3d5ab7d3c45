"""Latencies and speedups of systems that do nothing."""

import numpy as np
import pytest

from benchmarks.bench.latency import time_systems
from benchmarks.bench.schema import System
from benchmarks.bench.systems import COMPILED, CONTROL, EAGER, ONNX
from benchmarks.measure.latency import Forward

BATCHES = [
    {"input_ids": np.zeros((4, length), np.int64), "visual_feats": np.zeros((4, 6 - length, 2))}
    for length in (5, 3)
]


def counting(calls: list[int]) -> Forward:
    def forward(inputs: dict[str, np.ndarray]) -> np.ndarray:
        calls.append(inputs["input_ids"].shape[1])
        return inputs["input_ids"]

    return forward


def test_only_compiled_systems_run_before_the_timing(capsys: pytest.CaptureFixture[str]) -> None:
    calls: dict[System, list[int]] = {
        System.of(EAGER, "dense", "fp32"): [],
        System.of(COMPILED, "dense", "fp32"): [],
    }
    systems = {system: counting(of_system) for system, of_system in calls.items()}
    time_systems(systems, BATCHES, compact=False, runs=1, seconds=0)
    eager, compiled = calls.values()
    assert len(compiled) == len(eager) + 2 and compiled[:2] == [5, 3]
    assert "compiling 1 models" in capsys.readouterr().err


def test_speedups_are_medians_over_rounds() -> None:
    dense, ticket = System.of(ONNX, "dense", "fp32"), System.of(ONNX, "ticket", "int8")
    int8 = System.of(ONNX, "dense", "int8")
    systems = {system: counting([]) for system in (dense, ticket, int8, CONTROL)}
    batch = time_systems(systems, BATCHES, compact=False, runs=7, seconds=0)
    assert (batch.batch_size, batch.batches) == (4, 2)
    assert (batch.tokens, batch.regions) == ([5, 3], [1, 3])
    assert [(it.of, it.against, it.isolates) for it in batch.ratios] == [
        (ticket.name, int8.name, "sparsity"),
        (int8.name, dense.name, "precision"),
        (CONTROL.name, dense.name, "control"),
    ]
    samples = {latency.system: np.array(latency.samples) for latency in batch.systems}
    assert all(len(of_system) == 7 for of_system in samples.values())
    speedup = batch.ratios[0].times_as_fast
    assert speedup.estimate == pytest.approx(np.median(samples[int8] / samples[ticket]))
    for latency in batch.systems:
        assert latency.questions_per_second == pytest.approx(28 / sum(latency.samples))
