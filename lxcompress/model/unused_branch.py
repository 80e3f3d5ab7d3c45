from __future__ import annotations

import torch
from transformers import (
    LxmertForQuestionAnswering,
)
from transformers.models.lxmert.modeling_lxmert import (
    LxmertXLayer,
)


class AnswerOnlyCrossLayer(LxmertXLayer):
    """The last cross-modality layer without its visual output, which no answer depends on."""

    def forward(
        self,
        lang_feats: torch.Tensor,
        lang_attention_mask: torch.Tensor,
        visual_feats: torch.Tensor,
        visual_attention_mask: torch.Tensor | None,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        """Language `[B, T, H]` and unchanged vision `[B, R, H]`, then attention if asked."""
        attended = self.visual_attention(
            lang_feats, visual_feats, visual_attention_mask, output_attentions=output_attentions
        )
        language = self.lang_self_att(attended[0], lang_attention_mask)[0]
        language = self.lang_output(self.lang_inter(language), language)
        return (language, visual_feats, *attended[1:])


def skip_unused_branch(model: LxmertForQuestionAnswering) -> None:
    """Neither compute nor train what never reaches the answer (`unused_parameters`), in place."""
    model.lxmert.encoder.x_layers[-1].__class__ = AnswerOnlyCrossLayer
    dead = unused_parameters(model)
    for name, parameter in model.named_parameters():
        if name in dead:
            parameter.requires_grad_(False)


def unused_parameters(model: LxmertForQuestionAnswering) -> set[str]:
    """Names in the last cross layer's visual half: 7,087,872 weights at full size."""
    last = f"lxmert.encoder.x_layers.{len(model.lxmert.encoder.x_layers) - 1}."
    prefixes = tuple(last + part for part in ("visn_self_att.", "visn_inter.", "visn_output."))
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}
