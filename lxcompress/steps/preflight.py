"""Checks of a run's plan, before anything is trained: what would otherwise fail after hours."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.data.questions.answers import label_index, target_scores
from lxcompress.data.questions.question import can_be_scored
from lxcompress.errors import ConfigError, DataError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.find_mask import already_removed, check_pattern
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.magnitude import pruned_weights
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.schedule import pruning_levels
from lxcompress.run import Run


def check_dataset(run: Run, dataset: Dataset) -> None:
    """Check that the dataset is still the one that the run began with.

    Raises:
        DataError: questions, answers or regions have changed since, or a file of the dataset is
            missing or wrong.
    """
    if not run.exists():
        dataset.describe()  # reads every file
        return
    if not run.is_finished():
        run.once("dataset", dataset.describe)
    run.check_dataset(dataset)


def check_plan(
    config: PruneConfig,
    dataset: Dataset,
    model: LxmertForQuestionAnswering,
    total_steps: int,
    late_step: int,
) -> None:
    """Check steps, rewinding and answers. (`start_weights` has checked that all fit together.)

    Args:
        total_steps: optimizer steps of one training.
        late_step: the step to which late rewinding goes back.

    Raises:
        ConfigError: a pruning step prunes nothing.
        DataError: `--rewind-step` is too late, or as `check_answers`.
    """
    check_answers(dataset, labels_of(model.config))
    if config.speedup is None and config.mask is None:
        size = sum(weight.numel() for weight in prunable_parameters(model).values())
        for level in pruning_levels(config.target, config.pattern):
            pruned_weights(size, level)
    if config.rewind == "late" and late_step >= total_steps:
        raise DataError(f"--rewind-step {late_step}: training has only {total_steps} steps")


def check_target(
    config: PruneConfig,
    model: LxmertForQuestionAnswering,
    previous: Mask | None = None,
    latencies: LatencyTable | None = None,
) -> None:
    """Raise ConfigError unless the pattern can reach the target on this model.

    previous: the mask that the run goes on from.
    latencies: with a speedup, those of the model.
    """
    if config.mask is not None:
        return
    if previous is not None:
        begun = already_removed(model, previous, latencies)
        if config.target <= begun:
            done = f"{100 * begun:.1f}% sparse"
            if latencies is not None:
                done = f"{1 / (1 - begun):.2f} times as fast as its dense model"
            raise ConfigError(f"the ticket of --from {config.from_run} is already {done}")
    check_pattern(model, config, previous, latencies)


def check_answers(dataset: Dataset, labels: Sequence[str]) -> None:
    """Raise DataError when the dataset has nothing to learn from or nothing to measure with.

    labels: the answer list of the model.
    """
    index = label_index(labels)
    if not any(target_scores(question, index) for question in dataset.questions("train")):
        raise DataError(
            f"no `train:` question of {dataset.folder} has an answer that is in the answer list"
        )
    if not can_be_scored(dataset.questions("val")):
        raise DataError(f"the `val:` questions of {dataset.folder} have no answers to measure with")
