"""The visual half of the last cross-modality layer, which never reaches the answer.

In LXMERT the answer is read from the language stream, so what the last layer computes for the
visual stream is unused: 7,087,872 parameters at full size that are never trained.
"""

from __future__ import annotations

import torch
from transformers import (
    LxmertForQuestionAnswering,
)
from transformers.models.lxmert.modeling_lxmert import (
    LxmertXLayer,
)

VISUAL_HALF = ("visn_self_att.", "visn_inter.", "visn_output.")
"""What a cross-modality layer computes for later layers' visual stream alone, by prefix."""


class AnswerOnlyCrossLayer(LxmertXLayer):
    """The last cross-modality layer without its unused visual output."""

    def forward(
        self,
        lang_feats: torch.Tensor,
        lang_attention_mask: torch.Tensor,
        visual_feats: torch.Tensor,
        visual_attention_mask: torch.Tensor | None,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        """Return language `[B, T, H]`, vision `[B, R, H]` unchanged, and attention if requested."""
        attended = self.visual_attention(
            lang_feats, visual_feats, visual_attention_mask, output_attentions=output_attentions
        )
        language = self.lang_self_att(attended[0], lang_attention_mask)[0]
        language = self.lang_output(self.lang_inter(language), language)
        return (language, visual_feats, *attended[1:])


def skip_unused_branch(model: LxmertForQuestionAnswering) -> None:
    """Neither compute nor train what never reaches the answer, in place."""
    model.lxmert.encoder.x_layers[-1].__class__ = AnswerOnlyCrossLayer
    unused = unused_parameters(model)
    for name, parameter in model.named_parameters():
        if name in unused:
            parameter.requires_grad_(False)


def unused_parameters(model: LxmertForQuestionAnswering) -> set[str]:
    """Return the names of the parameters in the last cross layer's visual half."""
    last = f"lxmert.encoder.x_layers.{len(model.lxmert.encoder.x_layers) - 1}."
    prefixes = tuple(last + part for part in VISUAL_HALF)
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}
