"""The start weights θ0: a pre-trained LXMERT with a new answer head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    LxmertConfig,
    LxmertForQuestionAnswering,
    PreTrainedTokenizerBase,
)

from lxcompress.config import PruneConfig, TrainingConfig
from lxcompress.data.dataset import Dataset
from lxcompress.data.dataset_config import SplitName
from lxcompress.defaults import PRESETS
from lxcompress.errors import ConfigError, ModelError
from lxcompress.model.answer_head import carry_answer_head, fresh_answer_head, labels_of
from lxcompress.model.lxmert import load_model, read_config
from lxcompress.model.tokenizer import build_tokenizer, check_vocabulary, load_tokenizer
from lxcompress.system.files import read_json

Start = tuple[LxmertForQuestionAnswering, PreTrainedTokenizerBase]


def start_weights(config: PruneConfig, dataset: Dataset, finetuned: Start | None = None) -> Start:
    """Return θ0 and its tokenizer, from `--model` or, untrained, from `--model-config`.

    The answer head is new (N(0, 0.02), zero bias); with `--keep-answer-head` the answers that both
    lists share keep their pre-trained weights. Depends only on the configuration and its seed.

    finetuned: the dense model, if it is given: θ0 has its answers and its tokenizer, and without
        `--model` it is θ0 itself.

    Raises:
        ConfigError, ModelError: the model cannot be loaded or does not fit the data, or
            `finetuned` has another architecture or vocabulary.
        DataError: a split is missing or a file of the dataset is wrong.
    """
    if finetuned is not None and config.model is None:
        return finetuned
    torch.manual_seed(config.seed)
    if config.model is None:
        architecture, tokenizer = from_scratch(config, dataset)
        model = LxmertForQuestionAnswering(architecture)
        fresh_answer_head(model, dataset.answers)
        return model, tokenizer
    model = load_model(config.model, without_head=not config.keep_answer_head)
    answers = dataset.answers
    if finetuned is None:
        tokenizer = load_tokenizer(config.tokenizer or config.model)
    else:
        answers, tokenizer = labels_of(finetuned[0].config), finetuned[1]
        _check_same_tokenizer(config, tokenizer)
    check_fit(model.config, dataset, training_splits(dataset), tokenizer, config.max_tokens)
    old_head, old_config = model.answer_head, model.config.to_dict()
    fresh_answer_head(model, answers)
    if config.keep_answer_head:
        labels = _pretrained_labels(config, LxmertConfig.from_dict(old_config))
        shared = carry_answer_head(model, old_head, labels)
        if not shared:
            raise ModelError(
                f"--keep-answer-head: {config.model} and {config.finetuned or dataset.name} share "
                "no answer; "
                "give the model's own list with --pretrained-answers"
            )
    if finetuned is not None:
        _check_same_architecture(config, model, finetuned[0])
    return model, tokenizer


def _check_same_tokenizer(config: PruneConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise ModelError when `--model` has another vocabulary than the fine-tuned model's."""
    assert config.model is not None
    if config.tokenizer is not None:
        return
    try:
        own = load_tokenizer(config.model)
    except ModelError:
        return  # without one of its own, it takes that of the fine-tuned model
    if own.get_vocab() != tokenizer.get_vocab():
        raise ModelError(
            f"--model {config.model} has another vocabulary than --finetuned {config.finetuned}, "
            "which was fine-tuned from another model"
        )


def _check_same_architecture(
    config: PruneConfig, theta0: LxmertForQuestionAnswering, finetuned: LxmertForQuestionAnswering
) -> None:
    """Raise ModelError unless θ0 can have been fine-tuned to the given dense model."""
    problem = f"--finetuned {config.finetuned} was not fine-tuned from --model {config.model}"
    here, there = (
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        for model in (theta0, finetuned)
    )
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            shapes = (of.get(name, "absent") for of in (there, here))
            raise ModelError("{}: {} is {} there and {} here".format(problem, name, *shapes))
    for key in ("num_attention_heads", "hidden_act"):
        values = [getattr(model.config, key) for model in (finetuned, theta0)]
        if values[0] != values[1]:
            raise ModelError("{}: {} is {} there and {} here".format(problem, key, *values))


def from_scratch(
    config: TrainingConfig, dataset: Dataset
) -> tuple[LxmertConfig, PreTrainedTokenizerBase]:
    """Return the architecture of `--model-config` for the data, and `--tokenizer` or a new one.

    `visual_feat_dim` follows from the regions, `vocab_size` from the tokenizer and
    `num_qa_labels` from the answers.
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
        tokenizer = build_tokenizer(question.text for question in dataset.questions("train"))
    architecture.vocab_size = len(tokenizer)
    architecture.visual_feat_dim = dataset.region_format("train").feature_size
    if architecture.hidden_size % architecture.num_attention_heads:
        raise ConfigError(
            f"--model-config {config.architecture}: hidden_size {architecture.hidden_size} is not "
            f"a multiple of num_attention_heads {architecture.num_attention_heads}"
        )
    check_fit(architecture, dataset, training_splits(dataset), tokenizer, config.max_tokens)
    return architecture, tokenizer


def check_fit(
    architecture: LxmertConfig,
    dataset: Dataset,
    splits: Sequence[SplitName],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
) -> None:
    """Check that a model fits the splits' regions, the tokenizer and the number of tokens.

    Regions need not be made yet. Raises ModelError for what does not fit, and as
    `Dataset.region_format`.
    """
    for split in splits:
        regions = dataset.region_format(split)
        if regions.feature_size != architecture.visual_feat_dim:
            raise ModelError(
                f"the model takes regions of {architecture.visual_feat_dim} features, those of "
                f"{dataset.name} ({split}, detector {regions.detector}) have "
                f"{regions.feature_size}: use regions of the model's own detector"
            )
    check_vocabulary(tokenizer, architecture)
    check_length(max_tokens, architecture)


def check_length(max_tokens: int, architecture: LxmertConfig) -> None:
    """Raise ModelError when the model cannot read that many tokens."""
    if max_tokens > architecture.max_position_embeddings:
        raise ModelError(
            f"--max-tokens {max_tokens}: the model reads at most "
            f"{architecture.max_position_embeddings} tokens"
        )


def training_splits(dataset: Dataset) -> list[SplitName]:
    """The splits that training uses, as far as the dataset has them: train and val."""
    return [name for name in dataset.splits if name != "test"]


def _pretrained_labels(config: PruneConfig, architecture: LxmertConfig) -> Sequence[str]:
    """Return the answers of the pre-trained head; LXMERT's own file is `[{"ans": ...}, ...]`."""
    if config.pretrained_answers is None:
        return labels_of(architecture, "--pretrained-answers")
    path = Path(config.pretrained_answers)
    rows = read_json(path, "pre-trained answer list", ConfigError)
    rows = rows if isinstance(rows, list) else [rows]
    rows = [row.get("ans") if isinstance(row, dict) else row for row in rows]
    labels = [row for row in rows if isinstance(row, str)]
    if len(labels) != len(rows):
        raise ConfigError(f"{path} is not a list of answers")
    if len(labels) != architecture.num_qa_labels:
        raise ConfigError(
            f"{path} lists {len(labels)} answers, the pre-trained head has "
            f"{architecture.num_qa_labels}"
        )
    return labels
