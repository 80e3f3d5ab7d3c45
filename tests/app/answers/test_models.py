"""The answers of the ticket and the dense model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.answers.models import Answer, Model, Models
from app.answers.service import Service
from exporters.runtime import OnnxVqaModel, pad_regions
from lxcompress.errors import ModelError
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Regions


def test_answers_and_probabilities_are_those_of_the_files(
    tiny_exported: Path, service: Service, scene: Path
) -> None:
    question = "how many red shapes are there?"
    reply = service.ask(scene, "  how many red\n shapes are there? ")
    assert reply.question == question and reply.objection is None and reply.notes == []
    (regions,) = PixelDetector().detect([open_picture(scene)])
    for answer, file in ((reply.main, "model_sparse_int8.onnx"), (reply.dense, "model.onnx")):
        assert answer
        model = OnnxVqaModel(tiny_exported / "onnx" / file, threads=1)
        (logits,) = model.logits(model.encode([question]) | pad_regions([regions]))
        order = np.argsort(-logits, kind="stable")[:5]
        assert [text for text, _ in answer.likeliest] == [model.labels[index] for index in order]
        probabilities = [probability for _, probability in answer.likeliest]
        np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits[order])), rtol=1e-5)
        assert answer.attention.shape == (len(regions.boxes),)
        assert answer.attention.sum() == pytest.approx(1, abs=1e-5)
        assert 0 < answer.milliseconds < 1000
        assert model.answer([question], [regions]) == [answer.text]
    assert (
        service.models.main.bytes == (tiny_exported / "onnx/model_sparse_int8.onnx").stat().st_size
    )
    assert service.models.main.sparsity == pytest.approx(0.5, abs=0.01)
    assert service.models.dense and service.models.dense.sparsity is None


@pytest.mark.parametrize(("rounds", "median"), [(1, 9.0), (2, 5.0), (4, 5.0)])
def test_the_first_of_several_rounds_does_not_count(
    scene: Path, rounds: int, median: float
) -> None:
    order = []

    class Timed(Model):
        def __init__(self, name: str) -> None:
            self.name, self.times = name, iter([9.0, 5.0, 1.0, 7.0])

        def answer(self, question: str, regions: Regions) -> Answer:
            order.append(self.name)
            return Answer([("yes", 1.0)], next(self.times), np.zeros(1))

    (regions,) = PixelDetector().detect([open_picture(scene)])
    firsts = set()
    for _ in range(20):
        models = Models(Timed("ticket"), Timed("dense"), rounds)
        answers = models.answer("is there a circle?", regions)
        assert [answer and answer.milliseconds for answer in answers] == [median, median]
        assert sorted(order) == ["dense"] * rounds + ["ticket"] * rounds
        firsts.add(order[0])
        order.clear()
    assert firsts == {"ticket", "dense"}


def test_files_with_different_answers_are_rejected(tiny_exported: Path, tmp_path: Path) -> None:
    onnx = tiny_exported / "onnx"
    models = Models(
        Model(onnx / "model_sparse.onnx", "cpu", 1), Model(onnx / "model.onnx", "cpu", 1)
    )
    assert models.dense and models.main.labels == models.dense.labels
    other = with_other_labels(onnx / "model.onnx", tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="different answers"):
        Models.open(onnx / "model_sparse.onnx", other, "cpu", 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_no_answer(
    tiny_exported: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    found = OnnxVqaModel.logits_and_attention

    def broken(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        logits, attention = found(*arguments)
        logits[0, 1] = value
        return logits, attention

    monkeypatch.setattr(OnnxVqaModel, "logits_and_attention", broken)
    with pytest.raises(ModelError, match="NaN or infinite"):
        Models.open(tiny_exported / "onnx" / "model.onnx", None, "cpu", 1)


def with_other_labels(path: Path, target: Path) -> Path:
    import onnx

    model = onnx.load(path)
    (entry,) = (item for item in model.metadata_props if item.key == "labels")
    entry.value = json.dumps([f"{label}!" for label in json.loads(entry.value)])
    onnx.save(model, target)
    return target
