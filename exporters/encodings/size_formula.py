"""The expected size of a file's weights, and a lower bound for any encoding of the mask."""

from __future__ import annotations

import math

from exporters.encodings.base import KINDS
from exporters.encodings.registry import choose_encodings
from exporters.graph.trace import Graph
from exporters.records import WeightBytes
from exporters.variants import Variant
from lxcompress.pruning.mask import Mask


def expected_bytes(graph: Graph, variant: Variant, mask: Mask | None) -> WeightBytes:
    """Return the bytes of the weights by kind, computed from their shapes and the mask's counts.

    The entropy bound replaces each bit of the mask by its entropy H(s) at the mask's sparsity s
    (Shannon): no code for a random mask is shorter.
    """
    remaining = {}
    if variant.sparse and mask is not None:
        remaining = {name: int(keep.count_nonzero()) for name, keep in mask.items()}
    sizes = dict.fromkeys(KINDS, 0)
    for name, encoding in choose_encodings(graph, variant, remaining).items():
        shape = graph.weights[name]
        parts = encoding.nbytes(shape, remaining.get(name, math.prod(shape)))
        for kind, size in parts.items():
            sizes[kind] += size
    total = sum(sizes.values())
    bits = mask.size * _entropy(mask.sparsity) if remaining and mask is not None else 0
    bound = total - sizes["mask"] + math.ceil(bits / 8)
    return WeightBytes(**sizes, total=total, entropy_bound=bound)


def _entropy(share: float) -> float:
    """Return the bits for each of many independent choices, a `share` of which go one way."""
    if share in (0, 1):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)
