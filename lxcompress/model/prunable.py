"""Which weights can be pruned, and to which part of the model they belong."""

from __future__ import annotations

import re

from torch import nn
from transformers import (
    LxmertForQuestionAnswering,
)

from lxcompress.model.unused_branch import unused_parameters

_PRUNABLE = re.compile(
    r"lxmert\.encoder\.(layer|r_layers|x_layers)\.\d+\..*\.weight"
    r"|lxmert\.pooler\.dense\.weight"
    r"|answer_head\.logit_fc\.0\.weight"
)


_MODALITIES = {"layer": "language", "r_layers": "vision"}
MODALITIES = (*_MODALITIES.values(), "cross-modality")
"""The parts of the model, as `modality` names them."""


def prunable_parameters(model: LxmertForQuestionAnswering) -> dict[str, nn.Parameter]:
    """Return the prunable weight matrices by name, in the model's order.

    They are those of the encoders, the cross-modality layers, the pooler and the first layer of
    the answer head. Embeddings, the answer head's output layer, biases, LayerNorm and
    `unused_parameters` are not prunable.
    """
    unused = unused_parameters(model)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if is_prunable(name, parameter.dim()) and name not in unused
    }


def is_prunable(name: str, dimensions: int) -> bool:
    """Return whether a parameter that the answer depends on is prunable, by its name."""
    return dimensions == 2 and _PRUNABLE.fullmatch(name) is not None


def modality(name: str) -> str:
    """Return "language", "vision" or "cross-modality" (with the pooler and the answer head)."""
    match = re.match(r"lxmert\.encoder\.(layer|r_layers)\.", name)
    return _MODALITIES[match[1]] if match else MODALITIES[-1]
