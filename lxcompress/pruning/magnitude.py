"""Which weights to remove: one exact threshold over any number of tensors, ties included.

Weights are ranked by an integer key of 31 bits. For a float32, the bits of |w| read as an integer
order exactly as the numbers do (IEEE 754), so that the k-th smallest key is found by counting: a
histogram of the upper 16 bits, then one of the lower 15 within the bucket that matters. No copy
of the weights, no sort, and the same mask on every device and in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch

from lxcompress.errors import ConfigError
from lxcompress.model import modality
from lxcompress.pruning.mask import Mask

SUBNETWORKS = ("low", "high", "random")
SCOPES = ("global", "layer", "modality")

_LOW_BITS = 15
_BUCKETS = 1 << 16
_LARGEST_KEY = (1 << 31) - 1

Key = Callable[[int, torch.Tensor], torch.Tensor]


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

    Raises ConfigError when the sparsity removes nothing, everything, or less than `previous`.
    """
    total = sum(weight.numel() for weight in weights.values())
    count = round(sparsity * total)
    if not 0 < sparsity < 1 or not 0 < count < total:
        raise ConfigError(
            f"sparsity {sparsity:g} would remove {count:,} of {total:,} prunable weights; "
            "choose one between 0 and 1 that leaves some of them"
        )
    key = _keys(subnetwork, seed)
    numbered = {name: (number, weight) for number, (name, weight) in enumerate(weights.items())}
    kept: dict[str, torch.Tensor] = {}
    groups = _groups(weights, scope)
    sizes = [sum(weights[name].numel() for name in group) for group in groups]
    for group, share in zip(groups, _apportion(count, sizes), strict=True):
        members = {name: numbered[name] for name in group}
        kept.update(_keep_all_but_lowest(members, share, key, previous))
    return Mask({name: kept[name] for name in weights})


def _keys(subnetwork: str, seed: int) -> Key:
    """Of a tensor's number and values: int32 keys in 0…2^31-1; the lowest are removed."""
    if subnetwork == "low":
        return lambda _, weight: weight.abs().view(torch.int32)
    if subnetwork == "high":
        return lambda _, weight: _LARGEST_KEY - weight.abs().view(torch.int32)
    if subnetwork == "random":

        def random_key(number: int, weight: torch.Tensor) -> torch.Tensor:
            # A generator of its own per tensor, on the CPU: the choice depends neither on the
            # device nor on how often the keys are asked for.
            rng = np.random.Generator(np.random.PCG64((seed, number)))
            keys = rng.integers(0, _LARGEST_KEY, size=tuple(weight.shape), dtype=np.int32)
            return torch.from_numpy(keys).to(weight.device)

        return random_key
    raise ConfigError(f"subnetwork {subnetwork!r} is not one of {', '.join(SUBNETWORKS)}")


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


@torch.no_grad()
def _keep_all_but_lowest(
    members: Mapping[str, tuple[int, torch.Tensor]], count: int, key: Key, previous: Mask | None
) -> dict[str, torch.Tensor]:
    """True for all elements of the tensors but the `count` that have the lowest keys."""
    kept_before = {
        name: previous[name].to(weight.device)
        for name, (_, weight) in members.items()
        if previous is not None
    }
    gone = sum(keep.numel() - int(keep.count_nonzero()) for keep in kept_before.values())
    if gone > count:
        raise ConfigError(f"{gone:,} weights are already pruned, more than the {count:,} asked for")
    threshold, ties = _threshold(members, count - gone, key, kept_before)
    kept = {}
    for name, (number, weight) in members.items():
        keys = key(number, weight)
        remove = keys < threshold
        if ties:
            equal = keys == threshold
            if name in kept_before:
                equal &= kept_before[name]
            tied = equal.flatten().nonzero().flatten()[:ties]
            remove.view(-1)[tied] = True
            ties -= len(tied)
        keep = ~remove
        kept[name] = keep & kept_before[name] if name in kept_before else keep
    return kept


def _threshold(
    members: Mapping[str, tuple[int, torch.Tensor]],
    count: int,
    key: Key,
    kept_before: Mapping[str, torch.Tensor],
) -> tuple[int, int]:
    """The key T and number of ties t: all keys below T and t of those equal to T are `count`."""

    def candidates(name: str) -> torch.Tensor:
        number, weight = members[name]
        keys = key(number, weight)
        return keys[kept_before[name]] if name in kept_before else keys.flatten()

    upper = _histogram(candidates(name) >> _LOW_BITS for name in members)
    bucket, below = _locate(upper, count)
    lower = _histogram(
        _within(candidates(name), bucket) & ((1 << _LOW_BITS) - 1) for name in members
    )
    rest, below_rest = _locate(lower, count - below)
    return (bucket << _LOW_BITS) | rest, count - below - below_rest


def _histogram(parts: Iterable[torch.Tensor]) -> np.ndarray:
    """How often each of the values 0…65535 occurs in all the int32 tensors together."""
    counts = np.zeros(_BUCKETS, dtype=np.int64)
    for part in parts:
        counts += torch.bincount(part, minlength=_BUCKETS).cpu().numpy()
    return counts


def _within(keys: torch.Tensor, bucket: int) -> torch.Tensor:
    return keys[(keys >> _LOW_BITS) == bucket]


def _locate(histogram: np.ndarray, count: int) -> tuple[int, int]:
    """The bucket in which the `count`-th smallest lies, and how many lie in earlier ones."""
    cumulated = np.cumsum(histogram)
    bucket = int(np.searchsorted(cumulated, count, side="left"))
    return bucket, int(cumulated[bucket] - histogram[bucket])
