"""Bytes of a ticket: dense, and with its pruned tensors stored as a bitmask and values."""

from __future__ import annotations

from torch import nn

from lxcompress.pruning.mask import Mask

_FLOAT32 = 4


def ticket_sizes(model: nn.Module, mask: Mask) -> dict[str, int]:
    """Return the bytes of the fp32 weights in three forms.

    "dense" counts every parameter; "bitmask" one bit per prunable weight plus the remaining
    values (the encoding of `lxcompress export`); "mask" those bits alone.
    """
    dense = _FLOAT32 * sum(parameter.numel() for parameter in model.parameters())
    bits = sum((keep.numel() + 7) // 8 for _, keep in mask.items())
    return {"dense": dense, "bitmask": dense - _FLOAT32 * mask.pruned + bits, "mask": bits}
