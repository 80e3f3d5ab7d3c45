"""A sweep's report without a sweep: scores are drawn, all that follows from them is computed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.sweep.schema import SCHEMA, Report
from benchmarks.sweep.significance import compare

QUESTIONS = 500
_LAST = {"yes/no": 200, "number": 300, "other": QUESTIONS}  # question of each type
_FALLS_AT = {"low": 0.85, "random": 0.42, "high": 0.3}
_ROOM = {"retrained": 0.0, "pruned": 0.15, "reset": 0.25}


def drawn(right: float, *seed: int) -> np.ndarray:
    """Percent per question, graded as in VQA v2, of a network that knows a share `right` (0–1).

    Which questions are hard is the same for all networks, but for a little chance.
    """
    random = np.random.default_rng(seed)
    hard = 0.9 * np.random.default_rng(0).random(QUESTIONS) + 0.1 * random.random(QUESTIONS)
    return np.where(hard < right, 100.0, random.choice([0.0, 0.0, 0.0, 30.0], QUESTIONS))


def by_type(scores: np.ndarray) -> dict[str, float]:
    found, first = {"overall": float(scores.mean())}, 0
    for kind, last in _LAST.items():
        found[kind] = float(scores[first:last].mean())
        first = last
    return found


def _share(stage: str, subnetwork: str, sparsity: float) -> float:
    middle = _FALLS_AT[subnetwork] - _ROOM[stage]
    floor = 0.35 if stage == "retrained" else 0.02
    return float(floor + (0.95 - floor) / (1 + np.exp(18 * (sparsity - middle))))


@functools.cache
def swept(
    *,
    subnetworks: Sequence[str] = ("low", "high", "random"),
    sparsities: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    seeds: Sequence[int] = (0, 1, 2),
    without: Sequence[tuple[str, float, int]] = (),
    enforce: bool = True,
    beside: bool = False,
) -> Report:
    """Curves that fall as they do in true sweeps. `beside` adds one that enforced no mask."""
    dense = {seed: drawn(0.95, seed) for seed in seeds}
    cells, tickets = [], {}
    for subnetwork in subnetworks:
        for sparsity in sparsities:
            for seed in seeds:
                if (subnetwork, sparsity, seed) in without:
                    continue
                scores = {
                    stage: drawn(_share(stage, subnetwork, sparsity), seed, round(100 * sparsity))
                    for stage in _ROOM
                }
                tickets[subnetwork, sparsity, seed] = scores["retrained"]
                left = sparsity if enforce else 0.001 * sparsity
                cells.append(
                    {
                        "seed": seed,
                        "subnetwork": subnetwork,
                        "sparsity": sparsity,
                        **{stage: by_type(of) for stage, of in scores.items()},
                        "zeros": {"asked": sparsity, "prunable": left, "model": 0.84 * left},
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
            },
            "dense": [{"seed": seed, "accuracy": by_type(of)} for seed, of in dense.items()],
            "cells": cells,
            "against_dense": compare(dense, tickets, range(QUESTIONS)),
            "failures": [
                {"cell": f"{name}-{100 * sparsity:g}-seed{seed}", "message": "out of memory"}
                for name, sparsity, seed in without
            ],
            "beside": swept(enforce=False) if beside else None,
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
    """The report with other figures."""
    figures = json.loads(report.model_dump_json(by_alias=True))
    change(figures)
    return Report.model_validate(figures)
