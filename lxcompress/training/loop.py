"""Fine-tuning as LXMERT does it, under a mask where there is one, and exactly resumable.

What happens at step k depends on the weights, the moments, k and the seed alone: the order of the
questions comes from (seed, epoch), dropout from (seed, k). So a checkpoint is weights, moments
and k, and a run that was killed ends equal to the bit to one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional

from lxcompress.data.batches import Batch, EncodedQuestions, model_inputs, training_batches
from lxcompress.errors import DataError, Interrupted
from lxcompress.pruning.mask import Mask
from lxcompress.system.interrupts import deferred_interrupt
from lxcompress.system.progress import progress
from lxcompress.training.checkpoint import CheckpointSaver, load_checkpoint, training_state
from lxcompress.training.log import TrainingLog
from lxcompress.training.optimizer import BertAdam, exempt_vectors_from_decay, linear_warmup

GRADIENT_CLIP = 5.0
_STEPS_BETWEEN_LOSSES = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. Defaults are LXMERT's for VQA; `learning_rate` is the peak after warm-up."""

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    decay_vectors: bool = True  # biases and LayerNorm too, as LXMERT does
    warmup: float = 0.1
    seed: int = 0

    def total_steps(self, questions: int) -> int:
        """Optimizer steps of a training; the last, short batch of each epoch is dropped.

        Raises DataError when the questions do not fill one batch.
        """
        if questions < self.batch_size:
            raise DataError(
                f"{questions} training questions do not fill one batch of {self.batch_size}; "
                "use a smaller --batch-size"
            )
        return self.epochs * (questions // self.batch_size)


Loss = Callable[[nn.Module, Batch, torch.device], torch.Tensor]


def answer_loss(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """Mean binary cross-entropy with logits times the number of answers (LXMERT's tasks/vqa.py)."""
    logits = model(**model_inputs(batch, device)).question_answering_score.float()
    targets = batch["targets"].to(device, non_blocking=True)
    return functional.binary_cross_entropy_with_logits(logits, targets) * targets.shape[1]


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

    Continues from `checkpoint` where that file exists; who calls removes it once the trained model
    is saved, so that nothing is lost between the two. With a `mask`, pruned weights must be zero
    at the start and are zero after every step. `at_step` calls back before the step of that number
    (for late rewinding).

    Raises Interrupted after Ctrl-C (the checkpoint is saved) and DataError when the loss is no
    longer finite.
    """
    device = accelerator.device
    model.to(device).train()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = BertAdam(trainable.values(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    if not recipe.decay_vectors:
        exempt_vectors_from_decay(optimizer)
    tensors = training_state(trainable, optimizer)
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
            with accelerator.autocast():
                value = loss(model, batch, device)
            accelerator.backward(value)
            if enforcer is not None:
                enforcer.mask_gradients()
            accelerator.clip_grad_norm_(trainable.values(), GRADIENT_CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            note = ""
            # Reading the loss waits for the GPU, so it is not done at every step.
            if step % _STEPS_BETWEEN_LOSSES == 0 or step == total:
                number = _finite(value, step)
                note = f"loss {number:.3f}"
                log(step, learning_rate, number)
            meter.advance(note=note)
            if stopping() and step < total:
                _finite(value, step)
                saver.save(step)
                raise Interrupted(f"stopped at step {step} of {total}")
            if saver.due():
                _finite(value, step)
                saver.save(step)


def step_seed(seed: int, step: int) -> int:
    """32 bits for the dropout of one step of a run (more, the CPU's generator would not use)."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def _finite(value: torch.Tensor, step: int) -> float:
    number = value.item()
    if not math.isfinite(number):
        raise DataError(
            f"the training loss is {number} by step {step}: lower --learning-rate, use "
            "--precision fp32, or look at the data with `lxcompress data check`"
        )
    return number
