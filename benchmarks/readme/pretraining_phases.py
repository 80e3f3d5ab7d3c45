"""Low-magnitude tickets of the embedded default by pre-training: one phase, or both.

    python -m benchmarks.readme.pretraining_phases --phase1 FOLDER

The embedded LXMERT is pre-trained in two phases, the second with a large weight decay that shrinks
the weights of little use (lxcompress/assets/lxmert-shapes/README.md). FOLDER holds the weights of
phase 1 alone, made by the first commands there. Everything else is equal: data, seed and recipe.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sweep.launchers.launcher import Launcher
from benchmarks.sweep.plan import Plan
from benchmarks.sweep.run import sweep
from lxcompress.choices import Subnetwork
from lxcompress.config import EMBEDDED_MODEL
from lxcompress.system.files import write_json

MODULE = "benchmarks.readme.pretraining_phases"
SUBNETWORK = Subnetwork.LOW
SPARSITIES = (0.5, 0.7, 0.8)
SEED = 0
_RESULT = Path("benchmarks/results/pretraining_phases.json")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--phase1", type=Path, required=True, help="model folder with the weights of phase 1"
    )
    parser.add_argument("--jobs", type=int, help="number of runs at a time")
    parser.add_argument("--output", type=Path, default=_RESULT, help="JSON file of the result")
    given = parser.parse_args(arguments)
    starts = {"phase 1": str(given.phase1), "phases 1 and 2 (embedded)": EMBEDDED_MODEL}
    command = f"python -m {MODULE} --phase1 {given.phase1.name}"
    write_json(given.output, {"command": command, **compare(starts, {}, given.jobs)})
    print(given.output)


def compare(
    starts: Mapping[str, str],
    settings: Mapping[str, Any],
    jobs: int | None = None,
    sparsities: Sequence[float] = SPARSITIES,
) -> dict[str, Any]:
    """Return the accuracies of the dense model and the tickets from each of the start weights.

    Args:
        starts: The pre-trained models by name: folders, or the embedded one.
        settings: Options of `lxcompress prune` other than the model.
        jobs: Number of runs at a time; None for one for each processor.
        sparsities: Of the tickets.
    """
    rows = []
    for name, model in starts.items():
        with tempfile.TemporaryDirectory() as folder:
            plan = Plan.make(
                {**settings, "model": model},
                subnetworks=[SUBNETWORK],
                sparsities=sparsities,
                seeds=[SEED],
                threads=1,
                output=Path(folder) / "sweep",
            )
            report = sweep(plan, Launcher(jobs), command="")
        (dense,) = report.dense
        tickets = [{"sparsity": cell.sparsity, "accuracy": cell.retrained} for cell in report.cells]
        rows.append({"start_weights": name, "dense": dense.accuracy, "tickets": tickets})
    recipe = {name: report.settings[name] for name in ("epochs", "batch-size", "learning-rate")}
    return {
        "unit": f"percent of the validation questions ({report.metric})",
        "subnetwork": str(SUBNETWORK),
        "seed": SEED,
        "recipe": recipe,
        "rows": rows,
        "dataset": {name: report.dataset[name] for name in ("name", "questions", "fingerprint")},
        "environment": report.environment,
    }


if __name__ == "__main__":
    main()
