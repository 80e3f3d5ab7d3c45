"""What a file must weigh: the formula, and the bound that no encoding of the mask can beat."""

from __future__ import annotations

import math

from exporters.graph.trace import Graph
from exporters.records import WeightBytes
from exporters.variants import Variant
from lxcompress.pruning.mask import Mask

_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
_SCALE = _BYTES["fp32"]


def formula(graph: Graph, variant: Variant, mask: Mask | None) -> WeightBytes:
    """Bytes of the weights by kind, from their shapes alone, and their sum as "total".

    "mask" is one bit for each prunable weight, "values" those that stay, "unpruned" all other
    parameters that reach the answer, "scales" the float32 scales of int8 weights. int8 vectors
    (biases, LayerNorm) stay fp32. "entropy_bound" is the total with each bit of the mask replaced
    by its entropy H(s) at the mask's sparsity s (Shannon): no code for a random mask is shorter.
    """
    size = {name: math.prod(shape) for name, shape in graph.weights.items()}
    quantized = graph.matrices | graph.tables if variant.precision == "int8" else frozenset()
    width = {
        name: _BYTES["fp32"]
        if variant.precision == "int8" and name not in quantized
        else _BYTES[variant.precision]
        for name in size
    }
    kept = {}
    if variant.sparse and mask is not None:
        kept = {name: int(keep.count_nonzero()) for name, keep in mask.items()}
    parts = {
        "mask": sum((size[name] + 7) // 8 for name in kept),
        "values": sum(width[name] * count for name, count in kept.items()),
        "unpruned": sum(width[name] * size[name] for name in size if name not in kept),
        "scales": _SCALE * sum(_scales(graph, name) for name in quantized),
    }
    total = sum(parts.values())
    bits = mask.size * _entropy(mask.sparsity) if kept and mask is not None else 0
    bound = total - parts["mask"] + math.ceil(bits / 8)
    return WeightBytes(**parts, total=total, entropy_bound=bound)


def _scales(graph: Graph, name: str) -> int:
    rows, columns = graph.weights[name]
    return columns if name in graph.matrices else rows


def _entropy(share: float) -> float:
    """Bits for each of many independent choices of which `share` are one way."""
    if share in (0, 1):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)
