"""The pattern of what was pruned, as far as a file can prove it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from lxcompress.choices import Pattern
from lxcompress.pruning.n_of_m import find_n_of_m

UNPRUNED = "dense"
"""The pattern of a dense file."""


def find_pattern(masks: Mapping[str, torch.Tensor], *, compact: bool) -> str:
    """Return the most specific pattern that the mask of a ticket satisfies exactly.

    "N:M" if N of every M consecutive weights of each row are left, "structured" if whole heads and
    neurons are pruned and nothing else, otherwise "unstructured".

    masks: of the prunable matrices that the file has, bool `[out, in]` by name.
    compact: whether the file has fewer heads or neurons than the dense model.
    """
    if compact and all(bool(keep.all()) for keep in masks.values()):
        return str(Pattern.STRUCTURED)
    return find_n_of_m(masks) or str(Pattern.UNSTRUCTURED)
