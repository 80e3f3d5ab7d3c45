"""LXMERT's attention as one fused operation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from transformers.models.lxmert.modeling_lxmert import (
    LxmertAttention,
)


class FastAttention(LxmertAttention):
    """LXMERT's attention through `scaled_dot_product_attention`: same parameters, same result."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        context: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        """Let `[B, Tq, H]` attend to `[B, Tk, H]`; `attention_mask` is additive `[B, 1, 1, Tk]`."""
        if output_attentions:  # the fused kernel does not return the probabilities
            return super().forward(hidden_states, context, attention_mask, output_attentions)
        heads = (self.num_attention_heads, self.attention_head_size)
        query = self.query(hidden_states).unflatten(-1, heads).transpose(1, 2)
        key = self.key(context).unflatten(-1, heads).transpose(1, 2)
        value = self.value(context).unflatten(-1, heads).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=attention_mask,
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        return (attended.transpose(1, 2).flatten(2),)


def use_fast_attention(model: nn.Module) -> None:
    """Replace every attention of `model` by `FastAttention`, in place."""
    for module in model.modules():
        if type(module) is LxmertAttention:
            module.__class__ = FastAttention
