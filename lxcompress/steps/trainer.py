"""Training and evaluating the models of one run, with everything saved in its directory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering, PreTrainedTokenizerBase

from lxcompress.choices import Criterion, Subnetwork
from lxcompress.config import PruneConfig
from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.dataset import Dataset
from lxcompress.data.dataset_config import SplitName
from lxcompress.data.random_batches import random_batches
from lxcompress.errors import ConfigError
from lxcompress.evaluation.predict import predict
from lxcompress.evaluation.scoring import score, write_results
from lxcompress.model.answer_head import labels_of
from lxcompress.model.compact import compact, unit_positions, widen
from lxcompress.model.lxmert import read_config
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.structured import mean_squares, removed_units
from lxcompress.result import Accuracy
from lxcompress.run import Run
from lxcompress.system.machine.device import make_accelerator
from lxcompress.training.loop import train
from lxcompress.training.recipe import Recipe
from lxcompress.training.taylor import unit_scores, weight_scores
from lxcompress.training.tensorboard import training_log

# Late rewinding goes back to this fraction of the training steps (Frankle et al. 2020, section 4).
_LATE_REWINDING = 0.05
_SHAPES_OF_QUESTIONS = 256

_WITH_PREDICTIONS = ("dense", "ticket", "control")  # models that are compared by question


class RunTrainer:
    """Trains and evaluates the models of a run with its settings, on its dataset."""

    def __init__(self, run: Run, config: PruneConfig, dataset: Dataset) -> None:
        """Prepare; nothing is read or written yet."""
        self.run, self.config, self.dataset = run, config, dataset
        self.accelerator = make_accelerator(config.device, config.precision, config.tensorboard)
        self.recipe = Recipe(
            epochs=config.epochs,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            seed=config.seed,
        )

    def train(
        self,
        model: LxmertForQuestionAnswering,
        stage: str,
        description: str,
        *,
        epochs: int | None = None,
        **options: Any,
    ) -> None:
        """Train `model` in place, from the stage's checkpoint where there is one.

        epochs: those of the settings, unless given. `options` are those of
        `lxcompress.training.loop.train`, and so are the errors raised.
        """
        name = f"{self.run.folder.resolve().name}/{stage}"
        with training_log(self.run.log(stage), self.accelerator, name) as log:
            train(
                model,
                self._training_questions,
                replace(self.recipe, epochs=epochs or self.recipe.epochs),
                self.accelerator,
                checkpoint=self.run.checkpoint(stage),
                log=log,
                description=description,
                workers=self.config.workers,
                **options,
            )

    def train_ticket(
        self,
        model: LxmertForQuestionAnswering,
        stage: str,
        description: str,
        mask: Mask | None,
        first_step: int,
    ) -> None:
        """Train `model` in place under `mask`, without the heads and neurons that it removes whole.

        The result is that of training all under the mask, up to rounding and the draws of dropout,
        and there is less to compute.
        """
        kept = {} if mask is None else _kept_units(model, mask)
        if not kept or mask is None:
            self.train(model, stage, description, mask=mask, first_step=first_step)
            return
        smaller = compact(model, kept)
        positions = unit_positions(sublayers(model), kept)
        remaining = {
            name: mask[name].index_select(*positions[name]) if name in positions else mask[name]
            for name in prunable_parameters(smaller)
        }
        is_whole = all(keep.all() for keep in remaining.values())
        rest = None if is_whole else Mask(remaining)
        self.train(smaller, stage, description, mask=rest, first_step=first_step)
        widen(smaller, kept, model)

    def accuracy(self, name: str, model: Callable[[], LxmertForQuestionAnswering]) -> Accuracy:
        """Return the validation accuracy by answer type in percent.

        It is measured once and saved under `name`; `model` is called only to measure it. The
        predictions of "dense", "ticket" and "control-1"… are saved too.
        """

        def measure() -> Accuracy:
            data = self._validation_questions
            predictions = predict(
                model(),
                data,
                self.accelerator.device,
                description=f"Evaluating {name}",
                workers=self.config.workers,
            )
            scored = score(predictions, data.questions)
            if name.partition("-")[0] in _WITH_PREDICTIONS:
                write_results(self.run.predictions(name), predictions)
            self.run.once("metric", lambda: scored.metric)
            return scored.accuracy()

        return self.run.once(name, measure)

    def scores(self, model: LxmertForQuestionAnswering) -> Mapping[str, torch.Tensor]:
        """Return what weights, or with the structured pattern units, are ranked by.

        Nothing is ranked under a given mask.
        """
        by_units = self.config.prunes_units
        if self.config.mask is not None:
            return {}
        is_random = self.config.subnetwork == Subnetwork.RANDOM  # ranks by nothing
        if self.config.criterion == Criterion.MAGNITUDE or is_random:
            weights = {name: w.detach() for name, w in prunable_parameters(model).items()}
            return mean_squares(model) if by_units else weights
        score = unit_scores if by_units else weight_scores
        return score(
            model, self._training_questions, self.recipe, self.accelerator, self.config.workers
        )

    def question_shape(
        self, batch_size: int, tokenizer: PreTrainedTokenizerBase
    ) -> tuple[int, int]:
        """Return tokens and regions of a usual batch of validation questions (medians).

        Raises:
            ConfigError: there are fewer questions than a batch has.
        """
        questions = self._encode("val", tokenizer, with_targets=False)
        if len(questions) < batch_size:
            raise ConfigError(
                f"--speedup-batch {batch_size}: only {len(questions)} validation questions"
            )
        batches = random_batches(questions, batch_size, _SHAPES_OF_QUESTIONS)
        shapes = [(b["input_ids"].shape[1], b["visual_feats"].shape[1]) for b in batches]
        tokens, regions = np.median(shapes, axis=0)
        return math.ceil(tokens), math.ceil(regions)

    def check_validation_questions(self) -> None:
        """Tokenize the validation questions now, so that training is not in vain if that fails."""
        self._validation_questions  # noqa: B018

    @property
    def total_steps(self) -> int:
        """Number of optimizer steps of one training."""
        return self.recipe.total_steps(len(self.dataset.questions("train")))

    @property
    def late_step(self) -> int:
        """The step to which late rewinding goes back."""
        return self.config.rewind_step or max(1, round(_LATE_REWINDING * self.total_steps))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer saved with θ0."""
        return load_tokenizer(self.run.theta0)

    @cached_property
    def answers(self) -> list[str]:
        """The answer list saved with θ0: the dataset's, or with `--finetuned` the model's own."""
        return labels_of(read_config(self.run.theta0))

    @cached_property
    def _training_questions(self) -> EncodedQuestions:
        return self._encode("train", self.tokenizer, with_targets=True)

    @cached_property
    def _validation_questions(self) -> EncodedQuestions:
        return self._encode("val", self.tokenizer, with_targets=False)

    def _encode(
        self, name: SplitName, tokenizer: PreTrainedTokenizerBase, *, with_targets: bool
    ) -> EncodedQuestions:
        split = self.dataset.split(name)
        return EncodedQuestions(
            split.questions,
            split.regions,
            tokenizer,
            max_tokens=self.config.max_tokens,
            answers=self.answers if with_targets else None,
        )


def _kept_units(model: LxmertForQuestionAnswering, mask: Mask) -> dict[str, torch.Tensor]:
    """Return, by sublayer, which units `mask` leaves; nothing if it removes none whole."""
    kept = {name: ~units for name, units in removed_units(model, mask).items()}
    return kept if not all(units.all() for units in kept.values()) else {}
