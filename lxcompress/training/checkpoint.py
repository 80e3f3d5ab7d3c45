"""Checkpoints of a training: the weights and moments after a step, in one safetensors file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lxcompress.errors import RunError
from lxcompress.system.files import atomic_path, check_regular
from lxcompress.training.buckets import ParameterBuckets
from lxcompress.training.optimizer import BertAdam

# At most this share of the time is spent on saving; small models save every few seconds.
_CHECKPOINT_SHARE = 0.02
_CHECKPOINT_SECONDS = 5.0


def training_state(
    trainable: Mapping[str, nn.Parameter], weights: ParameterBuckets, optimizer: BertAdam
) -> dict[str, torch.Tensor]:
    """Return everything that changes in training, by name: views, not copies.

    `weights` are the buckets of `trainable` that `optimizer` updates.
    """
    tensors = {f"weight/{name}": parameter.detach() for name, parameter in trainable.items()}
    for moment in ("exp_avg", "exp_avg_sq"):
        values = {parameter: state[moment] for parameter, state in optimizer.state.items()}
        for name, parameter in trainable.items():
            tensors[f"{moment}/{name}"] = weights.part(parameter, values)
    return tensors


def load_checkpoint(checkpoint: Path, tensors: Mapping[str, torch.Tensor]) -> int:
    """Fill `tensors` in place from the checkpoint and return its step, 0 where there is no file.

    Raises:
        RunError: the file is damaged or of another model.
    """
    if not checkpoint.exists():
        return 0
    check_regular(checkpoint, RunError)
    try:
        with safe_open(checkpoint, framework="pt") as file:
            for name, tensor in tensors.items():
                tensor.copy_(file.get_tensor(name))
            return int(file.metadata()["step"])
    except (SafetensorError, OSError, KeyError, RuntimeError, TypeError, ValueError) as problem:
        raise RunError(
            f"checkpoint {checkpoint} is damaged ({problem}); delete it to repeat this training"
        ) from None


class CheckpointSaver:
    """Save checkpoints as often as `_CHECKPOINT_SHARE` of the time allows."""

    def __init__(self, path: Path, tensors: dict[str, torch.Tensor]) -> None:
        """Prepare to save `tensors`, which training changes in place, to `path`."""
        self._path, self._tensors = path, tensors
        self._next = time.monotonic() + _CHECKPOINT_SECONDS

    def due(self) -> bool:
        """Return whether it is time for the next checkpoint."""
        return time.monotonic() >= self._next

    def save(self, step: int) -> None:
        """Write the tensors as they are after `step` steps, whole or not at all."""
        began = time.monotonic()
        with atomic_path(self._path) as temporary:
            save_file(self._tensors, temporary, metadata={"step": str(step)})
        ended = time.monotonic()
        pause = max(_CHECKPOINT_SECONDS, (ended - began) / _CHECKPOINT_SHARE)
        self._next = ended + pause
