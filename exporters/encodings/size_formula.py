"""The expected size of a file's weights, and a lower bound for any encoding of the mask."""

from __future__ import annotations

import math

from exporters.encodings.base import KINDS
from exporters.encodings.registry import choose_encodings
from exporters.graph.structure import Structure
from exporters.graph.trace import Graph
from exporters.records import WeightBytes
from exporters.variants import Variant
from lxcompress.pruning.mask import Mask


def expected_bytes(
    graph: Graph, variant: Variant, mask: Mask | None, structure: Structure | None = None
) -> WeightBytes:
    """Return the bytes of the weights by kind, computed from their shapes and the mask's counts.

    The entropy bound replaces each stored bit of the mask by its entropy H(s) at the sparsity s of
    the tensors that have such bits (Shannon): no code for a random mask is shorter.

    graph, structure: of the file; None for all units.
    """
    remaining = {}
    if variant.sparse and mask is not None:
        masks = (structure or Structure()).select_mask(mask)
        remaining = {name: int(keep.count_nonzero()) for name, keep in masks.items()}
    sizes = dict.fromkeys(KINDS, 0)
    masked = left = 0
    for name, encoding in choose_encodings(graph, variant, remaining).items():
        shape = graph.weights[name]
        elements = math.prod(shape)
        for kind, size in encoding.nbytes(shape, remaining.get(name, elements)).items():
            sizes[kind] += size
        if encoding.SPARSE:
            masked, left = masked + elements, left + remaining[name]
    total = sum(sizes.values())
    bits = masked * _entropy(1 - left / masked) if masked else 0
    bound = total - sizes["mask"] + math.ceil(bits / 8)
    return WeightBytes(**sizes, total=total, entropy_bound=bound)


def _entropy(share: float) -> float:
    """Return the bits for each of many independent choices, a `share` of which go one way."""
    if share in (0, 1):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)
