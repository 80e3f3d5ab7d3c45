"""Low, high and random subnetworks over sparsities and seeds: the README's table and picture.

    python -m benchmarks.subnetworks --output benchmarks/results

Every cell is a `lxcompress prune` run under `--runs`; those of one seed share θ0 and the dense
model. Finished cells are not run again, so that the same command continues after a stop.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from lxcompress.compute import resolve_device, resolve_precision
from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.environment import describe
from lxcompress.files import atomic_path, write_json
from lxcompress.lottery import Lottery
from lxcompress.pruning.magnitude import SUBNETWORKS
from lxcompress.run import Run

_COLOURS = {"low": "#1a7f5a", "high": "#b5443b", "random": "#6b6f76"}
_LABELS = {"low": "low-magnitude (the ticket)", "high": "high-magnitude", "random": "random"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--model", default="lxmert-shapes")
    parser.add_argument("--sparsities", type=float, nargs="+", default=[0.5, 0.7, 0.8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--subnetworks", nargs="+", default=list(SUBNETWORKS), choices=SUBNETWORKS)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--runs", type=Path, default=Path("runs/subnetworks"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    dataset = open_dataset(options.data)
    given = {"epochs": options.epochs, "batch-size": options.batch_size}
    shared = {name: value for name, value in given.items() if value is not None}
    device = resolve_device("auto")
    cells = []
    for seed in options.seeds:
        first = None
        for sparsity in options.sparsities:
            for subnetwork in options.subnetworks:
                config = PruneConfig.parse(
                    {
                        **shared,
                        "data": options.data,
                        "model": options.model,
                        "sparsity": sparsity,
                        "subnetwork": subnetwork,
                        "seed": seed,
                    }
                ).on(device, resolve_precision("auto", device))
                run = Run(options.runs / f"{subnetwork}-{100 * sparsity:g}-seed{seed}")
                result = run_cell(run, config, dataset, first)
                first = first or run
                cells.append({"seed": seed, "subnetwork": subnetwork, **_figures(result)})
                print(
                    f"seed {seed}, {subnetwork}, {100 * sparsity:g}%: dense "
                    f"{result['dense']['accuracy']['overall']:.2f}, ticket "
                    f"{result['ticket']['accuracy']['overall']:.2f}",
                    flush=True,
                )
    report = {
        "command": " ".join(["python -m benchmarks.subnetworks", *sys.argv[1:]]),
        "unit": f"percent, {result['metric']}, validation split",
        "cells": cells,
        "dataset": result["dataset"],
        "config": result["config"],
        "environment": describe(result["environment"]["device"]),
    }
    write_json(options.output / "subnetworks.json", report)
    (options.output / "subnetworks.md").write_text(table(report))
    draw(report, options.output / "subnetworks.png")
    print(table(report))


def run_cell(run: Run, config: PruneConfig, dataset: Dataset, first: Run | None) -> dict[str, Any]:
    """The result of one run; θ0 and the dense model come from `first`, a finished equal one."""
    lottery = Lottery(run, config, dataset)
    with run.claim(config.dump()):
        if first and not run.result.exists():
            for source, target in ((first.theta0, run.theta0), (first.dense, run.dense)):
                if not target.exists():
                    with atomic_path(target) as temporary:
                        shutil.copytree(source, temporary)
        return lottery.find_ticket()


def _figures(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "sparsity": result["config"]["sparsity"],
        "dense": result["dense"]["accuracy"],
        "theta0_masked": result["theta0_masked"]["accuracy"],
        "pruned": result["pruning_steps"][-1]["accuracy"],
        "ticket": result["ticket"]["accuracy"],
    }


def select(report: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    """The cells that have all these values."""
    return [
        cell
        for cell in report["cells"]
        if all(cell[name] == value for name, value in wanted.items())
    ]


def table(report: dict[str, Any]) -> str:
    """Markdown: mean ± standard deviation over seeds, by answer type."""
    seeds = len({cell["seed"] for cell in report["cells"]})
    lines = [
        f"| %, mean ± std of {seeds} seeds | sparsity | overall | yes/no | number | other |",
        "|---|---|---|---|---|---|",
    ]
    # All cells of a seed share its dense model, so one cell a seed gives the dense row.
    dense = list({cell["seed"]: cell for cell in report["cells"]}.values())
    lines.append(_row("dense (unpruned)", "0%", [cell["dense"] for cell in dense]))
    for sparsity in sorted({cell["sparsity"] for cell in report["cells"]}):
        for subnetwork in SUBNETWORKS:
            cells = select(report, sparsity=sparsity, subnetwork=subnetwork)
            if cells:
                accuracies = [cell["ticket"] for cell in cells]
                lines.append(_row(_LABELS[subnetwork], f"{100 * sparsity:g}%", accuracies))
    return "\n".join(lines) + "\n"


def _row(name: str, sparsity: str, accuracies: list[dict[str, float | None]]) -> str:
    cells = []
    for kind in ("overall", "yes/no", "number", "other"):
        values = [value for accuracy in accuracies if (value := accuracy[kind]) is not None]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.2f}{spread}" if values else "-")
    return f"| {name} | {sparsity} | " + " | ".join(cells) + " |"


def draw(report: dict[str, Any], path: Path) -> None:
    """Accuracy over sparsity: each subnetwork's mean with the range of its seeds, and dense."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.2), layout="constrained")
    dense = statistics.mean(cell["dense"]["overall"] for cell in report["cells"])
    axes.axhline(dense, color="#222222", linewidth=1.2, linestyle="--")
    axes.annotate(
        f"dense {dense:.1f}",
        (1, dense),
        xycoords=("axes fraction", "data"),
        fontsize=9,
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
    )
    for subnetwork in SUBNETWORKS:
        cells = select(report, subnetwork=subnetwork)
        sparsities = sorted({cell["sparsity"] for cell in cells})
        if not sparsities:
            continue
        values = [
            [
                cell["ticket"]["overall"]
                for cell in select(report, subnetwork=subnetwork, sparsity=s)
            ]
            for s in sparsities
        ]
        percent = [100 * sparsity for sparsity in sparsities]
        means = [statistics.mean(of_one) for of_one in values]
        colour = _COLOURS[subnetwork]
        low, high = [min(of_one) for of_one in values], [max(of_one) for of_one in values]
        axes.fill_between(percent, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(percent, means, color=colour, marker="o", label=_LABELS[subnetwork])
    axes.set_xlabel("sparsity, % of prunable weights removed")
    axes.set_ylabel("accuracy, % (validation)")
    axes.set_title("Retrained from θ0 under the mask", loc="left", fontsize=11)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(top=100)
    axes.legend(frameon=False, loc="center")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    pyplot.close(figure)


if __name__ == "__main__":
    main()
