"""LXMERT as Hugging Face has it: loading, the parts that can be pruned, and saving.

Weights and folder format are Hugging Face's, unchanged; `from_pretrained` loads what
`save_model` wrote. Two things differ while it runs here, and neither changes an answer:
attention goes through `scaled_dot_product_attention`, and the visual half of the last
cross-modality layer, which never reaches the answer, is not computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoTokenizer,
    LxmertConfig,
    LxmertForPreTraining,
    LxmertForQuestionAnswering,
    PreTrainedTokenizerBase,
)
from transformers.models.lxmert.modeling_lxmert import (
    LxmertAttention,
    LxmertVisualAnswerHead,
    LxmertXLayer,
)
from transformers.utils import logging as transformers_logging

from lxcompress.config import EMBEDDED_MODEL
from lxcompress.errors import ModelError
from lxcompress.files import atomic_path

_ASSETS = Path(__file__).parent / "assets"

_PRUNABLE = re.compile(
    r"lxmert\.encoder\.(layer|r_layers|x_layers)\.\d+\..*\.weight"
    r"|lxmert\.pooler\.dense\.weight"
    r"|answer_head\.logit_fc\.0\.weight"
)
_HEAD_STD = 0.02  # of LXMERT, whatever the width
_MODALITIES = {"layer": "language", "r_layers": "vision"}


class FastAttention(LxmertAttention):
    """LXMERT's attention through `scaled_dot_product_attention`; same parameters, same result."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        context: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        """`[B, Tq, H]` attends to `[B, Tk, H]`; `attention_mask` is additive `[B, 1, 1, Tk]`."""
        if output_attentions:  # the fused kernel does not give the probabilities
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


def use_fast_attention(model: nn.Module) -> None:
    """Switch every attention of `model` to `FastAttention`, in place."""
    for module in model.modules():
        if type(module) is LxmertAttention:
            module.__class__ = FastAttention


def freeze_dead_parts(model: LxmertForQuestionAnswering) -> None:
    """Neither compute nor train what never reaches the answer (`dead_parameters`), in place."""
    model.lxmert.encoder.x_layers[-1].__class__ = AnswerOnlyCrossLayer
    dead = dead_parameters(model)
    for name, parameter in model.named_parameters():
        if name in dead:
            parameter.requires_grad_(False)


def dead_parameters(model: LxmertForQuestionAnswering) -> set[str]:
    """Names in the last cross layer's visual half: 7,087,872 weights at full size."""
    last = f"lxmert.encoder.x_layers.{len(model.lxmert.encoder.x_layers) - 1}."
    prefixes = tuple(last + part for part in ("visn_self_att.", "visn_inter.", "visn_output."))
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}


def prunable_parameters(model: LxmertForQuestionAnswering) -> dict[str, nn.Parameter]:
    """The weight matrices that pruning may touch, in the model's order.

    Those of the encoders, the cross-modality layers, the pooler and the first layer of the answer
    head; not embeddings, the answer head's output, biases, LayerNorm, or `dead_parameters`.
    """
    dead = dead_parameters(model)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if _PRUNABLE.fullmatch(name) and parameter.dim() == 2 and name not in dead
    }


def modality(name: str) -> str:
    """ "language", "vision" or "cross-modality" (to which pooler and answer head belong)."""
    match = re.match(r"lxmert\.encoder\.(layer|r_layers)\.", name)
    return _MODALITIES[match[1]] if match else "cross-modality"


def load_pretraining_model(source: str | Path) -> LxmertForPreTraining:
    """What `lxcompress pretrain` wrote, heads included; ModelError when it is not that."""
    source = locate(source)
    config = read_config(source)
    with _quiet_transformers(), _loading(source):
        model, info = LxmertForPreTraining.from_pretrained(
            source, config=config, dtype=torch.float32, output_loading_info=True
        )
    if info["missing_keys"]:
        raise ModelError(
            f"{source} lacks {len(info['missing_keys'])} weights of a pre-training model, e.g. "
            f"{min(info['missing_keys'])}"
        )
    return model


def load_model(source: str | Path, *, without_head: bool = False) -> LxmertForQuestionAnswering:
    """A question-answering LXMERT from a folder or hub id, in fp32, ready to run here.

    `without_head` accepts a checkpoint that has no answer head; its head is random.
    Raises ModelError when it is not LXMERT, is incomplete, or cannot be had.
    """
    source = locate(source)
    config = read_config(source)
    with _quiet_transformers(), _loading(source):
        model, info = LxmertForQuestionAnswering.from_pretrained(
            source, config=config, dtype=torch.float32, output_loading_info=True
        )
    missing = [
        name
        for name in info["missing_keys"]
        if not (without_head and name.startswith("answer_head."))
    ]
    if missing:
        raise ModelError(
            f"{source} lacks {len(missing)} weights of LXMERT, e.g. {sorted(missing)[0]}; "
            "it is not a complete LXMERT model folder"
        )
    use_fast_attention(model)
    freeze_dead_parts(model)
    return model


def read_config(source: str | Path) -> LxmertConfig:
    """The configuration of a model folder, hub id or `config.json`; ModelError if not LXMERT."""
    source = locate(source)
    with _quiet_transformers(), _loading(source):
        config = AutoConfig.from_pretrained(source)
    if not isinstance(config, LxmertConfig):
        raise ModelError(
            f"{source} is a {config.model_type} model; lxcompress prunes LXMERT "
            '(model_type "lxmert" in config.json)'
        )
    return config


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer beside a model; ModelError if there is none."""
    source = locate(source)
    with _quiet_transformers(), _loading(source):
        tokenizer = AutoTokenizer.from_pretrained(source)
    # Of a folder without its files, transformers makes a tokenizer that knows no word.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(f"{source} has no tokenizer; give one with --tokenizer")
    if tokenizer.pad_token_id is None:
        raise ModelError(f"the tokenizer of {source} has no padding token; LXMERT's is BERT's")
    return tokenizer


def locate(source: str | Path) -> str | Path:
    """The folder of the embedded model for its name; anything else as it is.

    Raises ModelError for a folder that is not there, where the name can be no hub id (owner/name).
    """
    if str(source) == EMBEDDED_MODEL:
        return _ASSETS / EMBEDDED_MODEL
    path = Path(source)
    can_be_hub_id = not path.is_absolute() and path.parts[:1] != ("..",) and len(path.parts) <= 2
    if not can_be_hub_id and not path.exists():
        raise ModelError(f"cannot load {source}: there is no such model folder")
    return source


def fresh_answer_head(model: LxmertForQuestionAnswering, answers: Sequence[str]) -> None:
    """Give `model` a new head for `answers`: N(0, 0.02) weights, zero biases, in place.

    Draws from torch's global generator. The answers become the model's `id2label`.
    """
    config = model.config
    set_labels(config, answers)
    head = LxmertVisualAnswerHead(config, len(answers))
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=_HEAD_STD)
            nn.init.zeros_(module.bias)
    model.answer_head = head
    model.num_qa_labels = len(answers)


def carry_answer_head(
    model: LxmertForQuestionAnswering, head: LxmertVisualAnswerHead, labels: Sequence[str]
) -> int:
    """Fill the answer head from a pre-trained `head`, row by row, as LXMERT's `load_lxmert_qa`.

    Answers that both lists share get their pre-trained row; the others start at zero, so that
    they neither win nor lose at first. Gives the number of shared answers.
    """
    rows = {label: row for row, label in enumerate(labels)}
    old, new = head.logit_fc, model.answer_head.logit_fc
    new[0].load_state_dict(old[0].state_dict())
    new[2].load_state_dict(old[2].state_dict())
    shared = 0
    with torch.no_grad():
        new[3].weight.zero_()
        new[3].bias.zero_()
        for index, answer in sorted(model.config.id2label.items()):
            if answer in rows:
                new[3].weight[index] = old[3].weight[rows[answer]]
                new[3].bias[index] = old[3].bias[rows[answer]]
                shared += 1
    return shared


def set_labels(config: LxmertConfig, answers: Sequence[str]) -> None:
    """Record the answer list in the configuration, in place."""
    config.num_qa_labels = len(answers)
    config.id2label = dict(enumerate(answers))
    config.label2id = {answer: index for index, answer in enumerate(answers)}


def labels_of(config: LxmertConfig) -> list[str]:
    """The answer list of a model; ModelError when its configuration does not name the answers."""
    labels = [config.id2label[index] for index in sorted(config.id2label)]
    if len(labels) != config.num_qa_labels:
        raise ModelError(
            f"the model's config.json names {len(labels)} answers in id2label, but its head has "
            f"{config.num_qa_labels}; give the answer list that it was trained with"
        )
    return labels


def save_model(
    model: LxmertForQuestionAnswering | LxmertForPreTraining,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    """Write a Hugging Face model folder (config, safetensors, tokenizer), whole or not at all."""
    with atomic_path(folder) as temporary, _quiet_transformers():
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No tables about heads that a task does not use; what matters is checked by us."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as problem:  # the libraries below raise anything from OSError to KeyError
        first = str(problem).strip().partition("\n")[0]
        raise ModelError(f"cannot load {source} as an LXMERT model: {first}") from problem
