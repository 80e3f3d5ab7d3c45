"""The training loop: LXMERT's fine-tuning, optionally under a mask, exactly resumable.

Step k depends only on the weights, the optimizer's moments, k and the seed: the order of the
questions is drawn from (seed, epoch), dropout from (seed, k). A checkpoint therefore holds weights,
moments and k, and a run that was killed and continued ends bit-equal to an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from itertools import filterfalse
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from lxcompress.data.batches import EncodedQuestions, training_batches
from lxcompress.errors import DataError, Interrupted
from lxcompress.pruning.mask import Mask
from lxcompress.system.interrupts import deferred_interrupt
from lxcompress.system.machine.threads import set_torch_threads
from lxcompress.system.progress import progress
from lxcompress.training.buckets import ParameterBuckets
from lxcompress.training.checkpoint import CheckpointSaver, load_checkpoint, training_state
from lxcompress.training.log import TrainingLog
from lxcompress.training.optimizer import BertAdam, linear_warmup
from lxcompress.training.recipe import Recipe
from lxcompress.training.step import Loss, answer_loss, training_step

_STEPS_BETWEEN_LOSSES = 20


def train(
    model: nn.Module,
    data: EncodedQuestions,
    recipe: Recipe,
    accelerator: Accelerator,
    *,
    checkpoint: Path,
    log: TrainingLog,
    description: str,
    mask: Mask | None = None,
    loss: Loss = answer_loss,
    first_step: int = 0,
    at_step: Mapping[int, Callable[[], None]] | None = None,
    workers: int | None = None,
) -> None:
    """Train `model` in place from `first_step` of the recipe's schedule to its end.

    Args:
        checkpoint: where progress is saved; training continues from it where it exists. The
            caller deletes it once the trained model is saved, so that nothing is lost in between.
        log: receives the loss every few steps.
        description: shown beside the progress.
        mask: pruned weights must be zero at the start and are zero after every step.
        at_step: functions to call before the step of that number (for late rewinding).
        workers: processes that load batches; None chooses.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM; the checkpoint is saved.
        DataError: the loss is not finite any more, or the questions do not fill one batch.
    """
    set_torch_threads(sum(parameter.numel() for parameter in model.parameters()))
    model.to(accelerator.device).train()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    weights, optimizer = _optimizer(trainable.values(), recipe)
    tensors = training_state(trainable, weights, optimizer)
    step = max(first_step, load_checkpoint(checkpoint, tensors))
    total = recipe.total_steps(len(data))
    enforcer = mask.enforcer({name: trainable[name] for name in mask}) if mask else None
    batches = training_batches(
        data,
        recipe.batch_size,
        epochs=recipe.epochs,
        seed=recipe.seed,
        first_step=step,
        workers=workers,
    )
    saver = CheckpointSaver(checkpoint, tensors)
    log.rewind(step)
    with (
        weights,
        progress(description, total, "steps", start=step) as meter,
        deferred_interrupt() as stopping,
    ):
        for batch in batches:
            if at_step and step in at_step:
                at_step[step]()
            torch.manual_seed(step_seed(recipe.seed, step))
            learning_rate = recipe.learning_rate * linear_warmup(step, total, recipe.warmup)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            value = training_step(model, batch, loss, weights, optimizer, accelerator, enforcer)
            step += 1
            note = ""
            # Reading the loss waits for the GPU, so it is not done at every step.
            if step % _STEPS_BETWEEN_LOSSES == 0 or step == total:
                number = _finite_loss(value, step)
                note = f"loss {number:.3f}"
                log(step, learning_rate, number)
            meter.advance(note=note)
            if stopping() and step < total:
                _finite_loss(value, step)
                saver.save(step)
                raise Interrupted(f"stopped at step {step} of {total}")
            if saver.due():
                _finite_loss(value, step)
                saver.save(step)


def _optimizer(
    trainable: Collection[nn.Parameter], recipe: Recipe
) -> tuple[ParameterBuckets, BertAdam]:
    """Return the parameters in buckets, and the optimizer of these."""

    def decays(parameter: nn.Parameter) -> bool:
        return recipe.decay_vectors or parameter.dim() > 1

    weights = ParameterBuckets(filter(decays, trainable), filterfalse(decays, trainable))
    groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in zip(weights.groups, (recipe.weight_decay, 0.0), strict=True)
    ]
    return weights, BertAdam(filter(itemgetter("params"), groups), recipe.learning_rate)


def step_seed(seed: int, step: int) -> int:
    """Return a 32-bit seed for the dropout of one step; torch's CPU generator uses no more bits."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def _finite_loss(value: torch.Tensor, step: int) -> float:
    number = value.item()
    if not math.isfinite(number):
        raise DataError(
            f"the training loss is {number} at step {step}: lower --learning-rate, use "
            "--precision fp32, or check the data with `lxcompress data check`"
        )
    return number
