"""The client in a model's folder, against a server with Triton's protocol."""

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import Tokenizer
from triton_server import Model, serve

from exporters.runtime import OnnxVqaModel, pad_regions
from lxcompress.data.dataset import Dataset
from lxcompress.vision.regions import Regions


def questions_and_regions(dataset: Dataset, count: int) -> tuple[list[str], list[Regions]]:
    """Questions, and the regions of their pictures, which differ in number."""
    split = dataset.split("val")
    questions = split.questions[:: len(split.questions) // count][:count]
    pictures = []
    for question in questions:
        batch = split.regions.gather([question.image_id])
        pictures.append(Regions(batch.features[0].astype(np.float32), batch.boxes[0]))
    assert len({len(picture.features) for picture in pictures}) > 1
    return [question.text for question in questions], pictures


def load_client(model: Path) -> SimpleNamespace:
    """The client in a model's folder, as a module."""
    return SimpleNamespace(**runpy.run_path(str(model / "client.py")))


@pytest.mark.parametrize("variant", ["sparse-fp32", "sparse-fp16"])
def test_the_client_gets_the_answers_of_the_onnx_file(
    repository: Path, tiny_exported: Path, tiny_dataset: Dataset, variant: str
) -> None:
    model = repository / f"tiny-{variant}"
    questions, pictures = questions_and_regions(tiny_dataset, 8)
    file = tiny_exported / "onnx" / f"model_{variant.replace('-', '_')}.onnx".replace("_fp32", "")
    local = OnnxVqaModel(file, threads=1)
    logits = local.logits(local.encode(questions) | pad_regions(pictures))
    with serve(repository) as (address, server):
        client = load_client(model).TritonVqaModel(address, model)
        sent = [(picture.features, picture.boxes) for picture in pictures]
        answers = client.answer(questions, sent, top=3)
        client.client.close()
    (inputs,) = server.models[model.name].received
    assert {array.shape[:2] for name, array in inputs.items() if name.startswith("visual")} == {
        (8, 10)
    }
    assert inputs["input_ids"].shape == (8, 20)
    assert [row[0][0] for row in answers] == local.answer(questions, pictures)
    for row, expected in zip(answers, logits, strict=True):
        assert [local.labels.index(answer) for answer, _ in row] == list(np.argsort(-expected)[:3])
        returned = [logit for _, logit in row]
        assert returned == pytest.approx(sorted(expected, reverse=True)[:3], abs=0.02)


def test_requests_of_two_clients_can_be_batched(repository: Path, tiny_dataset: Dataset) -> None:
    """Each request gets the same logits in a batch with others as alone."""
    model = repository / "tiny-sparse-fp32"
    questions, pictures = questions_and_regions(tiny_dataset, 4)
    loaded = Model(model)
    with serve(repository) as (address, _):
        client = load_client(model).TritonVqaModel(address, model)
        client.client.close()
    requests = [
        client.encode([question], [(picture.features, picture.boxes)])
        for question, picture in zip(questions, pictures, strict=True)
    ]
    batched = loaded.run(loaded.join(*requests))
    alone = np.concatenate([loaded.run(request) for request in requests])
    assert np.allclose(batched, alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 0.01  # the questions differ


def test_the_tokenizer_truncates_and_pads(repository: Path, tiny_exported: Path) -> None:
    model = OnnxVqaModel(tiny_exported / "onnx" / "model_sparse.onnx", threads=1)
    tokenizer = Tokenizer.from_file(str(repository / "tiny-sparse-fp32" / "tokenizer.json"))
    for question in ("", "what color is it?", "is " * 50, "a \x00 <b>"):
        (expected,) = model.encode([question])["input_ids"]
        encoding = tokenizer.encode(question)
        assert len(encoding.ids) == 20
        assert encoding.ids[: len(expected)] == expected.tolist()
        assert sum(encoding.attention_mask) == len(expected)


@pytest.mark.parametrize("suffix", [".npz", ".png"])
def test_the_client_as_a_command(
    repository: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = repository / "tiny-sparse-fp32"
    picture = next((tiny_dataset.folder / "images" / "val").iterdir())
    client = load_client(model)
    regions = client.read_regions(picture, "pixel")
    given = picture if suffix == ".png" else tmp_path / "picture.npz"
    np.savez(tmp_path / "picture.npz", features=regions[0], boxes=regions[1])
    with serve(repository) as (address, _):
        words = ["what color is it?", "how many?", "--server", address, "--top", "2"]
        monkeypatch.setattr(sys, "argv", ["client.py", str(given), *words])
        runpy.run_path(str(model / "client.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[3]] == words[:2] and len(lines) == 6
    assert all(re.fullmatch(r"  \S.* \(-?\d+\.\d\d\)", lines[row]) for row in (1, 2, 4, 5))


def test_the_client_rejects_no_regions_and_too_many(repository: Path) -> None:
    model = repository / "tiny-sparse-fp32"
    with serve(repository) as (address, _):
        client = load_client(model).TritonVqaModel(address, model)
        client.client.close()
    for count in (0, 11):
        picture = (np.ones((count, 107), np.float32), np.ones((count, 4), np.float32))
        with pytest.raises(ValueError, match=f"a picture has {count} regions; 1 to 10"):
            client.encode(["what?"], [picture])
