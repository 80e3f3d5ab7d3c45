"""What the scope ranks together, and how much of the target each group gets."""

from __future__ import annotations

from collections.abc import Iterable

from lxcompress.choices import Scope
from lxcompress.model.prunable import modality


def ranked_together(names: Iterable[str], scope: Scope) -> list[list[str]]:
    """Return the names of the tensors, or of the sublayers, that are ranked together, by group."""
    if scope == Scope.GLOBAL:
        return [list(names)]
    if scope == Scope.LAYER:
        return [[name] for name in names]
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(modality(name), []).append(name)
    return list(parts.values())


def apportion_rest(count: int, sizes: list[int], least: list[int]) -> list[int]:
    """Split `count` in proportion to `sizes`, but so that no share is below its `least`.

    `count` must be at least the sum of `least`.
    """
    shares, left = list(least), list(range(len(sizes)))
    while True:
        rest = count - sum(shares) + sum(shares[index] for index in left)
        split = apportion(rest, [sizes[index] for index in left])
        enough = [index for index, share in zip(left, split, strict=True) if share >= least[index]]
        if len(enough) == len(left):
            for index, share in zip(left, split, strict=True):
                shares[index] = share
            return shares
        left = enough


def apportion(count: int, sizes: list[int]) -> list[int]:
    """Split `count` in proportion to `sizes`, exactly (largest remainders, earlier ones first)."""
    total = sum(sizes)
    shares = [count * size // total for size in sizes]
    remainders = [count * size % total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda index: -remainders[index])
    for index in by_remainder[: count - sum(shares)]:
        shares[index] += 1
    return shares
