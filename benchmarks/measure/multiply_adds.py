"""Multiply-adds of a network, computed from the shapes of its matrices.

Counted are the matrix products of linear layers and of attention; biases, normalization, softmax
and activations are not. A FLOP count that takes a multiplication and an addition as two is twice
as high.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import LxmertForQuestionAnswering
from transformers.models.lxmert.modeling_lxmert import LxmertAttention

from lxcompress.model.compact import unreachable_parameters

_ENCODER = "lxmert.encoder."


def multiply_adds(model: LxmertForQuestionAnswering, tokens: int, regions: int) -> int:
    """Return the multiply-adds of one question of `tokens` about a picture of `regions`.

    The model may be compact (`lxcompress.model.compact.compact`). What no answer depends on is
    not counted, as an exported file does not compute it: the visual half of the last
    cross-modality layer, and all of the visual stream that no head reads.
    """
    cross_attentions = [
        (f"{_ENCODER}x_layers.{index}.", layer.visual_attention)
        for index, layer in enumerate(model.lxmert.encoder.x_layers)
    ]
    reads = {
        f"{prefix}visual_attention.att": torch.tensor([isinstance(attention.att, LxmertAttention)])
        for prefix, attention in cross_attentions
    }
    unreachable = unreachable_parameters(model, reads)
    length = {"language": tokens, "vision": regions, "answer": 1}
    total = 0
    for name, module in model.named_modules():
        if f"{name}.weight" in unreachable or ".visual_attention." in name:
            continue
        stream = length[_stream(name)]
        if isinstance(module, nn.Linear):
            total += stream * module.weight.numel()
        elif isinstance(module, LxmertAttention) and f"{name}.query.weight" not in unreachable:
            total += _attention_products(module, stream, stream)
    for prefix, attention in cross_attentions:
        total += _cross_attention(attention, tokens, regions)
        if f"{prefix}visn_output.LayerNorm.weight" not in unreachable:
            total += _cross_attention(attention, regions, tokens)
    return total


def _stream(name: str) -> str:
    """Which stream a module outside the cross-attention computes for."""
    if not name.startswith(_ENCODER):
        return "answer"  # pooler and answer head, for the first token alone
    part = name.removeprefix(_ENCODER)
    return "language" if part.startswith("layer.") or ".lang_" in part else "vision"


def _cross_attention(attention: nn.Module, queries: int, keys: int) -> int:
    """Count one direction of a cross-attention with its projections; 0 without heads."""
    inner = attention.att
    if not isinstance(inner, LxmertAttention):
        return 0
    output = attention.get_submodule("output.dense")
    assert isinstance(output, nn.Linear)
    projections = queries * (inner.query.weight.numel() + output.weight.numel())
    projections += keys * (inner.key.weight.numel() + inner.value.weight.numel())
    return projections + _attention_products(inner, queries, keys)


def _attention_products(attention: LxmertAttention, queries: int, keys: int) -> int:
    """Count queries times keys, and probabilities times values."""
    width = attention.num_attention_heads * attention.attention_head_size
    return 2 * queries * keys * width
