"""What a run of a sweep takes from other runs of the sweep."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sweep_command import CELLS, plan_like

from benchmarks.sweep.launchers.worker import execute
from lxcompress.steps import trainer


def test_cells_of_a_seed_share_one_dense_model_on_the_disk(finished_sweep: Path) -> None:
    for part in ("theta0", "dense"):
        files = [finished_sweep / "cells" / cell / part / "model.safetensors" for cell in CELLS]
        assert len({file.stat().st_ino for file in files}) == 1


def test_accuracies_after_pruning_are_reused_from_siblings(
    finished_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run at 30% has measured at 10% and 20%, so the one at 20% measures neither again."""
    folder = Path(shutil.copytree(finished_sweep, tmp_path / "sweep"))
    shutil.rmtree(folder / "cells" / "low-20-seed0")
    measured = []
    predict = trainer.predict

    def recording(*arguments: Any, description: str, **more: Any) -> Any:
        measured.append(description)
        return predict(*arguments, description=description, **more)

    monkeypatch.setattr(trainer, "predict", recording)
    (task,) = (t for t in plan_like(finished_sweep, folder).tasks() if t.name == "low-20-seed0")
    assert execute(task) is None
    assert measured == ["Evaluating ticket", "Evaluating theta0_masked"]
    found, expected = (
        json.loads((sweep / "cells" / "low-20-seed0" / "result.json").read_text())
        for sweep in (folder, finished_sweep)
    )
    assert found["pruning_steps"] == expected["pruning_steps"]
