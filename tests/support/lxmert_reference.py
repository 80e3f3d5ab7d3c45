"""LXMERT's own network, written anew: parameters named as its checkpoints name them.

After the paper (Tan & Bansal 2019) and github.com/airsplay/lxmert: src/lxrt/modeling.py (LXRTModel,
LXRTPretraining), src/lxrt/entry.py, src/tasks/vqa_model.py. Without dropout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Sizes:
    vocabulary: int = 40
    positions: int = 24
    hidden: int = 32
    heads: int = 2
    inner: int = 48
    language_layers: int = 2
    vision_layers: int = 1
    cross_layers: int = 2
    features: int = 6
    answers: int = 5


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-12)


class _Attention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.query = nn.Linear(sizes.hidden, sizes.hidden)
        self.key = nn.Linear(sizes.hidden, sizes.hidden)
        self.value = nn.Linear(sizes.hidden, sizes.hidden)

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """`[B, T, H]` attends to `[B, S, H]` where `mask [B, S]` is 1."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(states), self.key(context), self.value(context))
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores + (1 - mask[:, None, None].float()) * -10000.0
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


class _Output(nn.Module):
    """Projection, residual, LayerNorm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(width, hidden), _norm(hidden)

    def forward(self, states: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(states) + residual)


class _SelfAttention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self = _Attention(sizes)
        self.output = _Output(sizes.hidden, sizes.hidden)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.self(states, states, mask), states)


class _CrossAttention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.att = _Attention(sizes)
        self.output = _Output(sizes.hidden, sizes.hidden)

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.att(states, context, mask), states)


class _Intermediate(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.hidden, sizes.inner)

    def forward(self, states: Tensor) -> Tensor:
        return nn.functional.gelu(self.dense(states))


class _Layer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = _SelfAttention(sizes)
        self.intermediate = _Intermediate(sizes)
        self.output = _Output(sizes.inner, sizes.hidden)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        attended = self.attention(states, mask)
        return self.output(self.intermediate(attended), attended)


class _CrossLayer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.visual_attention = _CrossAttention(sizes)
        self.lang_self_att, self.visn_self_att = _SelfAttention(sizes), _SelfAttention(sizes)
        self.lang_inter, self.visn_inter = _Intermediate(sizes), _Intermediate(sizes)
        self.lang_output = _Output(sizes.inner, sizes.hidden)
        self.visn_output = _Output(sizes.inner, sizes.hidden)

    def forward(
        self, words: Tensor, word_mask: Tensor, regions: Tensor, region_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        # One set of weights for both directions.
        words, regions = (
            self.visual_attention(words, regions, region_mask),
            self.visual_attention(regions, words, word_mask),
        )
        words = self.lang_self_att(words, word_mask)
        regions = self.visn_self_att(regions, region_mask)
        return (
            self.lang_output(self.lang_inter(words), words),
            self.visn_output(self.visn_inter(regions), regions),
        )


class _Embeddings(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocabulary, sizes.hidden)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.hidden)
        self.token_type_embeddings = nn.Embedding(2, sizes.hidden)
        self.LayerNorm = _norm(sizes.hidden)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        positions = self.position_embeddings(torch.arange(ids.shape[1]))
        return self.LayerNorm(
            self.word_embeddings(ids) + positions + self.token_type_embeddings(types)
        )


class _RegionEmbeddings(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.visn_fc, self.visn_layer_norm = (
            nn.Linear(sizes.features, sizes.hidden),
            _norm(sizes.hidden),
        )
        self.box_fc, self.box_layer_norm = nn.Linear(4, sizes.hidden), _norm(sizes.hidden)

    def forward(self, features: Tensor, boxes: Tensor) -> Tensor:
        features = self.visn_layer_norm(self.visn_fc(features))
        return (features + self.box_layer_norm(self.box_fc(boxes))) / 2


class _Encoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.visn_fc = _RegionEmbeddings(sizes)
        self.layer = nn.ModuleList(_Layer(sizes) for _ in range(sizes.language_layers))
        self.x_layers = nn.ModuleList(_CrossLayer(sizes) for _ in range(sizes.cross_layers))
        self.r_layers = nn.ModuleList(_Layer(sizes) for _ in range(sizes.vision_layers))


class _Pooler(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)


class _Bert(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embeddings, self.encoder = _Embeddings(sizes), _Encoder(sizes)
        self.pooler = _Pooler(sizes.hidden)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the pooled first token `[B, H]`."""
        words = self.embeddings(batch["input_ids"], batch["token_type_ids"])
        regions = self.encoder.visn_fc(batch["visual_feats"], batch["visual_pos"])
        word_mask, region_mask = batch["attention_mask"], batch["visual_attention_mask"]
        for layer in self.encoder.layer:
            words = layer(words, word_mask)
        for layer in self.encoder.r_layers:
            regions = layer(regions, region_mask)
        for layer in self.encoder.x_layers:
            words, regions = layer(words, word_mask, regions, region_mask)
        return self.pooler.dense(words[:, 0]).tanh()


def _answer_layers(sizes: Sizes) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(sizes.hidden, 2 * sizes.hidden),
        nn.GELU(),
        _norm(2 * sizes.hidden),
        nn.Linear(2 * sizes.hidden, sizes.answers),
    )


class _FeatureExtraction(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.bert = _Bert(sizes)


class _EntryEncoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.model = _FeatureExtraction(sizes)


class FineTuned(nn.Module):
    """The model that is fine-tuned for VQA or GQA: `lxrt_encoder.model.bert.…`, `logit_fc.…`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.lxrt_encoder = _EntryEncoder(sizes)
        self.logit_fc = _answer_layers(sizes)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the logits `[B, answers]`."""
        return self.logit_fc(self.lxrt_encoder.model.bert(batch))


class _Transform(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(hidden, hidden), _norm(hidden)


class _WordHead(nn.Module):
    def __init__(self, sizes: Sizes, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.transform = _Transform(sizes.hidden)
        self.decoder = nn.Linear(sizes.hidden, sizes.vocabulary, bias=False)
        self.decoder.weight = embeddings.weight
        self.bias = nn.Parameter(torch.randn(sizes.vocabulary))


class _Heads(nn.Module):
    def __init__(self, sizes: Sizes, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.predictions = _WordHead(sizes, embeddings)
        self.seq_relationship = nn.Linear(sizes.hidden, 2)


class _ObjectHead(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.transform = _Transform(sizes.hidden)
        outputs = {"obj": 7, "attr": 3, "feat": sizes.features}
        self.decoder_dict = nn.ModuleDict(
            {name: nn.Linear(sizes.hidden, size) for name, size in outputs.items()}
        )


class _AnswerHead(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.logit_fc = _answer_layers(sizes)


class PreTrained(nn.Module):
    """The model that is pre-trained (`Epoch20_LXRT.pth`): `bert.…`, `cls.…`, `answer_head.…`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.bert = _Bert(sizes)
        self.cls = _Heads(sizes, self.bert.embeddings.word_embeddings)
        self.obj_predict_head = _ObjectHead(sizes)
        self.answer_head = _AnswerHead(sizes)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the answers' logits `[B, answers]`."""
        return self.answer_head.logit_fc(self.bert(batch))
