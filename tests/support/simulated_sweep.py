"""The report of a sweep that was not run: simulated scores, and what is computed from them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.sweep.schema import SCHEMA, Report
from benchmarks.sweep.significance import compare

QUESTIONS = 500
FOUR_FAILED = (("low", 0.5, 0), ("low", 0.5, 1), ("low", 0.5, 2), ("high", 0.5, 1))  # cells
_END = {"yes/no": 200, "number": 300, "other": QUESTIONS}  # of the questions of each type
# The sparsity at which a subnetwork falls, and how much earlier it does before retraining.
_FALLS_AT = {"low": 0.85, "random": 0.42, "high": 0.3}
_EARLIER = {"retrained": 0.0, "pruned": 0.15, "reset": 0.25}


def simulated_scores(right: float, *seed: int) -> np.ndarray:
    """Percent per question, as VQA v2 scores it, of a network that answers a share `right` (0–1).

    All networks find the same questions hard, apart from a little noise.
    """
    random = np.random.default_rng(seed)
    difficulty = 0.9 * np.random.default_rng(0).random(QUESTIONS) + 0.1 * random.random(QUESTIONS)
    return np.where(difficulty < right, 100.0, random.choice([0.0, 0.0, 0.0, 30.0], QUESTIONS))


def by_type(scores: np.ndarray) -> dict[str, float]:
    """The mean score overall and of each answer type."""
    means, start = {"overall": float(scores.mean())}, 0
    for kind, end in _END.items():
        means[kind] = float(scores[start:end].mean())
        start = end
    return means


def _share_right(stage: str, subnetwork: str, sparsity: float) -> float:
    middle = _FALLS_AT[subnetwork] - _EARLIER[stage]
    floor = 0.35 if stage == "retrained" else 0.02
    return float(floor + (0.95 - floor) / (1 + np.exp(18 * (sparsity - middle))))


@functools.cache
def simulated_report(
    *,
    subnetworks: Sequence[str] = ("low", "high", "random"),
    sparsities: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    seeds: Sequence[int] = (0, 1, 2),
    without: Sequence[tuple[str, float, int]] = (),
    enforce: bool = True,
    beside: bool = False,
    control: bool = False,
) -> Report:
    """Accuracy falls with sparsity as in real sweeps.

    `without` are failed cells; `beside` adds a sweep that did not enforce the mask; with `control`
    it is one of structured tickets, with a control that is better than the dense model.
    """
    dense = {seed: simulated_scores(0.95, seed) for seed in seeds}
    trained = {seed: simulated_scores(0.96, seed, 1) for seed in seeds}
    cells, tickets = [], {}
    for subnetwork in subnetworks:
        for sparsity in sparsities:
            for seed in seeds:
                if (subnetwork, sparsity, seed) in without:
                    continue
                scores = {
                    stage: simulated_scores(
                        _share_right(stage, subnetwork, sparsity), seed, round(100 * sparsity)
                    )
                    for stage in _EARLIER
                }
                tickets[subnetwork, sparsity, seed] = scores["retrained"]
                zeros = sparsity if enforce else 0.001 * sparsity
                zeros += 0.004 if control else 0  # the last head or neuron exceeds the target
                cells.append(
                    {
                        "seed": seed,
                        "subnetwork": subnetwork,
                        "sparsity": sparsity,
                        **{stage: by_type(of) for stage, of in scores.items()},
                        "zeros": {"target": sparsity, "prunable": zeros, "model": 0.84 * zeros},
                        "control": {"accuracy": by_type(trained[seed]), "epochs": 4}
                        if control
                        else None,
                    }
                )
    return Report.model_validate(
        {
            "schema": SCHEMA,
            "command": "lxcompress sweep --output runs/sweep",
            "finished": "2026-11-22T12:00:00+00:00",
            "unit": "percent of the validation questions",
            "metric": "VQA v2 accuracy",
            "dataset": {"name": "shapes-vqa", "fingerprint": 8 * "f2a18f7b"},
            "questions": QUESTIONS,
            "settings": {
                "subnetworks": list(subnetworks),
                "sparsities": list(sparsities),
                "seeds": list(seeds),
                "scope": "global" if enforce else "layer",
                "enforce-mask": enforce,
                **({"pattern": "structured", "criterion": "taylor"} if control else {}),
            },
            "dense": [{"seed": seed, "accuracy": by_type(of)} for seed, of in dense.items()],
            "cells": cells,
            "against_dense": compare(
                {key: dense[key[2]] for key in tickets}, tickets, range(QUESTIONS)
            ),
            "against_control": compare(
                {key: trained[key[2]] for key in tickets if control},
                tickets if control else {},
                range(QUESTIONS),
            ),
            "failures": [
                {"cell": f"{name}-{100 * sparsity:g}-seed{seed}", "message": "out of memory"}
                for name, sparsity, seed in without
            ],
            "beside": simulated_report(enforce=False) if beside else None,
            "cells_run": len(cells),
            "wall_seconds": 2000.0,
            "environment": {
                "versions": {"lxcompress": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
                "system": "Linux",
                "processor": "AMD EPYC",
                "cores": 2,
                "torch_threads": 1,
                "memory_bytes": 25_000_000_000,
                "device": "cpu",
            },
        }
    )


def changed(report: Report, change: Callable[[dict[str, Any]], object]) -> Report:
    """A copy of the report, with `change` applied to its JSON."""
    figures = json.loads(report.model_dump_json(by_alias=True))
    change(figures)
    return Report.model_validate(figures)
