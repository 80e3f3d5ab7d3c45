"""The accuracies of single runs."""

from __future__ import annotations

from typing import Any

from benchmarks.readme.blocks.parts import measured_by, read_result, table
from benchmarks.sweep import tables


def main_job_shapes() -> str:
    """`lxcompress prune` on the embedded default."""
    return _main_job(read_result("main_job_shapes"))


def main_job_easy_vqa() -> str:
    """`lxcompress prune` on easy-VQA, from scratch."""
    return _main_job(read_result("main_job_easy_vqa"))


def _main_job(report: dict[str, Any]) -> str:
    result = report["result"]
    sparsity, size = result["ticket"]["sparsity"], result["bytes"]
    rows = [
        [kind, f"{dense:.2f}", f"{result['ticket']['accuracy'][kind]:.2f}"]
        for kind, dense in result["dense"]["accuracy"].items()
        if dense is not None
    ]
    rows += [
        ["sparsity, prunable weights", "", f"{100 * sparsity['prunable']:.1f}%"],
        ["sparsity, all parameters", "", f"{100 * sparsity['model']:.1f}%"],
        [
            "MB in fp32, zeros not stored",
            f"{size['dense'] / 1e6:.2f}",
            f"{size['bitmask'] / 1e6:.2f}",
        ],
    ]
    seconds = sum(step["seconds"] for step in report["steps"])
    return (
        f"{table(['accuracy, %', 'dense', 'ticket'], rows)}\n"
        f"{seconds:.0f} s in total, with an empty cache, including the time to make the data. "
        f"{measured_by(report['command'], result['environment'])}"
    )


def iterative_90() -> str:
    """A ticket of single weights at 90%, pruned and trained in rounds, beside its control."""
    result = read_result("iterative_90")
    ticket, control = result["ticket"], result["dense_control"]
    rows = [
        [
            "dense",
            "0%",
            str(result["config"]["epochs"]),
            f"{result['dense']['accuracy']['overall']:.2f}",
        ],
        ["control", "0%", str(control["epochs"]), f"{control['accuracy']['overall']:.2f}"],
        [
            "ticket",
            f"{ticket['sparsity']['prunable']:.1%}",
            str(sum(ticket["epochs"])),
            f"{ticket['accuracy']['overall']:.2f}",
        ],
    ]
    command = "lxcompress prune --sparsity 0.9 --schedule iterative --rewind lr"
    return (
        f"{table(['single weights', 'sparsity', 'epochs in all', 'overall, %'], rows)}\n"
        f"{measured_by(command, result['environment'])}"
    )


def pretraining_phases() -> str:
    """Low-magnitude tickets from the weights of one pre-training phase, and of both."""
    report = read_result("pretraining_phases")
    sparsities = [ticket["sparsity"] for ticket in report["rows"][0]["tickets"]]
    rows = [
        [
            row["start_weights"],
            f"{row['dense']['overall']:.2f}",
            *(f"{ticket['accuracy']['overall']:.2f}" for ticket in row["tickets"]),
        ]
        for row in report["rows"]
    ]
    columns = ["start weights", "dense", *map(tables.percent, sparsities)]
    return (
        f"{table(columns, rows)}\n"
        "Overall accuracy in % of the dense model and of low-magnitude tickets by sparsity, for "
        f"one seed. {measured_by(report['command'], report['environment'])}"
    )
