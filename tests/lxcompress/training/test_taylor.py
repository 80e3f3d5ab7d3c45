"""Taylor scores against gates that are really in the network, and against autograd."""

from pathlib import Path

import pytest
import torch
from tiny import settings
from torch import nn
from transformers import LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.data.batches import EncodedQuestions, training_batches
from lxcompress.data.dataset import Dataset
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers, unit_sizes
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.system.machine.device import make_accelerator
from lxcompress.training import taylor
from lxcompress.training.recipe import Recipe
from lxcompress.training.start_weights import start_weights
from lxcompress.training.step import answer_loss

RECIPE = Recipe(batch_size=8, seed=3)


@pytest.fixture
def data(tiny_dataset: Dataset, tiny_model: Path) -> EncodedQuestions:
    split = tiny_dataset.split("train")
    return EncodedQuestions(
        split.questions,
        split.regions,
        load_tokenizer(tiny_model),
        max_tokens=20,
        answers=tiny_dataset.answers,
    )


@pytest.fixture
def model(tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset) -> LxmertForQuestionAnswering:
    config = PruneConfig.parse(settings(tiny_model, tiny_data))
    return start_weights(config, tiny_dataset)[0]


@pytest.fixture
def two_batches(monkeypatch: pytest.MonkeyPatch, data: EncodedQuestions) -> list[dict]:
    monkeypatch.setattr(taylor, "QUESTIONS", 16)
    batches = training_batches(data, 8, epochs=1, seed=RECIPE.seed, workers=0)
    return [batch for _, batch in zip(range(2), batches, strict=False)]


def test_unit_scores_are_those_of_gates(
    model: LxmertForQuestionAnswering, data: EncodedQuestions, two_batches: list[dict]
) -> None:
    accelerator = make_accelerator("cpu", "fp32")
    found = taylor.unit_scores(model, data, RECIPE, accelerator, workers=0)
    layers = sublayers(model)
    sizes = unit_sizes(layers, dict(model.named_parameters()))
    gates = {layer.name: nn.Parameter(torch.ones(layer.units)) for layer in layers}
    modules = dict(model.named_modules())
    for layer in layers:
        modules[layer.output].register_forward_pre_hook(
            lambda module, inputs, layer=layer: (inputs[0] * layer.spread(gates[layer.name]),)
        )
    expected = {name: torch.zeros(len(gate), dtype=torch.float64) for name, gate in gates.items()}
    for batch in two_batches:
        answer_loss(model, batch, torch.device("cpu")).backward()
        for name, gate in gates.items():
            assert gate.grad is not None
            expected[name] += gate.grad.double().square() / sizes[name]
            gate.grad = None
    assert found.keys() == expected.keys()
    for name, scores in found.items():
        assert scores.dtype == torch.float64
        assert scores.any()
        torch.testing.assert_close(scores, expected[name], rtol=1e-3, atol=1e-12)


def test_weight_scores_are_squares_of_weight_times_gradient(
    model: LxmertForQuestionAnswering, data: EncodedQuestions, two_batches: list[dict]
) -> None:
    accelerator = make_accelerator("cpu", "fp32")
    found = taylor.weight_scores(model, data, RECIPE, accelerator, workers=0)
    weights = prunable_parameters(model)
    expected = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for batch in two_batches:
        loss = answer_loss(model, batch, torch.device("cpu"))
        for name, gradient in zip(
            weights, torch.autograd.grad(loss, list(weights.values())), strict=True
        ):
            expected[name] += (weights[name] * gradient).detach().square()
    for name, scores in found.items():
        torch.testing.assert_close(scores, expected[name], rtol=1e-3, atol=1e-12)


def test_scoring_is_repeatable_and_leaves_the_model_as_it_is(
    model: LxmertForQuestionAnswering, data: EncodedQuestions
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    accelerator = make_accelerator("cpu", "fp32")
    model.train()  # dropout must be off while scoring
    first, second = (
        taylor.unit_scores(model, data, RECIPE, accelerator, workers=0) for _ in range(2)
    )
    for name, scores in first.items():
        assert torch.equal(scores, second[name])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_more_questions_are_used_than_needed(
    model: LxmertForQuestionAnswering,
    data: EncodedQuestions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def counted(*arguments: object) -> torch.Tensor:
        seen.append(arguments)
        return answer_loss(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(taylor, "answer_loss", counted)
    accelerator = make_accelerator("cpu", "fp32")
    monkeypatch.setattr(taylor, "QUESTIONS", 17)
    taylor.unit_scores(model, data, RECIPE, accelerator, workers=0)
    assert len(seen) == 3  # 24 questions are the first whole batches with at least 17
    seen.clear()
    monkeypatch.setattr(taylor, "QUESTIONS", 10**6)
    taylor.unit_scores(model, data, RECIPE, accelerator, workers=0)
    assert len(seen) == len(data) // 8
