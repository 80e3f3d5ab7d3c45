"""Files of runs that were not run: their accuracy and latency are made up."""

from __future__ import annotations

from typing import Any

from benchmarks.frontier.schema import SCHEMA, Frontier

# Pattern, sparsity, precision, accuracy, latency relative to dense fp32 at batch 1.
FILES = [
    ("dense", 0.0, "fp32", 94.9, 1.0),
    ("dense", 0.0, "fp16", 94.9, 1.02),
    ("dense", 0.0, "int8", 94.7, 0.4),
    ("unstructured", 0.5, "fp32", 95.7, 1.01),
    ("unstructured", 0.5, "int8", 95.5, 0.41),
    ("2:4", 0.5, "int8", 94.0, 0.42),
    ("structured", 0.5035, "fp32", 95.4, 0.52),
    ("structured", 0.5035, "int8", 95.3, 0.22),
    ("structured", 0.7011, "int8", 94.6, 0.16),
]


def simulated_frontier(files: list[tuple[str, float, str, float, float]] = FILES) -> Frontier:
    """The files at batch 1, and at batch 8, where int8 gains less."""

    def interval(value: float) -> dict[str, float]:
        return {"estimate": value, "low": 0.99 * value, "high": 1.01 * value}

    points: list[dict[str, Any]] = [
        {
            "run": f"shapes-{pattern}",
            "pattern": pattern,
            "sparsity": sparsity,
            "precision": precision,
            "bytes": 4_000_000,
            "accuracy": interval(accuracy),
            "latencies": [
                {"batch_size": 1, "p50": 0.001 * relative, "relative": interval(relative)},
                {"batch_size": 8, "p50": 0.004 * relative, "relative": interval(relative**0.7)},
            ],
        }
        for pattern, sparsity, precision, accuracy, relative in files
    ]
    return Frontier.model_validate(
        {
            "schema": SCHEMA,
            "command": "lxcompress frontier runs/a runs/b",
            "finished": "2026-11-22T12:00:00+00:00",
            "dataset": {
                "name": "shapes-vqa",
                "folder": "/data/shapes",
                "detector": "pixel",
                "questions": {"val": 4000},
                "answers": 20,
                "fingerprint": 8 * "f2a18f7b",
            },
            "questions": 4000,
            "points": points,
            "environment": {
                "versions": {"lxcompress": "0.1.0", "torch": "2.13.0"},
                "system": "Linux",
                "processor": "AMD EPYC",
                "cores": 2,
                "torch_threads": 1,
                "memory_bytes": 25_000_000_000,
                "device": "cpu",
            },
        }
    )
