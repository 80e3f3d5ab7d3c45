"""A model repository for Triton: its configuration by Triton's own schema, and its client."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from exported import stock
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from triton_server import Model, read_config, read_labels, schema, serve

from exporters.graph.onnx_file import OnnxFile, data_file, file_hashes, write_model
from exporters.records import ExportReport
from exporters.runtime.vqa_model import OnnxVqaModel, pad_regions
from exporters.source import Source
from exporters.targets.triton.config import triton_config
from exporters.targets.triton.repository import DEFAULTS, write_triton
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ModelError
from lxcompress.system.text import one_line
from lxcompress.vision.regions import Regions

Call = Callable[..., tuple[int, str, str]]
VARIANTS = ["sparse-fp32", "sparse-fp16", "sparse-int8"]
ORT_TYPES = {"tensor(int64)": schema.TYPE_INT64, "tensor(float)": schema.TYPE_FP32}
FILES = {"config.pbtxt", "labels.txt", "tokenizer.json", "client.py", "README.md", "1"}


def write(run: Path, folder: Path, *variants: str, device: str = "cpu", name: str = "tiny") -> Path:
    """The first of the models."""
    source = Source.of(run, None, None)
    report = ExportReport.read(source.onnx)
    first, *_ = write_triton(source, report, variants, folder, device, name)
    return first


@pytest.fixture(scope="module")
def repository(tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three variants; do not write to it."""
    folder = tmp_path_factory.mktemp("triton") / "models"
    write(tiny_exported, folder, *VARIANTS)
    return folder


@pytest.fixture
def run(tiny_exported: Path, tmp_path: Path) -> Path:
    """An exported run that may be spoilt."""
    return Path(shutil.copytree(tiny_exported, tmp_path / "run"))


def change_file(run: Path, name: str, change: Callable[[Any], None], **how: Any) -> None:
    """Change an exported file as if the export had made it so."""
    path = run / "onnx" / name
    model = onnx.load(str(path))
    change(model)
    write_model(model, path, **how)
    report = json.loads((run / "onnx" / "export.json").read_text())
    report["files"][name]["sha256"] = file_hashes(path)
    (run / "onnx" / "export.json").write_text(json.dumps(report))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def pictures_of(dataset: Dataset, count: int) -> tuple[list[str], list[Regions]]:
    """Questions, and the regions of their pictures: not as many in each."""
    split = dataset.split("val")
    questions = split.questions[:: len(split.questions) // count][:count]
    pictures = []
    for question in questions:
        batch = split.regions.gather([question.image_id])
        pictures.append(Regions(batch.features[0].astype(np.float32), batch.boxes[0]))
    assert len({len(picture.features) for picture in pictures}) > 1
    return [question.text for question in questions], pictures


def client_of(model: Path) -> SimpleNamespace:
    """The client that lies in a model's folder, as a module."""
    return SimpleNamespace(**runpy.run_path(str(model / "client.py")))


# -- The configuration ------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_tensors_are_those_of_the_file(repository: Path, variant: str) -> None:
    model = repository / f"tiny-{variant}"
    config, session = read_config(model), stock(model / "1" / "model.onnx")
    for told, found in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [tensor.name for tensor in told] == [value.name for value in found]
        for tensor, value in zip(told, found, strict=True):
            assert tensor.data_type == ORT_TYPES[value.type]
            batch, *dims = value.shape
            assert batch == "batch"  # first, in every tensor, and of any size
            assert list(tensor.dims) == [-1 if isinstance(dim, str) else dim for dim in dims]


def test_configuration(repository: Path, tiny_exported: Path, tmp_path: Path) -> None:
    config = read_config(repository / "tiny-sparse-int8")
    assert (config.name, config.platform) == ("tiny-sparse-int8", "onnxruntime_onnx")
    assert config.backend == "onnxruntime"
    assert config.max_batch_size == 8 and config.dynamic_batching.max_queue_delay_microseconds
    assert [(group.kind, group.count) for group in config.instance_group] == [
        (schema.ModelInstanceGroup.KIND_CPU, 1)
    ]
    assert config.version_policy.latest.num_versions == 1
    told = {key: value.string_value for key, value in config.parameters.items()}
    assert all(key.startswith("lxcompress.") for key in told)
    about = OnnxFile(tiny_exported / "onnx" / "model_sparse_int8.onnx").metadata
    assert told["lxcompress.version"] == about["lxcompress"]
    assert json.loads(told["lxcompress.sparsity"])["prunable"] == pytest.approx(0.5, abs=0.01)
    assert told["lxcompress.max_tokens"] == about["max_tokens"] == "20"
    assert (told["lxcompress.regions"], told["lxcompress.detector"]) == ("10", "pixel")
    on_gpu = read_config(write(tiny_exported, tmp_path, "sparse-fp16", device="cuda"))
    assert [group.kind for group in on_gpu.instance_group] == [schema.ModelInstanceGroup.KIND_GPU]


def test_unknown_fields_are_found(repository: Path) -> None:
    text = (repository / "tiny-sparse-int8" / "config.pbtxt").read_text()
    for wrong in ("preferred_batch: 4", 'instance_group [ { kind: "GPU" } ]'):
        with pytest.raises(text_format.ParseError):
            text_format.Parse(f"{text}\n{wrong}", schema.ModelConfig())


@settings(max_examples=50, deadline=None)
@given(value=st.text() | st.text("\"\\\n#{}[]'\r\x00"))
def test_any_words_fit(value: str, tiny_exported: Path) -> None:
    file = OnnxFile(tiny_exported / "onnx" / "model_sparse.onnx", graph_only=True)
    told = {"version": "1", "variant": "sparse-fp32", "detector": value}
    config = text_format.Parse(triton_config(file, "name", "cpu", told), schema.ModelConfig())
    assert config.parameters["lxcompress.detector"].string_value == one_line(value)
    assert len(config.input) == 6 and len(config.parameters) == 3


@pytest.mark.parametrize("name", ["a/b c", "Größe", "..", "", "-x.y-", '"; }'])
def test_any_name_of_a_run(tiny_exported: Path, tmp_path: Path, name: str) -> None:
    model = write(tiny_exported, tmp_path, "sparse-int8", name=name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*-sparse-int8", model.name)
    assert model.parent == tmp_path and read_config(model).name == model.name


# -- The files --------------------------------------------------------------------------------


def test_files(repository: Path, tiny_exported: Path) -> None:
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


def test_labels(run: Path, tmp_path: Path, tiny_dataset: Dataset) -> None:
    labels = tiny_dataset.answers
    model = write(run, tmp_path / "plain", "sparse-int8")
    assert read_labels(model, "labels.txt") == labels
    # Each line break that any reader may know, and nothing at all.
    hostile = ["a\nb", "", "c\r\nd\u2028e\n", "\n", *labels[4:]]

    def rename(made: Any) -> None:
        (entry,) = (item for item in made.metadata_props if item.key == "labels")
        entry.value = json.dumps(hostile)

    change_file(run, "model_sparse_int8.onnx", rename)
    model = write(run, tmp_path / "hostile", "sparse-int8")
    found = read_labels(model, "labels.txt")
    assert found[:4] == ["a b", "", "c d e", ""] and found[4:] == labels[4:]
    assert (model / "labels.txt").read_text().splitlines() == found


def test_external_data(run: Path, tmp_path: Path) -> None:
    """A model of over 2 GiB is two files, of which the first knows the second's name."""
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
    model = write(run, tmp_path / "models", "sparse-fp32")
    assert {path.name for path in (model / "1").iterdir()} == {"model.onnx", f"{name}_data"}
    shutil.rmtree(run)
    assert np.array_equal(Model(model).run(inputs), expected)


def test_a_file_that_was_not_checked(run: Path, tmp_path: Path) -> None:
    with open(run / "onnx" / "model_sparse.onnx", "ab") as file:
        file.write(b"\x00")
    with pytest.raises(ModelError):
        write(run, tmp_path / "models", "sparse-fp32")
    assert not (tmp_path / "models" / "tiny-sparse-fp32").exists()
    assert content(tmp_path / "models") == {}


# -- The client -------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["sparse-fp32", "sparse-fp16"])
def test_client_gives_the_file_s_answers(
    repository: Path, tiny_exported: Path, tiny_dataset: Dataset, variant: str
) -> None:
    model = repository / f"tiny-{variant}"
    questions, pictures = pictures_of(tiny_dataset, 8)
    file = tiny_exported / "onnx" / f"model_{variant.replace('-', '_')}.onnx".replace("_fp32", "")
    ours = OnnxVqaModel(file, threads=1)
    logits = ours.logits(ours.encode(questions) | pad_regions(pictures))
    with serve(repository) as (address, server):
        asked = client_of(model).TritonVqaModel(address, model)
        sent = [(picture.features, picture.boxes) for picture in pictures]
        found = asked.answer(questions, sent, top=3)
        asked.client.close()
    (inputs,) = server.models[model.name].received
    assert {array.shape[:2] for name, array in inputs.items() if name.startswith("visual")} == {
        (8, 10)
    }
    assert inputs["input_ids"].shape == (8, 20)
    assert [row[0][0] for row in found] == ours.answer(questions, pictures)
    for row, expected in zip(found, logits, strict=True):
        assert [ours.labels.index(answer) for answer, _ in row] == list(np.argsort(-expected)[:3])
        told = [logit for _, logit in row]
        assert told == pytest.approx(sorted(expected, reverse=True)[:3], abs=0.02)


def test_requests_are_joined(repository: Path, tiny_dataset: Dataset) -> None:
    """What two clients send fits into one batch, which gives each what it gets alone."""
    model = repository / "tiny-sparse-fp32"
    questions, pictures = pictures_of(tiny_dataset, 4)
    loaded = Model(model)
    with serve(repository) as (address, _):
        asked = client_of(model).TritonVqaModel(address, model)
        asked.client.close()
    requests = [
        asked.arrays([question], [(picture.features, picture.boxes)])
        for question, picture in zip(questions, pictures, strict=True)
    ]
    together = loaded.run(loaded.join(*requests))
    alone = np.concatenate([loaded.run(request) for request in requests])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 0.01  # they are not all the same question


def test_tokenizer_cuts_and_pads(repository: Path, tiny_exported: Path) -> None:
    ours = OnnxVqaModel(tiny_exported / "onnx" / "model_sparse.onnx", threads=1)
    tokenizer = Tokenizer.from_file(str(repository / "tiny-sparse-fp32" / "tokenizer.json"))
    for question in ("", "what color is it?", "is " * 50, "a \x00 <b>"):
        (expected,) = ours.encode([question])["input_ids"]
        found = tokenizer.encode(question)
        assert len(found.ids) == 20
        assert found.ids[: len(expected)] == expected.tolist()
        assert sum(found.attention_mask) == len(expected)


@pytest.mark.parametrize("suffix", [".npz", ".png"])
def test_client_as_a_command(
    repository: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = repository / "tiny-sparse-fp32"
    picture = next((tiny_dataset.folder / "images" / "val").iterdir())
    asked = client_of(model)
    regions = asked.read_regions(picture, "pixel")
    given = picture if suffix == ".png" else tmp_path / "picture.npz"
    np.savez(tmp_path / "picture.npz", features=regions[0], boxes=regions[1])
    with serve(repository) as (address, _):
        words = ["what color is it?", "how many?", "--server", address, "--top", "2"]
        monkeypatch.setattr(sys, "argv", ["client.py", str(given), *words])
        runpy.run_path(str(model / "client.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[3]] == words[:2] and len(lines) == 6
    assert all(re.fullmatch(r"  \S.* \(-?\d+\.\d\d\)", lines[row]) for row in (1, 2, 4, 5))


def test_client_takes_no_more_regions_than_it_says(repository: Path) -> None:
    model = repository / "tiny-sparse-fp32"
    with serve(repository) as (address, _):
        asked = client_of(model).TritonVqaModel(address, model)
        asked.client.close()
    for count in (0, 11):
        picture = (np.ones((count, 107), np.float32), np.ones((count, 4), np.float32))
        with pytest.raises(ValueError, match=f"a picture has {count} regions; 1 to 10"):
            asked.arrays(["what?"], [picture])


# -- The command ------------------------------------------------------------------------------


def error_of(call: Call, *arguments: object) -> str:
    code, _, err = call("export", *arguments)
    lines = err.splitlines()
    assert code == 2 and len(lines) == 1 and lines[0].startswith("error: "), (code, err)
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ((), ["sparse-fp16"]),
        (("--triton-device", "cpu"), ["sparse-int8"]),
        (("--variant", "sparse-fp32", "--variant", "fp32"), ["sparse-fp32"]),
    ],
)
def test_command(
    call: Call, run: Path, tmp_path: Path, options: Sequence[str], made: list[str]
) -> None:
    folder = tmp_path / "deep" / "models"
    code, out, err = call("export", run, "--triton", folder, *options)
    assert (code, err) == (0, "")
    assert [path.name for path in folder.iterdir()] == [f"run-{variant}" for variant in made]
    assert str(folder / f"run-{made[0]}" / "README.md") in out
    for model in folder.iterdir():
        Model(model)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert call("export", run, "--triton", folder, *options)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    # Another variant, and another run, find their place beside.
    more = (run, "--triton", folder, "--triton-device", "cpu", "--variant", "sparse-int8")
    assert call("export", *more)[0] == 0
    assert {"run-sparse-int8", *(path.name for path in before if path.parent == folder)} == {
        path.name for path in folder.iterdir()
    }


def test_what_was_tuned_is_left_alone(call: Call, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    model = write(run, folder, "sparse-fp16", device="cuda", name="run")
    with open(model / "config.pbtxt", "a") as file:
        file.write("response_cache { enable: true }\n")
    before = content(folder)
    text = error_of(call, run, "--triton", folder)
    assert f"{model} is there already and its config.pbtxt differs" in text
    assert content(folder) == before
    shutil.rmtree(model)
    assert call("export", run, "--triton", folder)[0] == 0
    (model / "1" / "model.onnx").write_bytes(b"another")
    assert "its 1/model.onnx differs" in error_of(call, run, "--triton", folder)
    assert (model / "1" / "model.onnx").read_bytes() == b"another"


def test_choices_that_triton_cannot_use(call: Call, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    triton = (run, "--triton", folder)
    assert error_of(call, *triton, "--variant", "fp16").startswith("--triton needs a file of the")
    text = error_of(call, *triton, "--variant", "sparse-int8")
    assert "sparse-int8: on a GPU" in text and "--triton-device cpu" in text
    text = error_of(call, *triton, "--variant", "int4")
    assert text.startswith("--variant int4: choose fp32")
    assert "choose cuda or cpu" in error_of(call, *triton, "--triton-device", "tpu")
    assert "goes with --triton" in error_of(call, run, "--triton-device", "cpu")
    assert not folder.exists()


def test_places_that_cannot_be_taken(
    call: Call, run: Path, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file is a file" in error_of(call, run, "--triton", tmp_path / "file")
    text = error_of(call, run, "--triton", tmp_path / "file" / "models")
    assert "is no folder that can be written to" in text
    text = error_of(call, run, "--triton", tmp_path)
    assert "lie in each other" in text and str(run) in text
    assert "lie in each other" in error_of(call, run, "--triton", run / "onnx" / "models")
    both = ("--triton", tmp_path / "both" / "models", "--hub", tmp_path / "both")
    assert "lie in each other" in error_of(call, run, *both)
    other = tmp_path / "other"
    (other / "resnet").mkdir(parents=True)
    (other / ".git").mkdir()
    text = error_of(call, run, "--triton", other)
    assert text.startswith(f"--triton {other} holds resnet, which is no model of lxcompress")
    (other / "resnet" / "config.pbtxt").write_text('name: "resnet"')
    assert "holds resnet" in error_of(call, run, "--triton", other)
    (other / "resnet" / "config.pbtxt").unlink()
    text = error_of(call, tiny_model, "--data", tiny_data, "--triton", tmp_path / "models")
    assert "--triton needs a ticket" in text and "mask.safetensors" in text
    assert not (tmp_path / "models").exists()


def test_nothing_half_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(Exception, match="no space left"):
        patch.setattr(shutil, "copyfile", full)
        write(run, tmp_path / "models", "sparse-int8")
    assert list((tmp_path / "models").iterdir()) == []
    # What a killed process left behind is no obstacle, and goes.
    leftover = tmp_path / "models" / ".tiny-sparse-int8.tmp-99999999"
    (leftover / "1").mkdir(parents=True)
    model = write(run, tmp_path / "models", "sparse-int8")
    assert list((tmp_path / "models").iterdir()) == [model]


def test_defaults_are_tickets() -> None:
    assert set(DEFAULTS.values()) <= set(VARIANTS)
