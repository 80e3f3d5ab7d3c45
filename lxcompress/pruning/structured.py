"""Structured pruning: whole attention heads and whole feed-forward neurons.

Units are ranked by a score per weight and removed until the target is reached: the first sparsity
that is not below it. Where all sublayers have one unit left, these go too; of a sublayer without
units its output bias, residual connection and LayerNorm remain. Only the last head through which
the picture reaches the answer is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from lxcompress.choices import Scope, Subnetwork
from lxcompress.errors import ConfigError
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import Sublayer, sublayers, unit_sizes
from lxcompress.pruning.magnitude import pruned_weights
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.scope import apportion, ranked_together

Units = dict[str, torch.Tensor]
"""By the name of a sublayer, one value for each of its units: `[units]`."""


def mean_squares(model: LxmertForQuestionAnswering) -> Units:
    """Return the magnitude criterion: the mean square of each unit's weights, float64."""
    weights = prunable_parameters(model)
    sizes = unit_sizes(sublayers(model), weights)
    found = {}
    for layer in sublayers(model):
        squares = torch.zeros(layer.units, dtype=torch.float64)
        for name, dimension in layer.weights.items():
            # numpy's sums do not depend on the number of threads.
            values = weights[name].detach().cpu().numpy().astype(np.float64)
            lines = torch.from_numpy(np.square(values).sum(axis=1 - dimension))
            squares += layer.gather(lines).sum(1)
        found[layer.name] = squares / sizes[layer.name]
    return found


def structured_mask(
    model: LxmertForQuestionAnswering,
    scores: Mapping[str, torch.Tensor],
    sparsity: float,
    *,
    subnetwork: str = Subnetwork.LOW,
    scope: str = Scope.GLOBAL,
    seed: int = 0,
    previous: Mask | None = None,
) -> Mask:
    """Find the mask that removes whole units until `sparsity` of the prunable weights is reached.

    Args:
        scores: of each unit, per weight, so that heads and neurons compare.
        sparsity: the target, a fraction in 0-1 of all prunable weights.
        subnetwork: whether the units of lowest or highest score, or random ones, are removed.
        scope: which sublayers are ranked together; each group gets its share of the target.
        previous: a mask whose weights stay pruned.

    Raises:
        ConfigError: so much cannot be removed.
    """
    weights = prunable_parameters(model)
    target = pruned_weights(sum(weight.numel() for weight in weights.values()), sparsity)
    layers = sublayers(model)
    removed = removed_units(model, previous)
    keys = removal_keys(Subnetwork.parse(subnetwork), layers, scores, seed)
    groups = grouped(layers, Scope.parse(scope))
    remaining = _remaining_weights(layers, weights, previous)
    sizes = [
        sum(weights[name].numel() for layer in group for name in layer.weights) for group in groups
    ]
    before = [
        size - sum(int(remaining[layer.name].sum()) for layer in group)
        for group, size in zip(groups, sizes, strict=True)
    ]
    # What an earlier mask prunes elsewhere, in the pooler and the answer head, remains pruned.
    elsewhere = previous.pruned - sum(before) if previous is not None else 0
    short = []
    shares = apportion(max(0, target - elsewhere), sizes)
    for group, size, share, pruned in zip(groups, sizes, shares, before, strict=True):
        if pruned < share:
            for layer, index in removals(group, keys, removed):
                pruned += int(remaining[layer.name][index])
                if pruned >= share:
                    break
        if pruned < share:
            short.append((sparsity * pruned / share, group[0].name, size, pruned, share))
    if short:
        largest, first, size, pruned, share = min(short)
        names = "the model" if len(groups) == 1 else f"the group of {first}"
        raise ConfigError(
            f"--sparsity {sparsity:g} cannot be reached with --pattern structured: heads and "
            f"neurons of {names} have {size:,} weights, of which {pruned:,} can go; {share:,} "
            f"would have to. Choose at most {math.floor(1000 * largest) / 1000:g}"
        )
    return mask_of_units(model, removed, previous)


def removed_units(model: LxmertForQuestionAnswering, mask: Mask | None) -> Units:
    """Return which units `mask` removes whole: bool, all False without a mask."""
    found = {}
    for layer in sublayers(model):
        kept = torch.zeros(layer.units, dtype=torch.bool)
        for name, dimension in layer.weights.items():
            lines = torch.ones(layer.units * layer.width, dtype=torch.bool)
            if mask is not None:
                lines = mask[name].any(1 - dimension)
            kept |= layer.gather(lines).any(1)
        found[layer.name] = ~kept
    return found


def mask_of_units(
    model: LxmertForQuestionAnswering,
    removed: Mapping[str, torch.Tensor],
    previous: Mask | None = None,
) -> Mask:
    """Return the mask that prunes the removed units, and what `previous` prunes."""
    kept = {
        name: torch.ones(weight.shape, dtype=torch.bool) if previous is None else previous[name]
        for name, weight in prunable_parameters(model).items()
    }
    for layer in sublayers(model):
        lines = layer.spread(removed[layer.name]).nonzero().flatten()
        for name, dimension in layer.weights.items():
            kept[name] = kept[name].index_fill(dimension, lines, False)
    return Mask(kept)


def zero_biases(model: LxmertForQuestionAnswering, mask: Mask) -> None:
    """Set the biases of removed units to zero, in place. Training leaves them there.

    The output columns of a removed unit are zero, so the gradients of its biases are too.
    """
    parameters = dict(model.named_parameters())
    removed = removed_units(model, mask)
    for layer in sublayers(model):
        rows = layer.spread(removed[layer.name])
        for name in layer.biases:
            parameters[name].data[rows.to(parameters[name].device)] = 0.0


def structure(model: LxmertForQuestionAnswering, mask: Mask) -> list[dict[str, str | list[int]]]:
    """Return for each sublayer `{"module": name, "heads" or "neurons": [kept, of]}`."""
    removed = removed_units(model, mask)
    return [
        {
            "module": layer.name,
            layer.kind: [layer.units - int(removed[layer.name].sum()), layer.units],
        }
        for layer in sublayers(model)
    ]


def grouped(layers: Sequence[Sublayer], scope: Scope) -> list[list[Sublayer]]:
    """Return the sublayers whose units are ranked together, by group."""
    by_name = {layer.name: layer for layer in layers}
    return [[by_name[name] for name in names] for names in ranked_together(by_name, scope)]


def removal_keys(
    subnetwork: Subnetwork,
    layers: Sequence[Sublayer],
    scores: Mapping[str, torch.Tensor],
    seed: int,
) -> dict[str, np.ndarray]:
    """Return a key for each unit; those of the lowest keys are removed first."""
    if subnetwork == Subnetwork.RANDOM:
        random = np.random.default_rng(seed)
        return {layer.name: random.random(layer.units) for layer in layers}
    sign = 1.0 if subnetwork == Subnetwork.LOW else -1.0
    return {layer.name: sign * scores[layer.name].numpy() for layer in layers}


def removals(
    group: Sequence[Sublayer], keys: Mapping[str, np.ndarray], removed: Units
) -> Iterator[tuple[Sublayer, int]]:
    """Remove units in `removed`, the lowest key first; yield sublayer and index after each.

    The unit of the highest key of each sublayer goes last of all: scores are of single units, and
    say nothing about a sublayer without any (layer collapse, Tanaka et al. 2020).
    """
    last = {
        layer.name: int(np.where(removed[layer.name], -np.inf, keys[layer.name]).argmax())
        for layer in group
    }
    remaining = [
        (layer, index)
        for layer in group
        for index in (~removed[layer.name]).nonzero().flatten().tolist()
    ]

    def order(unit: tuple[Sublayer, int]) -> tuple[bool, float]:
        layer, index = unit
        return index == last[layer.name], keys[layer.name][index]

    for layer, index in sorted(remaining, key=order):
        if not _is_last_way_to_the_picture(layer, removed):
            removed[layer.name][index] = True
            yield layer, index


def _remaining_weights(
    layers: Sequence[Sublayer], weights: Mapping[str, torch.Tensor], previous: Mask | None
) -> Units:
    """Return how many weights each unit has that `previous` does not prune. int64."""
    found = {}
    for layer in layers:
        counts = torch.zeros(layer.units, dtype=torch.int64)
        for name, dimension in layer.weights.items():
            lines = torch.full((layer.units * layer.width,), weights[name].shape[1 - dimension])
            if previous is not None:
                lines = previous[name].sum(1 - dimension)
            counts += layer.gather(lines).sum(1)
        found[layer.name] = counts
    return found


def _is_last_way_to_the_picture(layer: Sublayer, removed: Units) -> bool:
    """Return whether `layer` has the last head of all attention between the two modalities."""
    between = [~units for name, units in removed.items() if ".visual_attention." in name]
    return ".visual_attention." in layer.name and sum(int(kept.sum()) for kept in between) == 1
