"""Which run is opened, and which of its files and which detector."""

import os
import shutil
from pathlib import Path

import pytest
from served import SERVED_MODELS

from app.answers.open_run import (
    ServedModels,
    find_missing_files,
    find_newest_run,
    open_service,
)
from lxcompress.errors import ConfigError, ModelError, RunError
from lxcompress.system.files import read_json, write_json
from lxcompress.vision.pixel import PixelDetector


def test_the_most_recently_finished_run_is_found(tmp_path: Path) -> None:
    assert find_newest_run(tmp_path / "runs") is None
    settings = {"data": "shapes", "sparsity": 0.5, "subnetwork": "low"}
    names = ("old", "newest", "unfinished", "no-run", "not-sparse", "damaged")
    for number, name in enumerate(names):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "no-run":
            (tmp_path / "runs" / name / "theta0").mkdir()
        if name != "unfinished":
            result = tmp_path / "runs" / name / "result.json"
            result.write_text("{}")
            os.utime(result, (1000 + number, 1000 + number))
        if name not in ("no-run", "damaged"):
            config = settings | {"enforce-mask": name != "not-sparse"}
            write_json(tmp_path / "runs" / name / "config.json", config)
    (tmp_path / "runs" / "file").write_text("")
    assert find_newest_run(tmp_path / "runs") == tmp_path / "runs" / "newest"


def test_a_ticket_whose_weights_grew_back_is_not_served(tiny_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    settings = read_json(folder / "config.json", "settings")
    write_json(folder / "config.json", settings | {"enforce-mask": False})
    with pytest.raises(RunError, match="made with --no-enforce-mask: .*; give another run"):
        find_missing_files(folder, SERVED_MODELS)


def test_missing_onnx_files_are_listed(tiny_exported: Path, tiny_run: Path, tmp_path: Path) -> None:
    assert find_missing_files(tiny_exported, SERVED_MODELS) == []
    assert [variant.name for variant in find_missing_files(tiny_run, SERVED_MODELS)] == [
        "fp32",
        "sparse-int8",
    ]
    with pytest.raises(RunError, match="is not a run directory"):
        find_missing_files(tmp_path, SERVED_MODELS)
    (tmp_path / "theta0").mkdir()
    with pytest.raises(RunError, match="no finished ticket.*--resume"):
        find_missing_files(tmp_path, SERVED_MODELS)


def test_a_structured_ticket_is_compared_in_its_own_precision(run: Path, tmp_path: Path) -> None:
    assert SERVED_MODELS.with_comparable_dense(run) == SERVED_MODELS
    result = read_json(run / "result.json", "result")
    result["ticket"]["structure"] = [{"module": "a", "heads": [1, 2]}]
    write_json(run / "result.json", result)
    served = SERVED_MODELS.with_comparable_dense(run)
    assert (served.ticket.name, served.dense.name) == ("sparse-int8", "int8")
    with pytest.raises(RunError, match="is not a run directory"):
        SERVED_MODELS.with_comparable_dense(tmp_path / "none")


@pytest.mark.parametrize(
    ("ticket", "dense", "message"),
    [
        ("fp32", "fp32", "--variant fp32: choose sparse-fp32, sparse-fp16, sparse-int8"),
        ("sparse-int8", "sparse-fp16", "--dense-variant sparse-fp16: choose fp32, fp16, int8"),
        ("small", "fp32", "--variant small"),
    ],
)
def test_ticket_and_dense_variants_are_not_interchangeable(
    ticket: str, dense: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ServedModels.parse(ticket, dense, "cpu", None, None)


def test_missing_and_unknown_detectors_are_rejected(tiny_exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("onnx", "theta0"):
        (folder / name).symlink_to(tiny_exported / name)
    result = read_json(tiny_exported / "result.json", "result")
    result["dataset"]["detector"] = None
    write_json(folder / "result.json", result)
    with pytest.raises(ConfigError, match="does not name the detector of its regions"):
        open_service(folder, SERVED_MODELS)
    result["dataset"]["detector"] = "unheard-of"
    write_json(folder / "result.json", result)
    with pytest.raises(ConfigError, match="unheard-of"):
        open_service(folder, SERVED_MODELS)


def test_a_detector_with_another_feature_size_is_rejected(
    tiny_exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PixelDetector, "feature_size", 2048)
    with pytest.raises(ModelError, match="expects 107 features a region.*gives 2048"):
        open_service(tiny_exported, SERVED_MODELS)
