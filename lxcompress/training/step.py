"""One training step, and the loss of visual question answering."""

from __future__ import annotations

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional

from lxcompress.data.batches import Batch, model_inputs
from lxcompress.pruning.mask import MaskEnforcer
from lxcompress.training.buckets import ParameterBuckets
from lxcompress.training.optimizer import BertAdam

GRADIENT_CLIP = 5.0  # largest L2 norm of all gradients together, as in LXMERT

Loss = Callable[[nn.Module, Batch, torch.device], torch.Tensor]


def answer_loss(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """Mean binary cross-entropy with logits times the number of answers (LXMERT's tasks/vqa.py)."""
    logits = model(**model_inputs(batch, device)).question_answering_score.float()
    targets = batch["targets"].to(device, non_blocking=True)
    return functional.binary_cross_entropy_with_logits(logits, targets) * targets.shape[1]


def training_step(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    weights: ParameterBuckets,
    optimizer: BertAdam,
    accelerator: Accelerator,
    enforcer: MaskEnforcer | None = None,
    finished: Callable[[str], None] = lambda part: None,
) -> torch.Tensor:
    """Take one optimizer step on `batch` and return the loss, a scalar on the model's device.

    `weights` are the trainable parameters of `model`, and `optimizer` is one of their groups.
    With an `enforcer`, pruned weights stay exactly zero. `finished` is called after each part
    ("forward", "backward", "mask", "clip", "optimizer"), for measuring.
    """
    with accelerator.autocast():
        value = loss(model, batch, accelerator.device)
    finished("forward")
    accelerator.backward(value)
    finished("backward")
    if enforcer is not None:
        enforcer.mask_gradients()
        finished("mask")
    accelerator.clip_grad_norm_(weights.parameters, GRADIENT_CLIP)
    finished("clip")
    optimizer.step()
    weights.zero_grad()
    finished("optimizer")
    return value
