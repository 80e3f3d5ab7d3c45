"""The lottery: the five steps of "LXMERT Model Compression for Visual Question Answering".

    1. Save the start weights θ0: a pre-trained LXMERT with a fresh answer head.
    2. Fine-tune them on VQA: the dense model.
    3. Remove a fraction of the weights, chosen by the fine-tuned magnitudes: the mask.
    4. Rewind the weights that are left to where they started.
    5. Fine-tune again, under the mask: the ticket.

(arXiv 2310.15325, section 3; Frankle & Carbin, arXiv 1803.03635.) Each step leaves an artefact in
the run directory and is not done again when that exists, so a rerun is a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from transformers import LxmertForQuestionAnswering, PreTrainedTokenizerBase

from lxcompress.config import PruneConfig
from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.dataset import Dataset
from lxcompress.data.dataset_config import SplitName
from lxcompress.data.questions.answers import label_index, target_scores
from lxcompress.errors import DataError, ModelError, RunError
from lxcompress.evaluation.predict import predict
from lxcompress.evaluation.scoring import score as score_predictions
from lxcompress.evaluation.scoring import write_results
from lxcompress.model.lxmert import load_model, save_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.pruning.magnitude import magnitude_mask, pruned_weights
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.schedule import pruning_levels
from lxcompress.pruning.ticket_size import ticket_sizes
from lxcompress.run import Run
from lxcompress.system.device import make_accelerator
from lxcompress.system.environment import describe
from lxcompress.system.files import atomic_path, read_json, write_json
from lxcompress.training.loop import Recipe, train
from lxcompress.training.start_weights import start_weights, training_splits
from lxcompress.training.tensorboard import training_log

# Late rewinding goes back to this fraction of the training steps (Frankle et al. 2020, section 4).
_LATE = 0.05

Accuracy = dict[str, float | None]


class Lottery:
    """One run of the lottery: a configuration, a dataset, and the directory of its artefacts."""

    def __init__(self, run: Run, config: PruneConfig, dataset: Dataset) -> None:
        self.run, self.config, self.dataset = run, config, dataset
        self.accelerator = make_accelerator(config.device, config.precision, config.tensorboard)
        self.recipe = Recipe(
            epochs=config.epochs,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            seed=config.seed,
        )

    def find_ticket(self) -> dict[str, Any]:
        """Do the five steps and give what `result.json` then says."""
        self.check_dataset()
        if self.run.result.exists():
            self.run.tidy()
            return read_json(self.run.result, "result", RunError)
        dense_accuracy = self.find_dense()  # steps 1 and 2
        levels = pruning_levels(self.config.sparsity)
        # The paper prunes in steps of 10% and trains once more at the end; the iterative schedule
        # of Frankle & Carbin goes through steps 3 to 5 for each 10%.
        rounds = [levels] if self.config.schedule == "paper" else [[level] for level in levels]
        trained, steps = self.run.dense, []
        mask: Mask | None = None
        for number, round_levels in enumerate(rounds, start=1):
            is_last = number == len(rounds)
            mask, pruned = self.prune(trained, round_levels, mask)  # step 3
            rewound = self.rewind(trained, mask)  # step 4
            stage = "ticket" if is_last else f"round-{number}"
            trained = self.fine_tune_ticket(rewound, mask, stage)  # step 5
            ticket_accuracy = self.accuracy(stage, partial(load_model, trained))
            if not is_last:
                pruned[-1]["retrained_accuracy"] = ticket_accuracy
            steps += pruned
        assert mask is not None
        theta0_masked = self.accuracy("theta0_masked", partial(self.masked, self.run.theta0, mask))
        return self.conclude(dense_accuracy, theta0_masked, ticket_accuracy, steps)

    def find_dense(self) -> Accuracy:
        """Steps 1 and 2: the dense model's accuracy."""
        theta0 = self.save_start_weights()
        # A run that is resumed elsewhere may find its data without the regions made for it.
        self.dataset.prepare_regions(*training_splits(self.dataset))
        dense = self.fine_tune_dense(theta0)
        return self.accuracy("dense", partial(load_model, dense))

    def save_start_weights(self) -> Path:
        """Step 1: θ0, before anything is trained; saved only once the whole plan is checked."""
        if not self.run.theta0.exists():
            model, tokenizer = start_weights(self.config, self.dataset)
            self.check_plan(model)
            self.dataset.prepare_regions(*training_splits(self.dataset))
            # A process killed before θ0 was in place may have described another dataset.
            self.run.tidy()
            self.run.once("dataset", self.dataset.describe)
            save_model(model, tokenizer, self.run.theta0)
        return self.run.theta0

    def check_dataset(self) -> None:
        """RunError when a run finds another dataset than it began with; a run begins with θ0.

        DataError when one of its files is missing or wrong, before regions are made for it.
        """
        if self.run.result.exists():
            began = read_json(self.run.result, "result", RunError)["dataset"]
        elif self.run.theta0.exists():
            began = self.run.once("dataset", self.dataset.describe)
        else:
            began = self.dataset.describe()
        if began["fingerprint"] != self.dataset.fingerprint:
            raise RunError(
                f"the files of {self.dataset.folder} have changed since the run in "
                f"{self.run.folder} began; choose another --output, or --force to delete it"
            )

    def check_plan(self, model: LxmertForQuestionAnswering) -> None:
        """Find out now what would otherwise fail after hours of training, or between two steps.

        ConfigError for a sparsity that removes nothing; DataError for too large a batch, too late
        a `--rewind-step`, and as `check_answers`. (Whether model and data fit, `start_weights`
        has checked.)
        """
        self.check_answers()
        size = sum(weight.numel() for weight in prunable_parameters(model).values())
        for level in pruning_levels(self.config.sparsity):
            pruned_weights(size, level)
        steps = self.total_steps
        if self.config.rewind == "late" and self.late_step >= steps:
            raise DataError(f"--rewind-step {self.late_step}: training has only {steps} steps")

    def check_answers(self) -> None:
        """DataError when there is nothing to learn from, or nothing to measure with."""
        train, val = self.dataset.questions("train"), self.dataset.questions("val")
        index = label_index(self.dataset.answers)
        if not any(target_scores(question, index) for question in train):
            raise DataError(
                f"no `train:` question of {self.dataset.folder} has an answer that is in the "
                "answer list"
            )
        if not any(question.answers or question.scores for question in val):
            raise DataError(
                f"the `val:` questions of {self.dataset.folder} have no answers to measure with"
            )

    def fine_tune_dense(self, theta0: Path) -> Path:
        """Step 2: fine-tune without a mask; keeps the weights that late rewinding goes back to."""
        if not self.run.dense.exists():
            model = load_model(theta0)
            at_step = {}
            if self.config.rewind == "late":
                at_step[self.late_step] = lambda: self.save_late_weights(model)
            self.train(model, "dense", "Fine-tuning the dense model", at_step=at_step)
            save_model(model, self.tokenizer, self.run.dense)
            self.run.checkpoint("dense").unlink(missing_ok=True)
        return self.run.dense

    def save_late_weights(self, model: LxmertForQuestionAnswering) -> None:
        """What late rewinding goes back to; a run that was killed just here comes by twice."""
        if not self.run.late.exists():
            save_model(model, self.tokenizer, self.run.late)

    def prune(
        self, trained: Path, levels: list[float], mask: Mask | None
    ) -> tuple[Mask, list[dict[str, Any]]]:
        """Step 3: remove weights up to each level in turn, and measure after each removal."""
        model = load_model(trained)
        weights = prunable_parameters(model)
        steps = []
        for level in levels:
            mask = magnitude_mask(
                {name: weight.detach() for name, weight in weights.items()},
                level,
                subnetwork=self.config.subnetwork,
                scope=self.config.scope,
                seed=self.config.seed,
                previous=mask,
            )
            mask.apply(weights)
            accuracy = self.accuracy(f"pruned-{level}", lambda: model)
            steps.append({"sparsity": mask.sparsity, "accuracy": accuracy})
        assert mask is not None
        return mask, steps

    def rewind(self, trained: Path, mask: Mask) -> Callable[[], LxmertForQuestionAnswering]:
        """Step 4: where training under the mask starts (loaded when it is needed).

        θ0 ("weights"), the weights after the first steps of dense training ("late"), or the
        trained weights themselves, of which only the learning rate is rewound ("lr").
        """
        source = {"weights": self.run.theta0, "late": self.run.late, "lr": trained}
        return partial(self.masked, source[self.config.rewind], mask)

    def masked(self, folder: Path, mask: Mask) -> LxmertForQuestionAnswering:
        """A model with its pruned weights at zero."""
        model = load_model(folder)
        mask.apply(prunable_parameters(model))
        return model

    def fine_tune_ticket(
        self, rewound: Callable[[], LxmertForQuestionAnswering], mask: Mask, stage: str
    ) -> Path:
        """Step 5: fine-tune under the mask, and prove that the mask held.

        With `--no-enforce-mask` it is applied before training only, as in the authors' released
        code: pruned weights grow back, and the folder has no mask.
        """
        folder = self.run.retrained(stage)
        if not folder.exists():
            model = rewound()
            first_step = self.late_step if self.config.rewind == "late" else 0
            description = f"Fine-tuning the ticket at {100 * mask.sparsity:.0f}% sparsity"
            enforced = mask if self.config.enforce_mask else None
            self.train(model, stage, description, mask=enforced, first_step=first_step)
            if enforced:
                enforced.verify(prunable_parameters(model), "the ticket after training")
            with atomic_path(folder) as temporary:
                save_model(model, self.tokenizer, temporary)
                if enforced:
                    enforced.save(temporary / self.run.mask.name)
            self.run.checkpoint(stage).unlink(missing_ok=True)
        return folder

    def conclude(
        self,
        dense: Accuracy,
        theta0_masked: Accuracy,
        ticket: Accuracy,
        steps: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """Check the ticket as it lies on the disk and write `result.json`."""
        model = load_model(self.run.ticket)
        weights = prunable_parameters(model)
        mask = self.final_mask(weights)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        sparsity = {"prunable": mask.sparsity, "model": mask.pruned / parameters}
        result = {
            "dense": {"accuracy": dense},
            "ticket": {"accuracy": ticket, "sparsity": sparsity},
            "theta0_masked": {"accuracy": theta0_masked},
            "pruning_steps": steps,
            "metric": self.run.once("metric", lambda: None),
            "weights": {
                "pruned": mask.pruned,
                "prunable": mask.size,
                "parameters": parameters,
                "zeros": sum(int((weight == 0).sum()) for weight in weights.values()),
            },
            "bytes": ticket_sizes(model, mask),
            "config": self.config.dump(),
            "environment": describe(str(self.accelerator.device.type)),
            "dataset": self.run.once("dataset", self.dataset.describe),
        }
        write_json(self.run.result, result)
        self.run.tidy()
        return result

    def final_mask(self, weights: Mapping[str, torch.Tensor]) -> Mask:
        """Which weights are left: the ticket's mask, proved; ModelError where it did not hold.

        Without enforcement, whatever is not zero.
        """
        if not self.config.enforce_mask:
            return Mask({name: weight.detach() != 0 for name, weight in weights.items()})
        mask = Mask.load(self.run.mask, weights)
        mask.verify(weights, str(self.run.ticket))
        if mask.pruned != pruned_weights(mask.size, self.config.sparsity):
            raise ModelError(f"{self.run.mask} removes {mask.pruned} weights, not what was asked")
        return mask

    def train(
        self, model: LxmertForQuestionAnswering, stage: str, description: str, **how: Any
    ) -> None:
        """Train with the run's recipe; continues from the stage's checkpoint."""
        name = f"{self.run.folder.resolve().name}/{stage}"
        with training_log(self.run.log(stage), self.accelerator, name) as log:
            train(
                model,
                self.training_questions,
                self.recipe,
                self.accelerator,
                checkpoint=self.run.checkpoint(stage),
                log=log,
                description=description,
                workers=self.config.workers,
                **how,
            )

    def accuracy(self, name: str, model: Callable[[], LxmertForQuestionAnswering]) -> Accuracy:
        """Percent on the validation split by answer type; measured once, then remembered."""

        def measure() -> Accuracy:
            data = self.validation_questions
            predictions = predict(
                model(),
                data,
                self.accelerator.device,
                description=f"Evaluating {name}",
                workers=self.config.workers,
            )
            score = score_predictions(predictions, data.questions)
            if name in ("dense", "ticket"):
                write_results(self.run.predictions(name), predictions)
            self.run.once("metric", lambda: score.metric)
            return score.accuracy()

        return self.run.once(name, measure)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of a whole training."""
        return self.recipe.total_steps(len(self.dataset.questions("train")))

    @property
    def late_step(self) -> int:
        """The step to which late rewinding goes back."""
        return self.config.rewind_step or max(1, round(_LATE * self.total_steps))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer saved with θ0."""
        return load_tokenizer(self.run.theta0)

    @cached_property
    def training_questions(self) -> EncodedQuestions:
        """The training split, tokenized, with its soft targets."""
        return self._encode("train", with_answers=True)

    @cached_property
    def validation_questions(self) -> EncodedQuestions:
        """The validation split, tokenized."""
        return self._encode("val", with_answers=False)

    def _encode(self, name: SplitName, *, with_answers: bool) -> EncodedQuestions:
        split = self.dataset.split(name)
        return EncodedQuestions(
            split.questions,
            split.regions,
            self.tokenizer,
            max_tokens=self.config.max_tokens,
            answers=self.dataset.answers if with_answers else None,
        )
