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


def prunable_parameters(model: LxmertForQuestionAnswering) -> dict[str, nn.Parameter]:
    """The weight matrices that pruning may touch, in the model's order.

    Those of the encoders, the cross-modality layers, the pooler and the first layer of the answer
    head; not embeddings, the answer head's output, biases, LayerNorm, or `unused_parameters`.
    """
    dead = unused_parameters(model)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if _PRUNABLE.fullmatch(name) and parameter.dim() == 2 and name not in dead
    }


def modality(name: str) -> str:
    """ "language", "vision" or "cross-modality" (to which pooler and answer head belong)."""
    match = re.match(r"lxmert\.encoder\.(layer|r_layers)\.", name)
    return _MODALITIES[match[1]] if match else "cross-modality"
