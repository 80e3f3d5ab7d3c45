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
from lxcompress.pruning.magnitude import magnitude_mask, pruned_weights
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.n_of_m import check_divides, n_of_m_mask
from lxcompress.pruning.structured import mask_of_units, removed_units, structured_mask


def find_mask(
    model: LxmertForQuestionAnswering,
    scores: Mapping[str, torch.Tensor],
    sparsity: float,
    config: PruneConfig,
    previous: Mask | None = None,
) -> Mask:
    """Find the mask that prunes `sparsity` of the prunable weights, as `config` says.

    Args:
        scores: of each weight, by the names of the prunable tensors, or with the structured
            pattern of each unit, by the names of the sublayers.
        previous: the mask of an earlier step, whose pruned weights stay pruned.

    Raises:
        ConfigError: the pattern cannot reach this sparsity.
    """
    subnetwork, scope, seed = config.subnetwork, config.scope, config.seed
    kept = n_of_m(config.pattern)
    if kept:
        return n_of_m_mask(scores, *kept, subnetwork=subnetwork, seed=seed)
    find: Callable[..., Mask] = magnitude_mask
    if config.prunes_units:
        find = partial(structured_mask, model)
    return find(scores, sparsity, subnetwork=subnetwork, scope=scope, seed=seed, previous=previous)


def check_pattern(model: LxmertForQuestionAnswering, config: PruneConfig) -> None:
    """Raise ConfigError when a model does not allow the pattern and sparsity of `config`."""
    kept = n_of_m(config.pattern)
    if kept:
        check_divides(prunable_parameters(model), kept[1])
    elif config.prunes_units:
        # How much can be removed does not depend on the order of removal.
        any_scores = {layer.name: torch.zeros(layer.units) for layer in sublayers(model)}
        structured_mask(model, any_scores, config.sparsity, scope=config.scope)


def check_mask(model: LxmertForQuestionAnswering, mask: Mask, config: PruneConfig) -> None:
    """Raise ModelError unless `mask` prunes what `config` says: how much, and by whole units.

    By units, the sparsity is at least the target, since the last unit may exceed it.
    """
    target = pruned_weights(mask.size, config.sparsity)
    if config.prunes_units:
        whole = mask_of_units(model, removed_units(model, mask))
        if whole.pruned != mask.pruned:
            raise ModelError("the mask does not prune whole heads and neurons only")
        if mask.pruned < target:
            raise ModelError(f"the mask prunes {mask.pruned} weights, less than {target}")
    elif mask.pruned != target:
        raise ModelError(f"the mask prunes {mask.pruned} weights instead of {target}")
