"""`lxcompress evaluate` of an exported file: the answers and the accuracy of its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from dataset_files import write_official, write_regions
from exports import Command


@pytest.mark.parametrize(
    ("folder", "file"), [("ticket", "model_sparse.onnx"), ("dense", "model.onnx")]
)
def test_a_file_answers_as_its_model(
    folder: str,
    file: str,
    tiny_exported: Path,
    tiny_data: Path,
    tmp_path: Path,
    command: Command,
) -> None:
    common = ["--data", tiny_data, "--device", "cpu"]
    for name, model in (
        ("folder", tiny_exported / folder),
        ("file", tiny_exported / "onnx" / file),
    ):
        outputs = [
            "--predictions",
            tmp_path / f"{name}.json",
            "--json",
            tmp_path / f"{name}-a.json",
        ]
        assert command("evaluate", model, *common, *outputs).code == 0
    for ending in (".json", "-a.json"):
        first, second = (
            json.loads((tmp_path / f"{name}{ending}").read_text()) for name in ("folder", "file")
        )
        assert first == second


def test_files_and_options_that_do_not_fit(
    tiny_exported: Path, tiny_data: Path, tmp_path: Path, command: Command
) -> None:
    file = tiny_exported / "onnx" / "model_sparse.onnx"
    data = tmp_path / "data"
    write_regions(data / "r", map(str, range(1, 9)), feature_size=8)
    parts = {kind: path.name for kind, path in write_official(data, "val", range(1, 9)).items()}
    content = {"name": "mine", "val": parts | {"regions": "r"}}
    (data / "dataset.yaml").write_text(yaml.safe_dump(content))
    error = command("evaluate", file, "--data", data).error
    assert "takes regions of 107 features, those of mine (val, detector" in error
    error = command("evaluate", file, "--data", tiny_data, "--answers", "lxmert-vqa").error
    assert "has its own answers; leave out --answers and --tokenizer" in error
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(file.read_bytes()[:1000])
    assert "damaged.onnx" in command("evaluate", damaged, "--data", tiny_data).error
    assert "absent.onnx" in command("evaluate", tmp_path / "absent.onnx", "--data", tiny_data).error
