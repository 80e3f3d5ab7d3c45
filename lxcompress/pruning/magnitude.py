"""Which weights to remove: one exact threshold over any number of tensors, ties included.

Weights are ranked by an integer key of 31 bits. For a float32, the bits of |w| read as an integer
order exactly as the numbers do (IEEE 754), so that the k-th smallest key is found by counting: a
histogram of the upper 16 bits, then one of the lower 15 within the bucket that matters. No sort,
and no copy of the weights: each pass makes the keys anew, a piece at a time, small enough for the
processor's cache. The result is the same on every device and in every run.

numpy does the work, since torch would split each of these small operations among its threads,
whose waiting for one another takes 100 times as long as the work when other programs are running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lxcompress.errors import ConfigError, ModelError
from lxcompress.model.prunable import modality
from lxcompress.pruning.mask import Mask

SUBNETWORKS = ("low", "high", "random")
SCOPES = ("global", "layer", "modality")

_LOW_BITS = 15
_BUCKETS = 1 << 16
_LARGEST_KEY = (1 << 31) - 1
# Elements in a piece: half a MiB of keys, and an even number of them (see `_random_keys`).
_PIECE = 1 << 17


def magnitude_mask(
    weights: Mapping[str, torch.Tensor],
    sparsity: float,
    *,
    subnetwork: str = "low",
    scope: str = "global",
    seed: int = 0,
    previous: Mask | None = None,
) -> Mask:
    """Remove exactly `round(sparsity * n)` of the n float32 `weights`.

    `subnetwork` "low" removes the smallest magnitudes (the paper's low-magnitude pruning, the
    winning ticket), "high" the largest, "random" a uniform choice that depends on `seed` alone.
    `scope` is where the threshold holds: over all tensors, one for each tensor ("layer"), or one
    for each of the language, vision and cross-modality parts. Ties go in the order of tensors and
    elements. What `previous` removed stays removed and is counted in.

    Raises ConfigError when the sparsity removes nothing, everything, or less than `previous`, and
    ModelError when the weights are of another type or `previous` is not of their names and shapes.
    """
    count = pruned_weights(sum(weight.numel() for weight in weights.values()), sparsity)
    ranked = _ranked(weights, _key_maker(subnetwork, seed), previous)
    kept: dict[str, torch.Tensor] = {}
    groups = [[ranked[name] for name in group] for group in _groups(weights, scope)]
    sizes = [sum(tensor.weight.numel() for tensor in group) for group in groups]
    for group, share in zip(groups, _apportion(count, sizes), strict=True):
        kept.update(_keep_all_but_lowest(group, share))
    return Mask({name: kept[name] for name in weights})


def pruned_weights(total: int, sparsity: float) -> int:
    """How many of `total` weights a sparsity removes: `round(sparsity * total)`.

    Raises ConfigError when that is none or all of them.
    """
    count = round(sparsity * total) if 0 < sparsity < 1 else 0
    if not 0 < count < total:
        raise ConfigError(
            f"sparsity {sparsity:g} would not remove some of the {total:,} prunable weights and "
            "leave others; choose one between 0 and 1"
        )
    return count


# Of a tensor's number and its values' bits, flat: its keys, piece by piece; the lowest go.
KeyMaker = Callable[[int, np.ndarray], Iterator[np.ndarray]]


def _key_maker(subnetwork: str, seed: int) -> KeyMaker:
    if subnetwork == "low":
        return lambda _, bits: (piece & _LARGEST_KEY for piece in _pieces(bits))
    if subnetwork == "high":
        return lambda _, bits: (~piece & _LARGEST_KEY for piece in _pieces(bits))
    if subnetwork == "random":
        return lambda number, bits: _random_keys((seed, number), bits)
    raise ConfigError(f"subnetwork {subnetwork!r} is not one of {', '.join(SUBNETWORKS)}")


def _random_keys(seed: tuple[int, int], bits: np.ndarray) -> Iterator[np.ndarray]:
    # A stream of its own per tensor: the choice does not depend on how often keys are asked for.
    # The raw stream, since numpy promises never to change that one.
    stream = np.random.PCG64(seed)
    for piece in _pieces(bits):
        raw = stream.random_raw((piece.size + 1) // 2).view(np.int32)
        yield raw[: piece.size] & _LARGEST_KEY


def _pieces(flat: np.ndarray) -> Iterator[np.ndarray]:
    return (flat[start : start + _PIECE] for start in range(0, flat.size, _PIECE))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A tensor, its place in the model, and what `previous` left of it, seen through its keys."""

    name: str
    number: int
    weight: torch.Tensor
    kept_before: torch.Tensor | None
    make_keys: KeyMaker

    def key_pieces(self) -> Iterator[np.ndarray]:
        """int32 keys in 0…2^31-1, in order, piece by piece; 0 for what `previous` removed."""
        keys = self.make_keys(self.number, _flat(self.weight).view(np.int32))
        if self.kept_before is None:
            return keys
        before = _pieces(_flat(self.kept_before))
        return (piece * kept for piece, kept in zip(keys, before, strict=True))

    def start(self) -> np.ndarray:
        """A new bool array `[n]`: what there is to keep."""
        if self.kept_before is None:
            return np.ones(self.weight.numel(), dtype=bool)
        return _flat(self.kept_before).copy()

    def removed_before(self) -> int:
        kept = self.kept_before
        return 0 if kept is None else kept.numel() - int(kept.count_nonzero())


def _flat(tensor: torch.Tensor) -> np.ndarray:
    """The values as `[n]`; not a copy when they lie on the CPU in order."""
    return tensor.detach().cpu().reshape(-1).numpy()


def _ranked(
    weights: Mapping[str, torch.Tensor], make_keys: KeyMaker, previous: Mask | None
) -> dict[str, _Ranked]:
    for name, weight in weights.items():
        if weight.dtype != torch.float32:
            raise ModelError(f"{name} holds {weight.dtype}; a mask is found from float32 weights")
    if previous is not None:
        previous.check_fit(weights)
    ranked = {}
    for number, (name, weight) in enumerate(weights.items()):
        kept_before = None if previous is None else previous[name]
        ranked[name] = _Ranked(name, number, weight, kept_before, make_keys)
    return ranked


def _groups(weights: Mapping[str, torch.Tensor], scope: str) -> list[list[str]]:
    """The tensors that share one threshold."""
    if scope == "global":
        return [list(weights)]
    if scope == "layer":
        return [[name] for name in weights]
    if scope == "modality":
        parts: dict[str, list[str]] = {}
        for name in weights:
            parts.setdefault(modality(name), []).append(name)
        return list(parts.values())
    raise ConfigError(f"scope {scope!r} is not one of {', '.join(SCOPES)}")


def _apportion(count: int, sizes: list[int]) -> list[int]:
    """Split `count` in proportion to `sizes`, exactly (largest remainders, earlier ones first)."""
    total = sum(sizes)
    shares = [count * size // total for size in sizes]
    remainders = [count * size % total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda index: -remainders[index])
    for index in by_remainder[: count - sum(shares)]:
        shares[index] += 1
    return shares


def _keep_all_but_lowest(group: Sequence[_Ranked], count: int) -> dict[str, torch.Tensor]:
    """True for all elements of the tensors but the `count` that have the lowest keys."""
    gone = sum(tensor.removed_before() for tensor in group)
    if gone > count:
        raise ConfigError(f"{gone:,} weights are already pruned, more than the {count:,} asked for")
    threshold, ties = _threshold(group, count)
    if threshold == 0:
        ties -= gone  # their keys are 0 too; here they go first
    kept = {}
    for tensor in group:
        keep = tensor.start()
        for keys, piece in zip(tensor.key_pieces(), _pieces(keep), strict=True):
            piece &= keys >= threshold
            if ties:
                tied = np.flatnonzero((keys == threshold) & piece)[:ties]
                piece[tied] = False
                ties -= tied.size
        kept[tensor.name] = torch.from_numpy(keep).view(tensor.weight.shape)
    return kept


def _threshold(group: Sequence[_Ranked], count: int) -> tuple[int, int]:
    """The key T and number of ties t: all keys below T and t of those equal to T are `count`."""

    def keys() -> Iterator[np.ndarray]:
        return (piece for tensor in group for piece in tensor.key_pieces())

    bucket, below = _locate(_histogram(piece >> _LOW_BITS for piece in keys()), count)
    first, last = bucket << _LOW_BITS, ((bucket + 1) << _LOW_BITS) - 1
    within = (piece[(piece >= first) & (piece <= last)] - first for piece in keys())
    rest, below_rest = _locate(_histogram(within), count - below)
    return first + rest, count - below - below_rest


def _histogram(parts: Iterable[np.ndarray]) -> np.ndarray:
    """How often each of the values 0…65535 occurs in all the int32 arrays together."""
    counts = np.zeros(_BUCKETS, dtype=np.int64)
    for part in parts:
        counts += np.bincount(part, minlength=_BUCKETS)
    return counts


def _locate(histogram: np.ndarray, count: int) -> tuple[int, int]:
    """The bucket in which the `count`-th smallest lies, and how many lie in earlier ones."""
    cumulated = np.cumsum(histogram)
    bucket = int(np.searchsorted(cumulated, count, side="left"))
    return bucket, int(cumulated[bucket] - histogram[bucket])
