"""A model repository for Triton: its files, and the command that writes it."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported import stock
from triton_server import VARIANTS, Model, read_config, read_labels, write_models

from exporters.graph.onnx_file import data_file, file_hashes, write_model
from exporters.targets.triton.repository import DEFAULT_VARIANTS
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ModelError

Call = Callable[..., tuple[int, str, str]]
FILES = {"config.pbtxt", "labels.txt", "tokenizer.json", "client.py", "README.md", "1"}


def change_file(run: Path, name: str, change: Callable[[Any], None], **options: Any) -> None:
    """Change an exported file, and its hashes in the report of the export."""
    path = run / "onnx" / name
    model = onnx.load(str(path))
    change(model)
    write_model(model, path, **options)
    report = json.loads((run / "onnx" / "export.json").read_text())
    report["files"][name]["sha256"] = file_hashes(path)
    (run / "onnx" / "export.json").write_text(json.dumps(report))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["a/b c", "Größe", "..", "", "-x.y-", '"; }'])
def test_any_run_name_gives_a_valid_model_name(
    tiny_exported: Path, tmp_path: Path, name: str
) -> None:
    model = write_models(tiny_exported, tmp_path, "sparse-int8", name=name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*-sparse-int8", model.name)
    assert model.parent == tmp_path and read_config(model).name == model.name


def test_files_of_a_model(repository: Path, tiny_exported: Path) -> None:
    assert sorted(path.name for path in repository.iterdir()) == sorted(
        f"tiny-{variant}" for variant in VARIANTS
    )
    for model in repository.iterdir():
        assert {path.name for path in model.iterdir()} == FILES
        assert [path.name for path in (model / "1").iterdir()] == ["model.onnx"]
        origin = "model_" + model.name.removeprefix("tiny-").replace("-", "_") + ".onnx"
        origin = origin.replace("_fp32", "")
        expected = (tiny_exported / "onnx" / origin).read_bytes()
        assert (model / "1" / "model.onnx").read_bytes() == expected
        text = (model / "README.md").read_text()
        assert "$PWD" in text and "opset 23" in text and "ort_version" in text
        assert "$" not in text.replace("$PWD", "") and model.name in text
        assert ("--gpus" in text) is False


def test_labels_are_one_a_line(run: Path, tmp_path: Path, tiny_dataset: Dataset) -> None:
    labels = tiny_dataset.answers
    model = write_models(run, tmp_path / "plain", "sparse-int8")
    assert read_labels(model, "labels.txt") == labels
    # Every kind of line break, and empty labels.
    hostile = ["a\nb", "", "c\r\nd\u2028e\n", "\n", *labels[4:]]

    def rename(model_proto: Any) -> None:
        (entry,) = (item for item in model_proto.metadata_props if item.key == "labels")
        entry.value = json.dumps(hostile)

    change_file(run, "model_sparse_int8.onnx", rename)
    model = write_models(run, tmp_path / "hostile", "sparse-int8")
    written = read_labels(model, "labels.txt")
    assert written[:4] == ["a b", "", "c d e", ""] and written[4:] == labels[4:]
    assert (model / "labels.txt").read_text().splitlines() == written


def test_external_data_are_copied(run: Path, tmp_path: Path) -> None:
    """A model over 2 GiB is two files; the first contains the second's name."""
    name = "model_sparse.onnx"
    inputs: dict[str, np.ndarray] = {
        "input_ids": np.ones((2, 5), np.int64),
        "attention_mask": np.ones((2, 5), np.int64),
        "token_type_ids": np.zeros((2, 5), np.int64),
        "visual_feats": np.ones((2, 3, 107), np.float32),
        "visual_pos": np.ones((2, 3, 4), np.float32),
        "visual_attention_mask": np.ones((2, 3), np.int64),
    }
    expected = stock(run / "onnx" / name).run(None, inputs)[0]
    change_file(run, name, lambda _: None, limit=0)
    assert data_file(run / "onnx" / name).exists()
    model = write_models(run, tmp_path / "models", "sparse-fp32")
    assert {path.name for path in (model / "1").iterdir()} == {"model.onnx", f"{name}_data"}
    shutil.rmtree(run)
    assert np.array_equal(Model(model).run(inputs), expected)


def test_a_file_changed_after_the_export_is_rejected(run: Path, tmp_path: Path) -> None:
    with open(run / "onnx" / "model_sparse.onnx", "ab") as file:
        file.write(b"\x00")
    with pytest.raises(ModelError):
        write_models(run, tmp_path / "models", "sparse-fp32")
    assert not (tmp_path / "models" / "tiny-sparse-fp32").exists()
    assert content(tmp_path / "models") == {}


def error_of(call: Call, *arguments: object) -> str:
    code, _, err = call("export", *arguments)
    lines = err.splitlines()
    assert code == 2 and len(lines) == 1 and lines[0].startswith("error: "), (code, err)
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["sparse-fp16"]),
        (("--triton-device", "cpu"), ["sparse-int8"]),
        (("--variant", "sparse-fp32", "--variant", "fp32"), ["sparse-fp32"]),
    ],
)
def test_the_command_writes_models_and_leaves_equal_ones(
    call: Call, run: Path, tmp_path: Path, options: Sequence[str], expected: list[str]
) -> None:
    folder = tmp_path / "deep" / "models"
    code, out, err = call("export", run, "--triton", folder, *options)
    assert (code, err) == (0, "")
    assert [path.name for path in folder.iterdir()] == [f"run-{variant}" for variant in expected]
    assert str(folder / f"run-{expected[0]}" / "README.md") in out
    for model in folder.iterdir():
        Model(model)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert call("export", run, "--triton", folder, *options)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    # Another variant is written to the same repository.
    more = (run, "--triton", folder, "--triton-device", "cpu", "--variant", "sparse-int8")
    assert call("export", *more)[0] == 0
    assert {"run-sparse-int8", *(path.name for path in before if path.parent == folder)} == {
        path.name for path in folder.iterdir()
    }


def test_an_edited_model_is_not_overwritten(call: Call, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    model = write_models(run, folder, "sparse-fp16", device="cuda", name="run")
    with open(model / "config.pbtxt", "a") as file:
        file.write("response_cache { enable: true }\n")
    before = content(folder)
    text = error_of(call, run, "--triton", folder)
    assert f"{model} exists already and its config.pbtxt differs" in text
    assert content(folder) == before
    shutil.rmtree(model)
    assert call("export", run, "--triton", folder)[0] == 0
    (model / "1" / "model.onnx").write_bytes(b"another")
    assert "its 1/model.onnx differs" in error_of(call, run, "--triton", folder)
    assert (model / "1" / "model.onnx").read_bytes() == b"another"


def test_unsuitable_variants_and_devices_are_rejected(
    call: Call, run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    triton = (run, "--triton", folder)
    assert error_of(call, *triton, "--variant", "fp16").startswith("--triton needs a file of the")
    text = error_of(call, *triton, "--variant", "sparse-int8")
    assert "sparse-int8: on a GPU" in text and "--triton-device cpu" in text
    text = error_of(call, *triton, "--variant", "int4")
    assert text.startswith("--variant int4: choose fp32")
    assert "choose cuda or cpu" in error_of(call, *triton, "--triton-device", "tpu")
    assert "needs --triton, the model repository" in error_of(call, run, "--triton-device", "cpu")
    assert not folder.exists()


def test_unusable_folders_are_rejected(
    call: Call, run: Path, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file is a file" in error_of(call, run, "--triton", tmp_path / "file")
    text = error_of(call, run, "--triton", tmp_path / "file" / "models")
    assert "models cannot be written to (" in text
    text = error_of(call, run, "--triton", tmp_path)
    assert "overlaps with" in text and str(run) in text
    assert "overlaps with" in error_of(call, run, "--triton", run / "onnx" / "models")
    both = ("--triton", tmp_path / "both" / "models", "--hub", tmp_path / "both")
    assert "overlaps with" in error_of(call, run, *both)
    other = tmp_path / "other"
    (other / "resnet").mkdir(parents=True)
    (other / ".git").mkdir()
    text = error_of(call, run, "--triton", other)
    assert text.startswith(f"--triton {other} contains resnet, which lxcompress did not write")
    (other / "resnet" / "config.pbtxt").write_text('name: "resnet"')
    assert "contains resnet" in error_of(call, run, "--triton", other)
    (other / "resnet" / "config.pbtxt").unlink()
    text = error_of(call, tiny_model, "--data", tiny_data, "--triton", tmp_path / "models")
    assert "--triton needs a ticket" in text and "mask.safetensors" in text
    assert not (tmp_path / "models").exists()


def test_a_failed_write_leaves_nothing_behind(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(Exception, match="no space left"):
        patch.setattr(shutil, "copyfile", full)
        write_models(run, tmp_path / "models", "sparse-int8")
    assert list((tmp_path / "models").iterdir()) == []
    # Temporary files of a killed process are removed.
    leftover = tmp_path / "models" / ".tiny-sparse-int8.tmp-99999999"
    (leftover / "1").mkdir(parents=True)
    model = write_models(run, tmp_path / "models", "sparse-int8")
    assert list((tmp_path / "models").iterdir()) == [model]


def test_default_variants_are_sparse() -> None:
    assert set(DEFAULT_VARIANTS.values()) <= set(VARIANTS)
