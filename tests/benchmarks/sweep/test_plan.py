"""The plan of a sweep: its runs, their order, settings and folders."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweep.plan import Plan
from lxcompress.errors import ConfigError


def plan_of_one_cell(quick: bool = False, **settings: Any) -> Plan:
    return Plan.make(
        settings, subnetworks=["low"], sparsities=[0.5], seeds=[0], threads=1, quick=quick
    )


def test_runs_are_dense_models_then_cells_by_descending_sparsity() -> None:
    plan = Plan.make(
        {"scope": "layer", "enforce-mask": False},
        subnetworks=("low", "high", "low"),
        sparsities=(0.5, 0.9, 0.1),
        seeds=(3, 1),
        threads=2,
    )
    assert plan.folder == Path("runs/sweep-shapes-layer-unenforced").absolute()
    tasks = plan.tasks()
    assert [task.name for task in tasks[:2]] == ["dense-seed3", "dense-seed1"]
    cells = [task.name for task in tasks[2:]]
    assert cells[:3] == ["low-90-seed3", "high-90-seed3", "low-50-seed3"]
    assert len(cells) == len(set(cells)) == 2 * 3 * 2
    # The dense model does not depend on what is pruned, so neither does its configuration.
    other = Plan.make({}, subnetworks=("random",), sparsities=(0.7,), seeds=(1,), threads=1)
    assert other.tasks()[0].config.sparsity == tasks[0].config.sparsity


def test_an_n_of_m_pattern_has_one_sparsity() -> None:
    plan = Plan.make({"pattern": "1:4"}, subnetworks=["low"], sparsities=None, seeds=[0], threads=1)
    assert [task.name for task in plan.tasks()] == ["dense-seed0", "low-75-seed0"]
    with pytest.raises(ConfigError, match="--pattern 1:4 prunes 0.75 of the weights"):
        Plan.make({"pattern": "1:4"}, subnetworks=["low"], sparsities=[0.5], seeds=[0], threads=1)
    assert plan_of_one_cell().sparsities == (0.5,)


def test_the_dense_task_trains_the_controls_of_all_cells() -> None:
    def controls(**settings: Any) -> list[tuple[int, ...]]:
        plan = Plan.make(
            settings, subnetworks=["low"], sparsities=[0.1, 0.25], seeds=[0], threads=1
        )
        return [task.controls for task in plan.tasks()]

    assert controls(pattern="structured") == [(1,), (1,), (1,)]
    assert controls(rewind="lr", schedule="iterative") == [(1, 3), (3,), (1,)]
    assert controls(pattern="structured", control=False) == controls() == [(), (), ()]


def test_swept_settings_are_rejected_among_the_shared_ones() -> None:
    with pytest.raises(ConfigError, match="a sweep takes seed from its own options"):
        Plan.make({"seed": 1}, subnetworks=["low"], sparsities=[0.5], seeds=[0], threads=1)


@pytest.mark.parametrize("name", ["from", "finetuned", "mask"])
def test_cells_train_their_own_dense_model_and_find_their_own_mask(name: str) -> None:
    settings: dict[str, Any] = {name: "models/mine"}
    with pytest.raises(ConfigError, match=f"a sweep cannot be made with --{name}"):
        plan_of_one_cell(**settings)


def test_quick_halves_the_epochs_unless_given() -> None:
    assert plan_of_one_cell(quick=True).shared["epochs"] == 1  # of the embedded model's 2
    assert plan_of_one_cell(quick=True, epochs=8).shared["epochs"] == 8
    large = plan_of_one_cell(quick=True, data=".", model="unc-nlp/lxmert-base-uncased")
    assert large.shared["epochs"] == 2  # of LXMERT's 4
    # A quick and a whole sweep have different default folders.
    assert plan_of_one_cell(quick=True).folder.name == "sweep-shapes-quick"
    assert plan_of_one_cell().folder.name == "sweep-shapes"


def test_names_of_embedded_data_and_models_are_not_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shapes", "lxmert-shapes", "mine"):
        Path(name).mkdir()
    assert (plan_of_one_cell().shared["data"], plan_of_one_cell().shared["model"]) == (
        "shapes",
        "lxmert-shapes",
    )
    found = plan_of_one_cell(data="mine", model="lxmert-shapes", tensorboard="board").shared
    assert found["data"] == str(tmp_path / "mine")
    assert found["tensorboard"] == str(tmp_path / "board" / "sweep-mine")
