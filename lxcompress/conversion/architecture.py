"""The configuration and the class of a model, read from the shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    LxmertConfig,
    LxmertForPreTraining,
    LxmertForQuestionAnswering,
    LxmertModel,
    PreTrainedModel,
)

from lxcompress.errors import ConfigError, ModelError

_HEAD_SIZE = 64  # of BERT and LXMERT, whose checkpoints do not tell the number of heads
_EMBEDDINGS = "lxmert.embeddings."
_ENCODER = "lxmert.encoder."
_OBJECTS = "obj_predict_head.decoder_dict."
_ANSWERS = "answer_head.logit_fc.3.weight"


@dataclass(frozen=True)
class Architecture:
    """A model without its weights.

    kind: "fine-tuned", "pre-trained" or "encoder only".
    model: on the meta device.
    """

    kind: str
    model: PreTrainedModel

    @property
    def config(self) -> LxmertConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def prefix(self) -> str:
        """What the encoder's names begin with in this class."""
        return "lxmert." if self.kind != "encoder only" else ""


def infer_architecture(
    state: Mapping[str, torch.Tensor], heads: int | None, path: Path
) -> Architecture:
    """Return the LXMERT that has these tensors; `heads` is the number of attention heads.

    Raises:
        ModelError: the tensors are not LXMERT's.
        ConfigError: the hidden size does not allow that many heads, or does not tell their number.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}

    def size(name: str, dimension: int) -> int:
        if dimension >= len(shapes.get(name, ())):
            example = next(iter(state))
            raise ModelError(f"{path} is not a checkpoint of LXMERT: no {name}, but e.g. {example}")
        return shapes[name][dimension]

    words = _EMBEDDINGS + "word_embeddings.weight"
    hidden = size(words, 1)
    size(_ENCODER + "x_layers.0.visual_attention.att.query.weight", 0)  # BERT has none
    answers = size(_ANSWERS, 0) if _ANSWERS in shapes else None
    losses = {loss: f"{_OBJECTS}{loss}.weight" in shapes for loss in ("obj", "attr", "feat")}
    config = LxmertConfig(
        vocab_size=size(words, 0),
        hidden_size=hidden,
        num_attention_heads=_attention_heads(hidden, heads),
        intermediate_size=size(_ENCODER + "layer.0.intermediate.dense.weight", 0),
        max_position_embeddings=size(_EMBEDDINGS + "position_embeddings.weight", 0),
        type_vocab_size=size(_EMBEDDINGS + "token_type_embeddings.weight", 0),
        l_layers=_layers(shapes, "layer"),
        x_layers=_layers(shapes, "x_layers"),
        r_layers=_layers(shapes, "r_layers"),
        visual_feat_dim=size(_ENCODER + "visn_fc.visn_fc.weight", 1),
        visual_pos_dim=size(_ENCODER + "visn_fc.box_fc.weight", 1),
        task_qa=answers is not None,
        task_obj_predict=any(losses.values()),
        visual_obj_loss=losses["obj"],
        visual_attr_loss=losses["attr"],
        visual_feat_loss=losses["feat"],
        **({} if answers is None else {"num_qa_labels": answers}),
        **({"num_object_labels": size(_OBJECTS + "obj.weight", 0)} if losses["obj"] else {}),
        **({"num_attr_labels": size(_OBJECTS + "attr.weight", 0)} if losses["attr"] else {}),
    )
    if any(name.startswith("cls.") for name in shapes):
        kind, model_class = "pre-trained", LxmertForPreTraining
    elif answers is not None:
        kind, model_class = "fine-tuned", LxmertForQuestionAnswering
    else:
        kind, model_class = "encoder only", LxmertModel
    with torch.device("meta"):
        return Architecture(kind, model_class(config))


def _attention_heads(hidden: int, heads: int | None) -> int:
    if heads is None:
        if hidden % _HEAD_SIZE:
            raise ConfigError(
                f"a hidden size of {hidden} is not a multiple of {_HEAD_SIZE}, so the number of "
                "attention heads is not known; give it with --heads"
            )
        return hidden // _HEAD_SIZE
    if hidden % heads:
        raise ConfigError(f"--heads {heads}: the hidden size is {hidden}, not a multiple of it")
    return heads


def _layers(names: Iterable[str], kind: str) -> int:
    """Return the number of layers of this kind; with a gap, the last ones are left over."""
    pattern = re.compile(rf"{re.escape(_ENCODER)}{kind}\.(\d+)\.")
    return len({match[1] for match in map(pattern.match, names) if match})
