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


def apportion(count: int, sizes: list[int]) -> list[int]:
    """Split `count` in proportion to `sizes`, exactly (largest remainders, earlier ones first)."""
    total = sum(sizes)
    shares = [count * size // total for size in sizes]
    remainders = [count * size % total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda index: -remainders[index])
    for index in by_remainder[: count - sum(shares)]:
        shares[index] += 1
    return shares
