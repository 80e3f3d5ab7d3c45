"""Collect the results of a sweep's finished runs into its report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sweep.plan import Plan
from benchmarks.sweep.schema import SCHEMA, Report
from benchmarks.sweep.significance import CellKey, compare
from lxcompress.data.dataset import Dataset
from lxcompress.errors import RunError
from lxcompress.evaluation.scoring import Score, read_results, score_results
from lxcompress.result import RunResult
from lxcompress.run import Run, control_name


def collect(plan: Plan, dataset: Dataset, failures: Mapping[str, str], **invocation: Any) -> Report:
    """Return the report of all finished runs.

    Args:
        failures: The error message of each failed run, by name.
        invocation: The fields of the report about this invocation: `command`, `beside`,
            `cells_run` and `wall_seconds`.

    Raises:
        RunError: No run is finished, or one has a damaged result.
    """
    score = partial(_score, dataset=dataset)
    results = {
        (subnetwork, sparsity, seed): run.read_result()
        for subnetwork in plan.subnetworks
        for sparsity in plan.sparsities
        for seed in plan.seeds
        if (run := Run(plan.cell(subnetwork, sparsity, seed))).is_finished()
    }
    if not results:
        name, message = next(iter(failures.items()))
        raise RunError(f"every run of the sweep failed, e.g. {name}: {message}")
    seeds = [seed for seed in plan.seeds if any(key[2] == seed for key in results)]
    dense = {seed: score(Run(plan.dense(seed)).predictions("dense")) for seed in seeds}
    tickets = {key: score(Run(plan.cell(*key)).predictions("ticket")) for key in results}
    scores = {key: _percents(found) for key, found in tickets.items()}
    pictures = [question.image_id for question in dataset.questions("val")]
    controls = {
        (seed, rounds): _percents(score(Run(plan.dense(seed)).predictions(control_name(rounds))))
        for seed in seeds
        for rounds in plan.controls
    }
    controls_of = {
        key: controls[key[2], rounds]
        for key in results
        if (rounds := plan.control_rounds(key[1])) is not None
    }
    return Report.model_validate(
        {
            "schema": SCHEMA,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "unit": "percent of the validation questions",
            "metric": next(iter(dense.values())).metric,
            "dataset": dataset.describe(),
            "questions": len(dataset.questions("val")),
            "settings": {
                **plan.settings(),
                "subnetworks": plan.subnetworks,
                "sparsities": plan.sparsities,
                "seeds": plan.seeds,
            },
            "dense": [
                {"seed": seed, "accuracy": found.accuracy()} for seed, found in dense.items()
            ],
            "cells": [_cell(key, result) for key, result in results.items()],
            "against_dense": compare(
                {key: _percents(dense[key[2]]) for key in results}, scores, pictures
            ),
            "against_control": compare(
                controls_of, {key: scores[key] for key in controls_of}, pictures
            ),
            # That of the runs, which may have been executed on another machine.
            "environment": next(iter(results.values())).environment,
            "failures": [{"cell": name, "message": message} for name, message in failures.items()],
            **invocation,
        }
    )


def _score(predictions: Path, dataset: Dataset) -> Score:
    return score_results(read_results(predictions), dataset.questions("val"))


def _percents(score: Score) -> list[float]:
    return list(score.per_question.values())  # in the order of the questions


def _cell(key: CellKey, result: RunResult) -> dict[str, Any]:
    subnetwork, sparsity, seed = key
    return {
        "seed": seed,
        "subnetwork": subnetwork,
        "sparsity": sparsity,
        "reset": result.theta0_masked.accuracy,
        "pruned": result.pruning_steps[-1].accuracy,
        "retrained": result.ticket.accuracy,
        "zeros": {"target": sparsity, **result.ticket.sparsity.model_dump()},
        "control": result.dense_control,
    }
