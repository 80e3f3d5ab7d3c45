"""The weights of a file are the model's to the bit, or an error says which are not."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LxmertForQuestionAnswering
from verified import (
    MATRIX,
    UNUSED,
    Original,
    altered,
    file_of,
    path_of,
    set_metadata,
    with_other_weights,
)

from exporters.verify.structure import check_structure
from exporters.verify.weights import check_weights
from lxcompress.errors import ModelError


def test_differences_of_good_files(tiny_exported: Path, ticket: Original) -> None:
    largest = 0.0
    for name, parameter in ticket.model.named_parameters():
        if not name.startswith(UNUSED):
            half = parameter.detach().half().float()
            largest = max(largest, float((half - parameter.detach()).abs().max()))
    for name, expected in (("sparse-fp32", 0), ("sparse-fp16", largest)):
        found = check_weights(file_of(tiny_exported, name), ticket.model)
        assert found.model_dump() == {"largest_weight_difference": expected}
    found = check_weights(file_of(tiny_exported, "sparse-int8"), ticket.model)
    assert largest < found.largest_weight_difference < 0.5 * 2 / 63


@pytest.mark.parametrize(
    "name", [MATRIX, "lxmert.embeddings.LayerNorm.bias", "answer_head.logit_fc.3.weight"]
)
def test_one_bit_of_one_weight(tiny_exported: Path, ticket: Original, name: str) -> None:
    def change(parameters: dict[str, torch.Tensor]) -> None:
        bits = parameters[name].view(-1).view(torch.int32)
        bits[parameters[name].view(-1).nonzero()[0]] ^= 1

    with pytest.raises(ModelError, match=f"{name} is not the model's, to the bit"):
        check_weights(file_of(tiny_exported, "sparse-fp32"), with_other_weights(ticket, change))


def test_the_sign_of_a_zero_counts(tiny_exported: Path, ticket: Original) -> None:
    def change(parameters: dict[str, torch.Tensor]) -> None:
        index = (parameters[MATRIX].view(-1) == 0).nonzero()[0]
        parameters[MATRIX].view(-1)[index] = -0.0

    with pytest.raises(ModelError, match="to the bit"):
        check_weights(file_of(tiny_exported, "sparse-fp32"), with_other_weights(ticket, change))


def test_unused_weights_may_differ(tiny_exported: Path, ticket: Original) -> None:
    def change(parameters: dict[str, torch.Tensor]) -> None:
        for name, parameter in parameters.items():
            if name.startswith(UNUSED):
                parameter.add_(1)

    check_weights(file_of(tiny_exported, "sparse-fp32"), with_other_weights(ticket, change))


@pytest.mark.parametrize(
    "change",
    [
        {"l_layers": 0},
        {"l_layers": 2},
        {"r_layers": 2},
        {"x_layers": 2},
        {"hidden_size": 16},
        {"vocab_size": 20},
    ],
)
@pytest.mark.parametrize("name", ["fp32", "sparse-int8"])
def test_a_model_of_another_architecture(
    tiny_exported: Path, ticket: Original, name: str, change: dict[str, int]
) -> None:
    config = type(ticket.model.config).from_dict(ticket.model.config.to_dict() | change)
    with pytest.raises(ModelError) as caught:
        check_weights(file_of(tiny_exported, name), LxmertForQuestionAnswering(config))
    assert "\n" not in str(caught.value)


def test_other_answers(tiny_exported: Path, ticket: Original, tmp_path: Path) -> None:
    other = json.dumps(ticket.answers.labels[::-1])
    path = path_of(tiny_exported, "sparse-fp32")
    file = altered(path, tmp_path, set_metadata("labels", other))
    check_structure(file)
    with pytest.raises(ModelError, match="has other answers than the model's config.json"):
        check_weights(file, ticket.model)
