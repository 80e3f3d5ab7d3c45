"""θ0: the weights that everything starts from, a pre-trained LXMERT with a fresh answer head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    LxmertConfig,
    LxmertForQuestionAnswering,
    PreTrainedTokenizerBase,
)

from lxcompress.config import PRESETS, PruneConfig, TrainingConfig
from lxcompress.data.dataset import Dataset, Split
from lxcompress.errors import ConfigError, DataError, ModelError
from lxcompress.model.answer_head import carry_answer_head, fresh_answer_head, labels_of
from lxcompress.model.lxmert import load_model, read_config
from lxcompress.model.tokenizer import build_tokenizer, load_tokenizer
from lxcompress.system.files import read_json

Start = tuple[LxmertForQuestionAnswering, PreTrainedTokenizerBase]


def start_weights(config: PruneConfig, dataset: Dataset) -> Start:
    """θ0 and its tokenizer, from `--model` or, untrained, from `--model-config`.

    The answer head is fresh (N(0, 0.02), zero bias), or with `--keep-answer-head` carried over for
    the answers that both lists share. Depends on the configuration and its seed alone.
    """
    torch.manual_seed(config.seed)
    if config.model is None:
        architecture, tokenizer = from_scratch(config, dataset)
        model = LxmertForQuestionAnswering(architecture)
        fresh_answer_head(model, dataset.answers)
        return model, tokenizer
    model = load_model(config.model, without_head=not config.keep_answer_head)
    tokenizer = load_tokenizer(config.tokenizer or config.model)
    check_fit(
        model.config, dataset.name, (dataset.train, dataset.val), tokenizer, config.max_tokens
    )
    old_head, old_config = model.answer_head, model.config.to_dict()
    fresh_answer_head(model, dataset.answers)
    if config.keep_answer_head:
        labels = _pretrained_labels(config, LxmertConfig.from_dict(old_config))
        shared = carry_answer_head(model, old_head, labels)
        if not shared:
            raise ModelError(
                f"--keep-answer-head: {config.model} and {dataset.name} share no answer; "
                "give the model's own list with --pretrained-answers"
            )
    return model, tokenizer


def from_scratch(
    config: TrainingConfig, dataset: Dataset
) -> tuple[LxmertConfig, PreTrainedTokenizerBase]:
    """The architecture of `--model-config` fitted to the data, and `--tokenizer` or a new one.

    Regions decide `visual_feat_dim`, the tokenizer `vocab_size`, the answers `num_qa_labels`.
    """
    assert config.architecture is not None
    if config.architecture in PRESETS:
        architecture = LxmertConfig(**PRESETS[config.architecture])
    elif Path(config.architecture).exists():
        architecture = read_config(config.architecture)
    else:
        raise ConfigError(
            f"--model-config {config.architecture}: neither a file nor one of the presets "
            f"{', '.join(PRESETS)}"
        )
    if config.tokenizer:
        tokenizer = load_tokenizer(config.tokenizer)
    else:
        tokenizer = build_tokenizer(question.text for question in training_split(dataset).questions)
    architecture.vocab_size = len(tokenizer)
    architecture.visual_feat_dim = training_split(dataset).regions.feature_size
    if architecture.hidden_size % architecture.num_attention_heads:
        raise ConfigError(
            f"--model-config {config.architecture}: hidden_size {architecture.hidden_size} is no "
            f"multiple of num_attention_heads {architecture.num_attention_heads}"
        )
    splits = (dataset.train, dataset.val)
    check_fit(architecture, dataset.name, splits, tokenizer, config.max_tokens)
    return architecture, tokenizer


def check_fit(
    architecture: LxmertConfig,
    dataset: str,
    splits: Sequence[Split | None],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
) -> None:
    """ModelError when a model cannot read these regions, this tokenizer's words, or so many."""
    for split in splits:
        if split and split.regions.feature_size != architecture.visual_feat_dim:
            raise ModelError(
                f"the model takes regions of {architecture.visual_feat_dim} features, those of "
                f"{dataset} ({split.name}, detector {split.regions.detector}) have "
                f"{split.regions.feature_size}: use regions of the model's own detector"
            )
    if len(tokenizer) > architecture.vocab_size:
        raise ModelError(
            f"the tokenizer knows {len(tokenizer)} tokens, the model {architecture.vocab_size}; "
            "give the model's own with --tokenizer"
        )
    if max_tokens > architecture.max_position_embeddings:
        raise ModelError(
            f"--max-tokens {max_tokens}: the model reads at most "
            f"{architecture.max_position_embeddings} tokens"
        )


def training_split(dataset: Dataset) -> Split:
    """The split to train on; DataError when the dataset has none."""
    if dataset.train is None:
        raise DataError(f"{dataset.folder}: dataset.yaml has no `train:` split to learn from")
    return dataset.train


def _pretrained_labels(config: PruneConfig, architecture: LxmertConfig) -> Sequence[str]:
    """The answers of the pre-trained head; LXMERT's own list is `[{"ans": ...}, ...]`."""
    if config.pretrained_answers is None:
        return labels_of(architecture)
    path = Path(config.pretrained_answers)
    rows = read_json(path, "pre-trained answer list", ConfigError)
    rows = rows if isinstance(rows, list) else [rows]
    rows = [row.get("ans") if isinstance(row, dict) else row for row in rows]
    labels = [row for row in rows if isinstance(row, str)]
    if len(labels) != len(rows):
        raise ConfigError(f"{path} is no list of answers")
    if len(labels) != architecture.num_qa_labels:
        raise ConfigError(
            f"{path} lists {len(labels)} answers, the pre-trained head has "
            f"{architecture.num_qa_labels}"
        )
    return labels
