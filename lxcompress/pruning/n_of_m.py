"""N:M sparsity: of every M consecutive weights along a row's input, N are left.

2:4 is what the sparse tensor cores of NVIDIA GPUs (Ampere and later) compute with (Mishra et al.
2021, arXiv 2104.08378).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from lxcompress.choices import Subnetwork
from lxcompress.errors import ConfigError
from lxcompress.pruning.mask import Mask


def n_of_m_mask(
    scores: Mapping[str, torch.Tensor],
    n: int,
    m: int,
    *,
    subnetwork: str = Subnetwork.LOW,
    seed: int = 0,
) -> Mask:
    """Return the mask that leaves exactly `n` of every `m` consecutive weights of each row.

    Args:
        scores: of the prunable weights, float `[out, in]` by name; their magnitudes are compared.
        subnetwork: whether the lowest or the highest scores, or random ones, are pruned. Of equal
            scores the earlier one is pruned first.

    Raises:
        ConfigError: the rows of a matrix cannot be divided into groups of `m`.
    """
    check_divides(scores, m)
    choice = Subnetwork.parse(subnetwork)
    random = np.random.default_rng(seed)
    kept = {}
    for name, values in scores.items():
        keys = np.abs(values.detach().cpu().numpy()).reshape(-1, m)
        if choice == Subnetwork.RANDOM:
            keys = random.random(keys.shape)
        elif choice == Subnetwork.HIGH:
            keys = -keys
        keep = np.ones(keys.shape, dtype=bool)
        pruned = np.argsort(keys, axis=1, kind="stable")[:, : m - n]
        np.put_along_axis(keep, pruned, False, axis=1)
        kept[name] = torch.from_numpy(keep).view(values.shape)
    return Mask(kept)


def check_divides(weights: Mapping[str, torch.Tensor], m: int) -> None:
    """Raise ConfigError unless every row of the weights can be divided into groups of `m`."""
    for name, weight in weights.items():
        if weight.shape[1] % m:
            raise ConfigError(
                f"--pattern: the rows of {name} have {weight.shape[1]} weights, which cannot be "
                f"divided into groups of {m}"
            )


def find_n_of_m(masks: Mapping[str, torch.Tensor]) -> str | None:
    """Return the N:M, of the smallest M, that all rows of all masks satisfy exactly.

    masks: bool `[out, in]` by name, True where a weight remains.
    """
    size = sum(keep.numel() for keep in masks.values())
    left = sum(int(keep.count_nonzero()) for keep in masks.values())
    if not 0 < left < size:
        return None
    smallest = size // math.gcd(size, left)  # the denominator of the share that is left
    columns = math.gcd(*(keep.shape[1] for keep in masks.values()))
    for m in range(smallest, columns + 1, smallest):
        n = m * left // size
        if columns % m == 0 and all(
            bool((keep.view(-1, m).count_nonzero(dim=1) == n).all()) for keep in masks.values()
        ):
            return f"{n}:{m}"
    return None
