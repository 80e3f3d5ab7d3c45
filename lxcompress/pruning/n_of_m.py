"""N:M sparsity: of every M consecutive weights along a row's input, N are left.

2:4 is what the sparse tensor cores of NVIDIA GPUs (Ampere and later) compute with (Mishra et al.
2021, arXiv 2104.08378).
"""

from __future__ import annotations

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
