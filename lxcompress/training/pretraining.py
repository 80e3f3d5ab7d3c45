"""LXMERT's pre-training at small scale; `lxmert-shapes`, the embedded model, comes from it.

Four of LXMERT's tasks (Tan & Bansal 2019, section 3.1) on every batch: masked words, masked region
features (regression), matching of picture and sentence, and question answering. Classification of
detected objects is left out, because the pixel detector gives no object labels. LXMERT also masks
the questions that it answers; here a share of each batch stays unmasked and only that share is
answered, because a short question with its colour masked does not determine its answer.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LxmertForPreTraining, LxmertForQuestionAnswering, PreTrainedTokenizerBase

from lxcompress.config import PretrainConfig, first_difference
from lxcompress.data.batches import Batch, EncodedQuestions, model_inputs
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ModelError, RunError
from lxcompress.evaluation.predict import evaluate
from lxcompress.model.answer_head import labels_of, set_labels
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.lxmert import load_pretraining_model, save_model
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.system.files import atomic_path, read_json, write_json
from lxcompress.system.machine.device import make_accelerator
from lxcompress.system.machine.environment import describe
from lxcompress.training.loop import train
from lxcompress.training.recipe import Recipe
from lxcompress.training.start_weights import check_fit, from_scratch, training_splits
from lxcompress.training.tensorboard import training_log

_IGNORE = -100  # the label that PyTorch's cross-entropy ignores


@dataclass(frozen=True, slots=True)
class Masking:
    """Rates of LXMERT's src/param.py, BERT's 80/10/10 rule, and the share that stays unmasked."""

    unmasked: float = 0.6
    words: float = 0.15
    regions: float = 0.15
    mismatched: float = 0.5
    replaced_by_mask: float = 0.8
    replaced_by_random: float = 0.1


class PretrainingLoss:
    """The sum of the four tasks' losses on a batch; random choices use torch's generator."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, masking: Masking | None = None) -> None:
        self.masking = masking or Masking()
        self.mask_token_id = int(tokenizer.mask_token_id)
        self.special = torch.tensor(sorted(tokenizer.all_special_ids))
        self.vocabulary = len(tokenizer)

    def __call__(self, model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        """Return the scalar loss of an `LxmertForPreTraining` on `batch`."""
        batch = dict(batch)
        unmasked = torch.rand(len(batch["input_ids"])) < self.masking.unmasked
        matched = self.mismatch_pictures(batch, unmasked)
        words = self.mask_words(batch, unmasked)
        features = batch["visual_feats"].float()
        batch["visual_feats"], masked_regions = self.mask_regions(
            features, batch["visual_attention_mask"], unmasked
        )
        scores, answers = batch["targets"].max(dim=1)
        answers = torch.where((scores > 0) & unmasked, answers, _IGNORE)
        output = model(
            **model_inputs(batch, device),
            # A cross-entropy without any label is NaN, so a task without labels is left out.
            labels=words.to(device) if (words != _IGNORE).any() else None,
            matched_label=matched.long().to(device),
            obj_labels={"feat": (features.to(device), masked_regions.float().to(device))},
            ans=answers.to(device) if (answers != _IGNORE).any() else None,
        )
        return output.loss

    def mismatch_pictures(self, batch: Batch, unmasked: torch.Tensor) -> torch.Tensor:
        """Give some questions the next row's picture, in place; return what matches, bool `[B]`."""
        rows = len(batch["input_ids"])
        matched = unmasked | (torch.rand(rows) >= self.masking.mismatched)
        source = torch.where(matched, torch.arange(rows), (torch.arange(rows) + 1) % rows)
        for name in ("visual_feats", "visual_pos", "visual_attention_mask"):
            batch[name] = batch[name][source]
        return matched

    def mask_words(self, batch: Batch, unmasked: torch.Tensor) -> torch.Tensor:
        """Mask words in a new `input_ids`; return the labels `[B, T]`, -100 elsewhere."""
        ids = batch["input_ids"]
        chosen = (torch.rand(ids.shape) < self.masking.words) & ~torch.isin(ids, self.special)
        chosen &= ~unmasked[:, None]
        replacement = torch.rand(ids.shape)
        as_mask, as_random = self._replacements(replacement)
        random_ids = torch.randint(self.vocabulary, ids.shape)
        masked = torch.where(chosen & as_mask, self.mask_token_id, ids)
        batch["input_ids"] = torch.where(chosen & as_random, random_ids, masked)
        return torch.where(chosen, ids, _IGNORE)

    def mask_regions(
        self, features: torch.Tensor, seen: torch.Tensor, unmasked: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `features [B, R, F]` with some masked, and which ones, bool `[B, R]`."""
        chosen = (torch.rand(seen.shape) < self.masking.regions) & seen.bool() & ~unmasked[:, None]
        as_zero, as_random = self._replacements(torch.rand(seen.shape))
        others = features[torch.randperm(len(features))]
        masked = torch.where((chosen & as_zero)[..., None], 0.0, features)
        return torch.where((chosen & as_random)[..., None], others, masked), chosen

    def _replacements(self, draw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        as_mask = draw < self.masking.replaced_by_mask
        limit = self.masking.replaced_by_mask + self.masking.replaced_by_random
        return as_mask, ~as_mask & (draw < limit)


def pretrain(config: PretrainConfig, dataset: Dataset, output: Path) -> dict[str, Any]:
    """Pre-train an LXMERT on the dataset's training questions and write its folder to `output`.

    The folder is Hugging Face's (`LxmertForPreTraining`), with `pretraining.json` (settings,
    accuracy on the validation split, environment) and `pretraining.jsonl` (the losses) beside.
    """
    accelerator = make_accelerator(config.device, config.precision, config.tensorboard)
    torch.manual_seed(config.seed)
    model, tokenizer = _start(config, dataset)
    use_fast_attention(model)
    recipe = Recipe(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
        weight_decay=config.weight_decay,
        decay_vectors=False,
    )
    recipe.total_steps(len(dataset.questions("train")))  # or too large a batch, found out now
    dataset.prepare_regions(*training_splits(dataset))
    split = dataset.split("train")
    data = EncodedQuestions(
        split.questions,
        split.regions,
        tokenizer,
        max_tokens=config.max_tokens,
        answers=dataset.answers,
    )
    work = output.parent / f".{output.name}.work"
    _claim(work, {**config.dump(), "fingerprint": dataset.fingerprint})
    with training_log(work / "pretraining.jsonl", accelerator, output.name) as log:
        train(
            model,
            data,
            recipe,
            accelerator,
            checkpoint=work / "checkpoint.safetensors",
            description=f"Pre-training {output.name}",
            loss=PretrainingLoss(tokenizer),
            workers=config.workers,
            log=log,
        )
    record = {
        "config": config.dump(),
        "dataset": dataset.describe(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "validation": _validate(model, tokenizer, dataset, config, accelerator.device),
        "environment": describe(accelerator.device.type),
    }
    with atomic_path(output) as temporary:
        save_model(model, tokenizer, temporary)
        write_json(temporary / "pretraining.json", record)
        shutil.copy(log.path, temporary / "pretraining.jsonl")
    shutil.rmtree(work)
    return record


def _start(
    config: PretrainConfig, dataset: Dataset
) -> tuple[LxmertForPreTraining, PreTrainedTokenizerBase]:
    """Return a new model, or with `--model` one that this command wrote, and its tokenizer."""
    if config.model is not None:
        model = load_pretraining_model(config.model)
        tokenizer = load_tokenizer(config.tokenizer or config.model)
        check_fit(model.config, dataset, training_splits(dataset), tokenizer, config.max_tokens)
        if labels_of(model.config) != dataset.answers:
            raise ModelError(f"{config.model} has another answer list than {dataset.name}")
        return model, tokenizer
    architecture, tokenizer = from_scratch(config, dataset)
    architecture.visual_obj_loss = architecture.visual_attr_loss = False
    set_labels(architecture, dataset.answers)
    return LxmertForPreTraining(architecture), tokenizer


def _claim(work: Path, settings: dict[str, Any]) -> None:
    """Continue only what began with the same settings and the same dataset."""
    began = work / "config.json"
    if began.exists():
        difference = first_difference(read_json(began, "settings", RunError), settings)
        if difference:
            raise RunError(
                f"{work} holds an unfinished pre-training ({difference}); give its settings to "
                "continue it, or remove that folder"
            )
    write_json(began, settings)


def _validate(
    model: LxmertForPreTraining,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    config: PretrainConfig,
    device: torch.device,
) -> dict[str, Any] | None:
    """Return the accuracy of the pre-trained answer head on the validation questions."""
    if "val" not in dataset.splits:
        return None
    split = dataset.split("val")
    questions = EncodedQuestions(
        split.questions, split.regions, tokenizer, max_tokens=config.max_tokens
    )
    answering = LxmertForQuestionAnswering(model.config)
    answering.lxmert, answering.answer_head = model.lxmert, model.answer_head
    score = evaluate(answering, questions, device, workers=config.workers)
    return {"metric": score.metric, "accuracy": score.accuracy()}
