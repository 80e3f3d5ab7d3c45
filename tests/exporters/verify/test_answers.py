"""Logits and accuracy of a file agree with PyTorch within the tolerance of its precision."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import FILES, in_onnx
from transformers import LxmertForQuestionAnswering
from verified import Original, file_of, with_other_weights

from exporters.encodings.encode_model import encode_model
from exporters.graph.onnx_file import OnnxFile, write_model
from exporters.graph.trace import build_graph
from exporters.variants import VARIANTS
from exporters.verify import answers as module
from exporters.verify.answers import check_answers
from lxcompress.data.batches import EncodedQuestions
from lxcompress.errors import ModelError
from lxcompress.evaluation.predict import evaluate
from lxcompress.evaluation.scoring import score
from lxcompress.model.tokenizer import load_tokenizer


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("sparse")])
def test_figures_of_good_answers(tiny_exported: Path, ticket: Original, name: str) -> None:
    file = file_of(tiny_exported, name)
    found = check_answers(file, ticket.questions, ticket.reference, "cpu")
    batch = ticket.questions[list(range(120))]
    inputs = {
        key: batch[key].numpy().astype(np.float32 if "visual_" in key[:7] else np.int64)
        for key in (
            *("input_ids", "attention_mask", "token_type_ids"),
            *("visual_feats", "visual_pos", "visual_attention_mask"),
        )
    }
    inputs["visual_attention_mask"] = inputs["visual_attention_mask"].astype(np.int64)
    logits = in_onnx(file.path, inputs).astype(np.float64)
    # int8 activations are scaled for each batch, and the batches differ.
    rough = 0.2 if name.endswith("int8") else 0.01
    off, spread = logits - ticket.reference, ticket.reference.std(axis=1).mean()
    relative = np.sqrt(np.mean(off**2)) / spread
    assert found.relative_logit_difference == pytest.approx(relative, rough, 1e-6)
    assert found.largest_logit_difference == pytest.approx(np.abs(off).max(), rough, 1e-5)
    same = (logits.argmax(axis=1) == ticket.reference.argmax(axis=1)).mean()
    assert found.same_answers == pytest.approx(same, abs=0.03 * name.endswith("int8"))
    assert found.questions == 120
    official = evaluate(ticket.model, ticket.questions, torch.device("cpu")).accuracy()
    assert found.accuracy_in_pytorch == official
    if name == "sparse-fp32":
        assert found.accuracy == official


def test_reference_logits_are_those_of_pytorch(ticket: Original) -> None:
    rows = [5, 99, 0]
    batch = ticket.questions[rows]
    stock = LxmertForQuestionAnswering(ticket.model.config).eval()
    stock.load_state_dict(ticket.model.state_dict())
    with torch.inference_mode():
        expected = stock(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            token_type_ids=batch["token_type_ids"],
            visual_feats=batch["visual_feats"].float(),
            visual_pos=batch["visual_pos"],
            visual_attention_mask=batch["visual_attention_mask"],
        ).question_answering_score
    np.testing.assert_allclose(ticket.reference[rows], expected.numpy(), rtol=1e-4, atol=1e-5)


def export_file(
    original: Original, name: str, model: LxmertForQuestionAnswering, folder: Path
) -> OnnxFile:
    """A file of other weights than the original's."""
    parameters = dict(model.named_parameters())
    graph = build_graph(original.model.config)
    encoded = encode_model(graph, parameters, VARIANTS[name], original.answers)
    write_model(encoded, folder / "model.onnx")
    return OnnxFile(folder / "model.onnx")


@pytest.mark.parametrize(("name", "noise"), [("fp32", 3e-3), ("fp16", 6e-2), ("int8", 0.6)])
def test_logits_beyond_the_tolerance(
    ticket: Original, tmp_path: Path, name: str, noise: float
) -> None:
    """Three times the tolerance is rejected, a third of it is not."""
    passed, spread = [], ticket.reference.std(axis=1).mean()
    for share in (1, 0.1):
        bias = share * noise * spread * torch.tensor([1.0, -1.0])

        def change(parameters: dict[str, torch.Tensor], bias: torch.Tensor = bias) -> None:
            last = parameters["answer_head.logit_fc.3.bias"]
            last.add_(bias.repeat(len(last))[: len(last)])

        file = export_file(ticket, name, with_other_weights(ticket, change), tmp_path)
        try:
            passed.append(check_answers(file, ticket.questions, ticket.reference, "cpu"))
        except ModelError as problem:
            assert "its logits differ by" in str(problem) and name in str(problem)
            assert share == 1
    (found,) = passed
    assert found.relative_logit_difference > 0


def test_logits_that_are_nan(ticket: Original, tmp_path: Path) -> None:
    def change(parameters: dict[str, torch.Tensor]) -> None:
        parameters["answer_head.logit_fc.3.bias"][0] = float("nan")

    file = export_file(ticket, "fp32", with_other_weights(ticket, change), tmp_path)
    with pytest.raises(ModelError, match="its logits differ by nan"):
        check_answers(file, ticket.questions, ticket.reference, "cpu")


def test_a_model_of_constant_logits(tiny_exported: Path, ticket: Original) -> None:
    """Their standard deviation is 0, and a difference must still be found."""
    flat = np.zeros_like(ticket.reference)
    with pytest.raises(ModelError, match="its logits differ by"):
        check_answers(file_of(tiny_exported, "sparse-fp32"), ticket.questions, flat, "cpu")


def test_lost_accuracy(ticket: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With logits that differ little on average."""
    labels, questions = ticket.answers.labels, ticket.questions.questions
    always = {
        label: score({q.question_id: label for q in questions}, questions).accuracy()["overall"]
        or 0.0
        for label in labels
    }
    worst = min(labels, key=lambda label: always[label])

    def change(parameters: dict[str, torch.Tensor]) -> None:
        parameters["answer_head.logit_fc.3.bias"][labels.index(worst)] += 1000

    file = export_file(ticket, "fp32", with_other_weights(ticket, change), tmp_path)
    monkeypatch.setitem(module.LOGIT_TOLERANCE, "fp32", float("inf"))
    before = evaluate(ticket.model, ticket.questions, torch.device("cpu")).accuracy()["overall"]
    assert before is not None
    lost = before - always[worst]
    assert lost > 2
    message = rf"loses {lost:.2f} points of accuracy, the tolerance of fp32 is 0\.93$"
    with pytest.raises(ModelError, match=message):
        check_answers(file, ticket.questions, ticket.reference, "cpu")
    # Besides the tolerance, one of the 120 questions may be lost.
    monkeypatch.setitem(module.ACCURACY_TOLERANCE, "fp32", lost - 0.82)
    assert check_answers(file, ticket.questions, ticket.reference, "cpu").same_answers < 0.9


def test_questions_without_answers(tiny_exported: Path, ticket: Original) -> None:
    unanswered = EncodedQuestions(
        [replace(question, answers=(), scores={}) for question in ticket.questions.questions],
        ticket.questions.regions,
        load_tokenizer(tiny_exported / "ticket"),
        max_tokens=20,
    )
    file = file_of(tiny_exported, "sparse-fp16")
    found = check_answers(file, unanswered, ticket.reference, "cpu")
    assert found.accuracy is found.accuracy_in_pytorch is None
    assert found.same_answers > 0.9


def test_tolerances_are_those_of_the_documentation() -> None:
    assert module.LOGIT_TOLERANCE == {"fp32": 1e-3, "fp16": 2e-2, "int8": 2e-1}
    assert module.ACCURACY_TOLERANCE == {"fp32": 0.1, "fp16": 0.25, "int8": 0.5}
