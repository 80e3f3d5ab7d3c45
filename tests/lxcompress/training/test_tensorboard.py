"""Losses in TensorBoard: read back by TensorBoard's own reader."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import run_lottery, settings

from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError
from lxcompress.system.machine import device
from lxcompress.system.machine.device import make_accelerator
from lxcompress.training.tensorboard import training_log


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_a_run_logs_each_training(
    tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"sparsity": 0.2, "tensorboard": str(tmp_path / "board")}
    run, _ = run_lottery(
        tmp_path / "mine", tiny_dataset, settings(tiny_model, tiny_data, **options)
    )
    for stage in ("dense", "ticket"):
        lines = [json.loads(line) for line in run.log(stage).read_text().splitlines()]
        found = scalars(tmp_path / "board" / "mine" / stage)
        assert found.keys() == {"loss", "learning rate"}
        assert [step for step, _ in found["loss"]] == [line["step"] for line in lines]
        assert [value for _, value in found["loss"]] == pytest.approx([x["loss"] for x in lines])
    # How a run is logged is no part of what it computes: the same run without it is finished.
    run_lottery(tmp_path / "mine", tiny_dataset, settings(tiny_model, tiny_data, sparsity=0.2))


def test_a_resumed_training_replaces_what_it_does_again(tmp_path: Path) -> None:
    accelerator = make_accelerator("cpu", "fp32", str(tmp_path / "board"))
    with training_log(tmp_path / "log.jsonl", accelerator, "run/dense") as log:
        log.rewind(0)
        for step in (20, 40, 60):
            log(step, 0.1, 1.0)
    with training_log(tmp_path / "log.jsonl", accelerator, "run/dense") as log:
        log.rewind(40)
        for step in (60, 80):
            log(step, 0.1, 2.0)
    found = scalars(tmp_path / "board" / "run" / "dense")["loss"]
    assert found == [(20, 1.0), (40, 1.0), (60, 2.0), (80, 2.0)]


def test_without_tensorboard_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'lxcompress\[tensorboard\]'"):
        make_accelerator("cpu", "fp32", "logs")
