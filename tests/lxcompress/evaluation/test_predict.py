"""Prediction: every question gets its own answer, whatever the batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lxcompress.data.batches import EncodedQuestions, model_inputs
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ModelError
from lxcompress.evaluation import predict as evaluation
from lxcompress.evaluation.predict import evaluate, predict
from lxcompress.model.lxmert import load_model
from lxcompress.model.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset, tiny_model: Path) -> EncodedQuestions:
    split = tiny_dataset.split("val")
    return EncodedQuestions(
        split.questions, split.regions, load_tokenizer(tiny_model), max_tokens=20
    )


def test_each_question_gets_its_own_answer(
    data: EncodedQuestions, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_model)
    with torch.no_grad():  # so that answers differ from question to question
        model.answer_head.logit_fc[3].weight.normal_(generator=torch.Generator().manual_seed(2))
        pooled = []
        for row in range(len(data)):
            inputs = model_inputs(data[[row]], torch.device("cpu"))
            pooled.append(model.eval()(**inputs).question_answering_score[0])
        logits = torch.stack(pooled)
        model.answer_head.logit_fc[3].bias -= logits.mean(0)
    expected = [["yes", "no", "zebra"][i] for i in (logits - logits.mean(0)).argmax(1).tolist()]
    assert len(set(expected)) == 3
    for size in (7, 512):
        monkeypatch.setattr(evaluation, "batch_size", lambda data, size=size: size)
        found = predict(model.train(), data, torch.device("cpu"))
        assert list(found) == [question.question_id for question in data.questions]
        assert list(found.values()) == expected


def test_logits_come_with_the_rows_of_their_questions(
    data: EncodedQuestions, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_model)
    monkeypatch.setattr(evaluation, "batch_size", lambda data: 50)
    forward = evaluation.pytorch_forward(model, torch.device("cpu"))
    batches = list(evaluation.predict_logits(forward, data, description="Answering", workers=0))
    assert [len(rows) for rows, _ in batches] == [50, 50, 20]
    rows = np.concatenate([rows for rows, _ in batches])
    assert sorted(rows.tolist()) == list(range(120)) != rows.tolist()
    logits = np.concatenate([logits for _, logits in batches])
    assert logits.dtype == np.float32 and logits.shape == (120, 3)
    for row, found in zip(rows.tolist(), logits, strict=True):
        with torch.no_grad():
            inputs = model_inputs(data[[row]], torch.device("cpu"))
            alone = model(**inputs).question_answering_score[0]
        torch.testing.assert_close(torch.from_numpy(found), alone)


def test_the_score_is_that_of_the_answers(data: EncodedQuestions, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    with torch.no_grad():
        model.answer_head.logit_fc[3].bias.copy_(torch.tensor([0.0, 1e3, 0.0]))  # always "no"
    found = evaluate(model, data, torch.device("cpu"))
    right = [question.answers == ("no",) * 10 for question in data.questions]
    assert 0 < sum(right) < len(right)
    assert found.metric == "VQA v2 accuracy"
    assert found.overall == pytest.approx(100 * sum(right) / len(right))
    assert found.accuracy()["number"] == 0


def test_a_model_that_does_not_name_its_answers(data: EncodedQuestions, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    model.config.id2label = {0: "yes"}
    with pytest.raises(ModelError, match="names 1 answers"):
        predict(model, data, torch.device("cpu"))


@pytest.mark.parametrize(
    ("regions", "features", "expected"), [(36, 2048, 128), (6, 107, 512), (100, 4096, 32)]
)
def test_batches_are_small_where_pictures_are_large(
    regions: int, features: int, expected: int, data: EncodedQuestions
) -> None:
    class Regions:
        max_regions, feature_size = regions, features

    class Data:
        pass

    some = Data()
    some.regions = Regions()  # type: ignore[attr-defined]
    assert evaluation.batch_size(some) == expected  # type: ignore[arg-type]


def test_logits_that_are_not_finite_are_no_answer(data: EncodedQuestions, tiny_model: Path) -> None:
    """Finite weights can be too large to compute with."""
    model = load_model(tiny_model)
    with torch.no_grad():
        model.answer_head.logit_fc[3].weight.fill_(3e38)
    with pytest.raises(ModelError, match=r"the logits of question \d+ are NaN or infinite"):
        predict(model, data, torch.device("cpu"))
