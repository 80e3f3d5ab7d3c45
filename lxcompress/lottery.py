"""The lottery: the five steps of "LXMERT Model Compression for Visual Question Answering".

    1. Save the start weights θ0: a pre-trained LXMERT with a fresh answer head.
    2. Fine-tune them on VQA: the dense model.
    3. Prune a fraction of the weights, in the paper those of smallest magnitude: the mask.
    4. Rewind the remaining weights to θ0.
    5. Fine-tune again, under the mask: the ticket.

(arXiv 2310.15325, section 3; Frankle & Carbin, arXiv 1803.03635.) Each step leaves an artefact in
the run directory and is skipped when its artefact exists, so running again resumes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from transformers import LxmertForQuestionAnswering, PreTrainedTokenizerBase

from lxcompress.choices import Rewind
from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.model.folder import MASK_FILE
from lxcompress.model.lxmert import load_model, save_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.pruning.find_mask import find_mask
from lxcompress.pruning.latency_table import LatencyTable, MeasureLatencies
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.schedule import training_rounds
from lxcompress.pruning.structured import zero_biases
from lxcompress.result import Accuracy, PruningStep, RunResult
from lxcompress.run import Run, pruned_name
from lxcompress.steps import latencies
from lxcompress.steps.conclusion import conclude
from lxcompress.steps.continuation import (
    check_other_folder,
    discard,
    open_source,
    share_artefacts,
    starting_point,
)
from lxcompress.steps.control import epochs_of_dense, epochs_of_ticket, fine_tune_control
from lxcompress.steps.given import (
    keep_given,
    load_finetuned,
    load_given_mask,
    what_was_given,
)
from lxcompress.steps.preflight import check_dataset, check_plan, check_target
from lxcompress.steps.trainer import RunTrainer
from lxcompress.system.files import atomic_path
from lxcompress.system.machine.device import resolve_device, resolve_precision
from lxcompress.system.machine.environment import describe
from lxcompress.system.output_folder import check_writable
from lxcompress.ticket import load_ticket
from lxcompress.training.start_weights import start_weights, training_splits


def find_ticket(
    run: Run,
    config: PruneConfig,
    *,
    force: bool = False,
    measure_latencies: MeasureLatencies | None = None,
) -> RunResult:
    """Find a lottery ticket in `run`'s folder, and return its result.

    Steps whose artefacts exist are not repeated. With `force`, another run in the folder is
    deleted first.

    measure_latencies: for a `--speedup`, as in `Lottery`.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM; the same call continues.
        ConfigError, DataError, ModelError, RunError, DeviceError: before anything is trained.
    """
    check_other_folder(run, config)
    device = resolve_device(config.device)
    config = config.on(device, resolve_precision(config.precision, device))
    check_writable("--output", run.folder)
    lottery = Lottery(run, config, open_dataset(config.data), measure_latencies)
    with run.claim(config.dump(), force=force):
        return lottery.find_ticket()


class Lottery:
    """One run: a configuration, a dataset, and the directory of its artefacts."""

    def __init__(
        self,
        run: Run,
        config: PruneConfig,
        dataset: Dataset,
        measure_latencies: MeasureLatencies | None = None,
    ) -> None:
        """Prepare; nothing is read or written yet. The caller owns the folder (`Run.claim`)."""
        self.run, self.config, self.dataset = run, config, dataset
        self.trainer = RunTrainer(run, config, dataset)
        self.measure_latencies = measure_latencies

    def find_ticket(self) -> RunResult:
        """Do the five steps, or those that are missing, and return the result."""
        check_dataset(self.run, self.dataset)
        if self.run.is_finished():
            self.run.tidy()
            return self.run.read_result()
        dense_accuracy = self.find_dense()  # steps 1 and 2
        trained, previous, begun = starting_point(self.run, self.config, self.latencies)
        mask, steps = previous, list[PruningStep]()
        rounds = training_rounds(self.config, begun)
        for number, levels in enumerate(rounds, start=1):
            is_last = number == len(rounds)
            stage = "ticket" if is_last else f"round-{number}"
            mask, pruned = self.prune(trained, levels, mask, stage)  # step 3
            rewound = self.rewind(trained, mask)  # step 4
            trained = self.fine_tune_ticket(rewound, mask, stage)  # step 5
            ticket_accuracy = self.trainer.accuracy(stage, partial(load_model, trained))
            if not is_last:
                retrained = {"retrained_accuracy": ticket_accuracy}
                pruned[-1] = pruned[-1].model_copy(update=retrained)
            steps += pruned
        assert mask is not None
        dense_epochs = epochs_of_dense(self.trainer)
        trainings = epochs_of_ticket(self.trainer, len(rounds))
        has_control = self.config.control and self.config.rewind != Rewind.WEIGHTS
        return conclude(
            self.run,
            self.config,
            self.dataset,
            ticket={"accuracy": ticket_accuracy, "epochs": trainings},
            previous=previous,
            latencies=self.latencies,
            dense={"accuracy": dense_accuracy, "epochs": dense_epochs},
            dense_control=fine_tune_control(
                self.trainer, dense_epochs, trainings if has_control else None
            ),
            theta0_masked={
                "accuracy": self.trainer.accuracy(
                    "theta0_masked", partial(self.masked, self.run.theta0, mask)
                )
            },
            pruning_steps=steps,
            environment=describe(str(self.trainer.accelerator.device.type)),
            **what_was_given(self.run, self.config, self.dataset),
        )

    @cached_property
    def latencies(self) -> LatencyTable | None:
        """The latencies that a speedup is reached by; None without one."""
        return latencies.read(self.run, self.config)

    def find_dense(self) -> Accuracy:
        """Do steps 1 and 2; return the dense model's accuracy."""
        theta0 = self.save_start_weights()
        # A run that is resumed elsewhere may find its data without the regions made for it.
        self.dataset.prepare_regions(*training_splits(self.dataset))
        dense = self.fine_tune_dense(theta0)
        return self.trainer.accuracy("dense", partial(load_model, dense))

    def save_start_weights(self) -> Path:
        """Step 1: save θ0, once the whole plan is checked and before anything is trained."""
        if self.run.theta0.exists():
            return self.run.theta0
        if self.config.from_run is None:
            finetuned = load_finetuned(self.config, self.dataset)
            model, tokenizer = start_weights(self.config, self.dataset, finetuned)
            mask = load_given_mask(self.config, model)
            self.check_plan(model, tokenizer)
            keep_given(self.run, self.config, self.dataset, finetuned, mask)
            save_model(model, tokenizer, self.run.theta0)
        else:
            source = open_source(Path(self.config.from_run))
            source.check_dataset(self.dataset)
            model, previous = load_ticket(source.ticket)
            self.check_plan(model, load_tokenizer(source.ticket), previous)
            share_artefacts(source, self.run)
        return self.run.theta0

    def check_plan(
        self,
        model: LxmertForQuestionAnswering,
        tokenizer: PreTrainedTokenizerBase,
        previous: Mask | None = None,
    ) -> None:
        """Check what would otherwise fail after hours; detect regions, measure latencies."""
        trainer = self.trainer
        check_plan(self.config, self.dataset, model, trainer.total_steps, trainer.late_step)
        if self.config.speedup is None:
            check_target(self.config, model, previous)
        self.dataset.prepare_regions(*training_splits(self.dataset))
        # A process killed before θ0 was saved may have described another dataset.
        discard(self.run)
        self.run.once("dataset", self.dataset.describe)
        if self.config.speedup is not None:
            latencies.measure(trainer, model.config, tokenizer, self.measure_latencies)
            check_target(self.config, model, previous, self.latencies)

    def fine_tune_dense(self, theta0: Path) -> Path:
        """Step 2: fine-tune without a mask; save the weights that late rewinding goes back to.

        A model of `--finetuned` is there already.
        """
        if not self.run.dense.exists():
            self.trainer.check_validation_questions()
            model = load_model(theta0)
            at_step = {}
            if self.config.rewind == Rewind.LATE:
                at_step[self.trainer.late_step] = lambda: self.save_late_weights(model)
            self.trainer.train(model, "dense", "Fine-tuning the dense model", at_step=at_step)
            save_model(model, self.trainer.tokenizer, self.run.dense)
            self.run.checkpoint("dense").unlink(missing_ok=True)
        return self.run.dense

    def save_late_weights(self, model: LxmertForQuestionAnswering) -> None:
        """Save the weights for late rewinding; they exist already after a kill at this step."""
        if not self.run.late.exists():
            save_model(model, self.trainer.tokenizer, self.run.late)

    def prune(
        self, trained: Path, levels: list[float], previous: Mask | None, stage: str
    ) -> tuple[Mask, list[PruningStep]]:
        """Step 3: prune the trained weights level by level, measuring after each; save the mask.

        Returns the last level's mask, under which `stage` is trained, and one record per level.
        """
        model = load_model(trained)
        weights = prunable_parameters(model)
        saved = self.run.stage_mask(stage)
        measured = (self.run.pruned_accuracy(level).exists() for level in levels)
        is_done = saved.exists() and all(measured)
        mask = Mask.load(saved, weights) if is_done else None
        # Once: scores of a network that has lost units and was not trained since are worse.
        scores = {} if is_done else self.trainer.scores(model)
        steps = []
        for level in levels:
            if not is_done:
                mask = find_mask(model, scores, level, self.config, previous, self.latencies)
                self.apply(mask, model)
                previous = mask
            accuracy = self.trainer.accuracy(pruned_name(level), lambda: model)
            assert mask is not None
            reached = f"{pruned_name(level)}-sparsity"  # of each level, also when resumed
            sparsity = self.run.once(reached, partial(float, mask.sparsity))
            steps.append(PruningStep(sparsity=sparsity, accuracy=accuracy))
        assert mask is not None
        mask.save(saved)
        return mask, steps

    def rewind(self, trained: Path, mask: Mask) -> Callable[[], LxmertForQuestionAnswering]:
        """Step 4: return a function that loads the model from which training under `mask` starts.

        That is θ0, the weights after the first steps of dense training, or the trained weights
        themselves, of which only the learning-rate schedule starts again.
        """
        sources = {
            Rewind.WEIGHTS: self.run.theta0,
            Rewind.LATE: self.run.late,
            Rewind.LR: trained,
        }
        return partial(self.masked, sources[self.config.rewind], mask)

    def masked(self, folder: Path, mask: Mask) -> LxmertForQuestionAnswering:
        """Load a model and set its pruned weights to zero."""
        self.apply(mask, model := load_model(folder))
        return model

    def apply(self, mask: Mask, model: LxmertForQuestionAnswering) -> None:
        """Set the pruned weights to zero, and the biases of whole units that are removed."""
        mask.apply(prunable_parameters(model))
        if self.config.enforce_mask:
            zero_biases(model, mask)

    def fine_tune_ticket(
        self, rewound: Callable[[], LxmertForQuestionAnswering], mask: Mask, stage: str
    ) -> Path:
        """Step 5: fine-tune under the mask, and verify that pruned weights are still zero.

        With `--no-enforce-mask` the mask is applied before training only, as in the authors'
        released code: pruned weights grow back, and the folder has no mask.
        """
        folder = self.run.retrained(stage)
        if not folder.exists():
            model = rewound()
            first_step = self.trainer.late_step if self.config.rewind == Rewind.LATE else 0
            description = f"Fine-tuning the ticket at {100 * mask.sparsity:.0f}% sparsity"
            enforced = mask if self.config.enforce_mask else None
            self.trainer.train_ticket(model, stage, description, enforced, first_step)
            if enforced:
                enforced.verify(prunable_parameters(model), "the ticket after training")
            with atomic_path(folder) as temporary:
                save_model(model, self.trainer.tokenizer, temporary)
                if enforced:
                    enforced.save(temporary / MASK_FILE)
            self.run.checkpoint(stage).unlink(missing_ok=True)
        return folder
