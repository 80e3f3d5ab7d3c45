"""Magnitude pruning: one exact threshold over any number of tensors, ties included.

Weights are ranked by a 31-bit integer key. The bits of a float32 |w|, read as an integer, are
ordered as the numbers are (IEEE 754), so the k-th smallest key is found by a radix selection: a
histogram of the upper 16 bits, then one of the lower 15 bits within the bucket that holds it.
Nothing is sorted and the weights are not copied: each pass computes the keys again, in blocks
that fit the processor's cache. The result is the same on every device and in every run.

The computation uses numpy. torch would split each small operation among its threads, and when
other programs are running, waiting for those threads takes 100 times as long as the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lxcompress.choices import Scope, Subnetwork
from lxcompress.errors import ConfigError, ModelError
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.scope import apportion_rest, ranked_together

_LOW_BITS = 15
_BUCKETS = 1 << 16
_LARGEST_KEY = (1 << 31) - 1
# Elements of a block: half a MiB of keys, and an even number of them (see `_random_keys`).
_BLOCK = 1 << 17


def magnitude_mask(
    weights: Mapping[str, torch.Tensor],
    sparsity: float,
    *,
    subnetwork: str = Subnetwork.LOW,
    scope: str = Scope.GLOBAL,
    seed: int = 0,
    previous: Mask | None = None,
) -> Mask:
    """Find the mask that prunes exactly `round(sparsity * n)` of the n float32 `weights`.

    Args:
        weights: the prunable tensors by name, in the model's order.
        sparsity: the target, a fraction in 0-1 of all of them.
        subnetwork: which weights are pruned (`Subnetwork`): "low" prunes the smallest magnitudes
            (the paper's low-magnitude pruning), "high" the largest, "random" a uniform choice
            that depends on `seed` alone.
        scope: over which weights one threshold holds (`Scope`): all, those of one tensor
            ("layer"), or those of the language, vision or cross-modality part ("modality").
        previous: a mask whose pruned weights stay pruned and count towards the target.

    Ties are pruned in the order of tensors and elements.

    Raises:
        ConfigError: the sparsity prunes nothing, everything, or less than `previous`.
        ModelError: a weight is not float32, or `previous` has other names or shapes.
    """
    count = pruned_weights(sum(weight.numel() for weight in weights.values()), sparsity)
    ranked = _ranked(weights, _key_maker(Subnetwork.parse(subnetwork), seed), previous)
    kept: dict[str, torch.Tensor] = {}
    groups = [
        [ranked[name] for name in group] for group in ranked_together(weights, Scope.parse(scope))
    ]
    sizes = [sum(tensor.weight.numel() for tensor in group) for group in groups]
    pruned = [sum(tensor.pruned_before() for tensor in group) for group in groups]
    if sum(pruned) > count:
        raise ConfigError(
            f"{sum(pruned):,} weights are already pruned, more than the {count:,} of the target"
        )
    # A group that an earlier mask has pruned by more than its share remains as it is.
    for group, share in zip(groups, apportion_rest(count, sizes, pruned), strict=True):
        kept.update(_keep_all_but_lowest(group, share))
    return Mask({name: kept[name] for name in weights})


def pruned_weights(total: int, sparsity: float) -> int:
    """Return how many of `total` weights a sparsity prunes: `round(sparsity * total)`.

    Raises:
        ConfigError: that is none or all of them.
    """
    count = round(sparsity * total) if 0 < sparsity < 1 else 0
    if not 0 < count < total:
        raise ConfigError(
            f"sparsity {sparsity:g} prunes none or all of the {total:,} prunable weights; choose "
            "one between 0 and 1"
        )
    return count


# From a tensor's index and its values' bits `[n]`: its keys, block by block. The lowest are pruned.
KeyMaker = Callable[[int, np.ndarray], Iterator[np.ndarray]]


def _key_maker(subnetwork: Subnetwork, seed: int) -> KeyMaker:
    if subnetwork == Subnetwork.LOW:
        return lambda _, bits: (block & _LARGEST_KEY for block in _blocks(bits))
    if subnetwork == Subnetwork.HIGH:
        return lambda _, bits: (~block & _LARGEST_KEY for block in _blocks(bits))
    return lambda index, bits: _random_keys((seed, index), bits)


def _random_keys(seed: tuple[int, int], bits: np.ndarray) -> Iterator[np.ndarray]:
    # One stream per tensor, so that the choice does not depend on how often keys are computed.
    # The raw stream of PCG64, because numpy guarantees that it never changes.
    stream = np.random.PCG64(seed)
    for block in _blocks(bits):
        raw = stream.random_raw((block.size + 1) // 2).view(np.int32)
        yield raw[: block.size] & _LARGEST_KEY


def _blocks(flat: np.ndarray) -> Iterator[np.ndarray]:
    return (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A tensor, its index in the model, and which of its weights `previous` left."""

    name: str
    index: int
    weight: torch.Tensor
    kept_before: torch.Tensor | None
    make_keys: KeyMaker

    def key_blocks(self) -> Iterator[np.ndarray]:
        """Yield int32 keys in 0…2^31-1 block by block, in order; 0 for weights pruned before."""
        keys = self.make_keys(self.index, _flat(self.weight).view(np.int32))
        if self.kept_before is None:
            return keys
        before = _blocks(_flat(self.kept_before))
        return (block * kept for block, kept in zip(keys, before, strict=True))

    def remaining(self) -> np.ndarray:
        """Return a new bool array `[n]`: the weights that can still be pruned."""
        if self.kept_before is None:
            return np.ones(self.weight.numel(), dtype=bool)
        return _flat(self.kept_before).copy()

    def pruned_before(self) -> int:
        """Return how many weights `previous` prunes."""
        kept = self.kept_before
        return 0 if kept is None else kept.numel() - int(kept.count_nonzero())


def _flat(tensor: torch.Tensor) -> np.ndarray:
    """Return the values as `[n]`, without a copy where they are contiguous on the CPU."""
    return tensor.detach().cpu().reshape(-1).numpy()


def _ranked(
    weights: Mapping[str, torch.Tensor], make_keys: KeyMaker, previous: Mask | None
) -> dict[str, _Ranked]:
    for name, weight in weights.items():
        if weight.dtype != torch.float32:
            raise ModelError(f"{name} is {weight.dtype}; magnitude pruning needs float32")
    if previous is not None:
        previous.check_fit(weights)
    ranked = {}
    for index, (name, weight) in enumerate(weights.items()):
        kept_before = None if previous is None else previous[name]
        ranked[name] = _Ranked(name, index, weight, kept_before, make_keys)
    return ranked


def _keep_all_but_lowest(group: Sequence[_Ranked], count: int) -> dict[str, torch.Tensor]:
    """Return the masks of the tensors: False for the `count` elements with the lowest keys."""
    pruned = sum(tensor.pruned_before() for tensor in group)
    threshold, ties = _threshold(group, count)
    if threshold == 0:
        ties -= pruned  # their keys are 0 too, and they come first
    kept = {}
    for tensor in group:
        keep = tensor.remaining()
        for keys, block in zip(tensor.key_blocks(), _blocks(keep), strict=True):
            block &= keys >= threshold
            if ties:
                tied = np.flatnonzero((keys == threshold) & block)[:ties]
                block[tied] = False
                ties -= tied.size
        kept[tensor.name] = torch.from_numpy(keep).view(tensor.weight.shape)
    return kept


def _threshold(group: Sequence[_Ranked], count: int) -> tuple[int, int]:
    """Return a key T and a number t: all keys below T and t of those equal to T are `count`."""

    def keys() -> Iterator[np.ndarray]:
        return (block for tensor in group for block in tensor.key_blocks())

    bucket, below = _locate(_histogram(block >> _LOW_BITS for block in keys()), count)
    first, last = bucket << _LOW_BITS, ((bucket + 1) << _LOW_BITS) - 1
    within = (block[(block >= first) & (block <= last)] - first for block in keys())
    rest, below_rest = _locate(_histogram(within), count - below)
    return first + rest, count - below - below_rest


def _histogram(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Count how often each value 0…65535 occurs in the int32 arrays. int64 `[65536]`."""
    counts = np.zeros(_BUCKETS, dtype=np.int64)
    for part in parts:
        counts += np.bincount(part, minlength=_BUCKETS)
    return counts


def _locate(histogram: np.ndarray, count: int) -> tuple[int, int]:
    """Return the bucket of the `count`-th smallest value and how many lie in earlier buckets."""
    cumulated = np.cumsum(histogram)
    bucket = int(np.searchsorted(cumulated, count, side="left"))
    return bucket, int(cumulated[bucket] - histogram[bucket])
