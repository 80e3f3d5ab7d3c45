"""The mask of a run's settings: its pattern, subnetwork and scope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from transformers import LxmertForQuestionAnswering

from lxcompress.choices import n_of_m
from lxcompress.config import PruneConfig
from lxcompress.errors import ModelError
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.magnitude import magnitude_mask, pruned_weights
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.n_of_m import check_divides, n_of_m_mask
from lxcompress.pruning.speedup import faster_mask, predicted_latency
from lxcompress.pruning.structured import mask_of_units, removed_units, structured_mask

_ROUNDING = 1e-9  # relative, of sums of latencies


def find_mask(
    model: LxmertForQuestionAnswering,
    scores: Mapping[str, torch.Tensor],
    sparsity: float,
    config: PruneConfig,
    previous: Mask | None = None,
    latencies: LatencyTable | None = None,
) -> Mask:
    """Find the mask that prunes `sparsity` of the prunable weights, as `config` says.

    With `latencies`, `sparsity` is the fraction of the dense model's latency to save. A given mask
    (`--mask`), which is `previous`, is returned as it is.

    Args:
        scores: of each weight, by the names of the prunable tensors, or with the structured
            pattern of each unit, by the names of the sublayers.
        previous: the mask of an earlier step, whose pruned weights stay pruned.

    Raises:
        ConfigError: the pattern cannot reach this sparsity.
    """
    if config.mask is not None:
        assert previous is not None
        return previous
    subnetwork, scope, seed = config.subnetwork, config.scope, config.seed
    kept = n_of_m(config.pattern)
    if kept:
        return n_of_m_mask(scores, *kept, subnetwork=subnetwork, seed=seed)
    find: Callable[..., Mask] = magnitude_mask
    if latencies is not None:
        find = partial(faster_mask, model, table=latencies)
    elif config.prunes_units:
        find = partial(structured_mask, model)
    return find(scores, sparsity, subnetwork=subnetwork, scope=scope, seed=seed, previous=previous)


def check_pattern(
    model: LxmertForQuestionAnswering,
    config: PruneConfig,
    previous: Mask | None = None,
    latencies: LatencyTable | None = None,
) -> None:
    """Raise ConfigError when a model does not allow the pattern and target of `config`."""
    kept = n_of_m(config.pattern)
    if kept:
        check_divides(prunable_parameters(model), kept[1])
    elif config.prunes_units:
        # How much can be removed does not depend on the order of removal.
        any_scores = {layer.name: torch.zeros(layer.units) for layer in sublayers(model)}
        find_mask(model, any_scores, config.target, config, previous, latencies)


def already_removed(
    model: LxmertForQuestionAnswering, mask: Mask, latencies: LatencyTable | None
) -> float:
    """Return what `mask` removes: the fraction of weights, or with `latencies` of the latency."""
    if latencies is None:
        return mask.sparsity
    return 1 - predicted_latency(model, mask, latencies) / latencies.dense


def check_mask(
    model: LxmertForQuestionAnswering,
    mask: Mask,
    config: PruneConfig,
    previous: Mask | None = None,
    latencies: LatencyTable | None = None,
) -> None:
    """Raise ModelError unless `mask` prunes what `config` says: how much, and by whole units.

    By units, the sparsity is at least the target, since the last unit may exceed it. With `--mask`,
    it is the given mask, `previous`.
    """
    if config.mask is not None:
        assert previous is not None
        if any(not torch.equal(mask[name], keep) for name, keep in previous.items()):
            raise ModelError("the mask is not the one given with --mask")
        return
    if config.prunes_units:
        whole = mask_of_units(model, removed_units(model, mask), previous)
        if whole.pruned != mask.pruned:
            raise ModelError("the mask does not prune whole heads and neurons only")
    if latencies is not None:
        milliseconds = predicted_latency(model, mask, latencies)
        if milliseconds > latencies.dense * (1 - config.target) * (1 + _ROUNDING):
            raise ModelError("the mask does not reach the speedup")
        return
    target = pruned_weights(mask.size, config.target)
    if config.prunes_units:
        if mask.pruned < target:
            raise ModelError(f"the mask prunes {mask.pruned} weights, less than {target}")
    elif mask.pruned != target:
        raise ModelError(f"the mask prunes {mask.pruned} weights instead of {target}")
