"""Structured pruning to a speedup: the units with the lowest score per millisecond are removed.

What a removal saves is read from latencies that were measured with fewer units (`LatencyTable`).
Scores are per weight; times the weights, divided by the milliseconds of a unit, they say what a
millisecond costs. Michel et al. 2019 and Molchanov et al. 2019 rank by the weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from lxcompress.choices import Scope, Subnetwork
from lxcompress.errors import ConfigError
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import Sublayer, sublayers, unit_sizes
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.structured import (
    Units,
    grouped,
    mask_of_units,
    removal_keys,
    removals,
    removed_units,
)

_TOO_SMALL = "with this --speedup-batch, no head and no neuron takes measurable time"


def faster_mask(
    model: LxmertForQuestionAnswering,
    scores: Mapping[str, torch.Tensor],
    reduction: float,
    *,
    table: LatencyTable,
    subnetwork: str = Subnetwork.LOW,
    scope: str = Scope.GLOBAL,
    seed: int = 0,
    previous: Mask | None = None,
) -> Mask:
    """Find the mask that removes whole units until the model takes `reduction` less time.

    Args:
        scores: of each unit, per weight.
        reduction: the target, a fraction in 0-1 of the dense model's latency.
        scope: which sublayers are ranked together; each group loses the same fraction of its time.

    Raises:
        ConfigError: so much cannot be saved; the message has the largest speedup.
    """
    layers = sublayers(model)
    curves = {layer.name: table.curve(layer.name, layer.units) for layer in layers}
    removed = removed_units(model, previous)
    keys = removal_keys(
        Subnetwork.parse(subnetwork), layers, _per_millisecond(model, layers, scores, table), seed
    )
    groups = grouped(layers, Scope.parse(scope))
    removable = [
        sum(float(curves[layer.name][-1] - curves[layer.name][0]) for layer in group)
        for group in groups
    ]
    if sum(removable) <= 0:
        raise ConfigError(f"{_TOO_SMALL}, so that no --speedup can be reached")
    possible = []
    for group, milliseconds in zip(groups, removable, strict=True):
        share = reduction * table.dense * milliseconds / sum(removable)
        saved = sum(_saved(curves[layer.name], removed[layer.name]) for layer in group)
        if saved < share:
            for layer, _ in removals(group, keys, removed):
                left = layer.units - int(removed[layer.name].sum())
                saved += float(curves[layer.name][left + 1] - curves[layer.name][left])
                if saved >= share:
                    break
        possible.append(1.0 if saved >= share else saved / share)
    if min(possible) < 1:
        largest = math.floor(100 / (1 - reduction * min(possible))) / 100
        if largest <= 1:
            raise ConfigError(f"{_TOO_SMALL}, so that --speedup cannot be reached")
        raise ConfigError(
            f"--speedup {1 / (1 - reduction):.4g} cannot be reached: without the heads and neurons "
            f"that can go, this model is {largest:.2f} times as fast on this machine with "
            f"--speedup-batch {table.batch}. Choose at most {largest:g}, or a larger batch"
        )
    return mask_of_units(model, removed, previous)


def predicted_latency(
    model: LxmertForQuestionAnswering, mask: Mask | None, table: LatencyTable
) -> float:
    """Return the latency in milliseconds that the table gives for a model under `mask`."""
    removed = removed_units(model, mask)
    return table.model(
        {
            layer.name: (layer.units - int(removed[layer.name].sum()), layer.units)
            for layer in sublayers(model)
        }
    )


def _saved(curve: np.ndarray, removed: torch.Tensor) -> float:
    return float(curve[-1] - curve[len(removed) - int(removed.sum())])


def _per_millisecond(
    model: LxmertForQuestionAnswering,
    layers: Sequence[Sublayer],
    scores: Mapping[str, torch.Tensor],
    table: LatencyTable,
) -> Units:
    """Return the scores of whole units, divided by a unit's share of its sublayer's time."""
    sizes = unit_sizes(layers, prunable_parameters(model))
    found = {}
    for layer in layers:
        curve = table.curve(layer.name, layer.units)
        milliseconds = max(float(curve[-1] - curve[0]) / layer.units, 1e-9)
        found[layer.name] = scores[layer.name].double() * sizes[layer.name] / milliseconds
    return found
