"""What a model weighs: as dense safetensors, and with its pruned tensors as bitmask and values."""

from __future__ import annotations

from torch import nn

from lxcompress.pruning.mask import Mask

_FLOAT32 = 4


def ticket_sizes(model: nn.Module, mask: Mask) -> dict[str, int]:
    """Bytes of fp32 weights: "dense" as they are, "bitmask" with one bit for each prunable weight
    plus the values that are left (the encoding of `lxcompress export`), "mask" those bits alone.
    """
    dense = _FLOAT32 * sum(parameter.numel() for parameter in model.parameters())
    bits = sum((keep.numel() + 7) // 8 for _, keep in mask.items())
    return {"dense": dense, "bitmask": dense - _FLOAT32 * mask.pruned + bits, "mask": bits}
