"""Pruning to a speedup, by a table of latencies."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_config
from transformers import LxmertForQuestionAnswering

from lxcompress.choices import Scope, Subnetwork
from lxcompress.errors import ConfigError
from lxcompress.model.prunable import modality
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.speedup import faster_mask, predicted_latency
from lxcompress.pruning.structured import mask_of_units, removed_units

MODEL = LxmertForQuestionAnswering(tiny_config())
LAYERS = sublayers(MODEL)
FIXED = 2.0  # milliseconds that no unit takes


def table(**per_unit: float) -> LatencyTable:
    """A table in which each head and each neuron takes the same time."""
    costs = {"heads": 1.0, "neurons": 0.05} | per_unit
    found = {layer.name: {0: 0.0, layer.units: costs[layer.kind] * layer.units} for layer in LAYERS}
    total = FIXED + sum(max(curve.values()) for curve in found.values())
    shape: dict[str, Any] = {"precision": "fp32", "batch": 1, "tokens": 9, "regions": 36}
    return LatencyTable(dense=total, sublayers=found, machine={}, **shape)


def scores(seed: int) -> dict[str, torch.Tensor]:
    random = np.random.default_rng(seed)
    return {layer.name: torch.from_numpy(random.random(layer.units)) for layer in LAYERS}


@settings(max_examples=30, deadline=None)
@given(st.floats(1.01, 8.0), st.integers(0, 5), st.sampled_from(Subnetwork))
def test_the_latency_is_just_below_the_target(speedup: float, seed: int, which: Subnetwork) -> None:
    latencies = table()
    mask = faster_mask(
        MODEL, scores(seed), 1 - 1 / speedup, table=latencies, subnetwork=which, seed=seed
    )
    assert mask_of_units(MODEL, removed_units(MODEL, mask)).pruned == mask.pruned
    latency = predicted_latency(MODEL, mask, latencies)
    # A head takes a millisecond: so far may the last removal exceed the target.
    assert latencies.dense / speedup - 1 < latency <= latencies.dense / speedup + 1e-9


def test_what_saves_nothing_is_removed_last() -> None:
    latencies = table(heads=1e-7)  # heads take no time, so that neurons have to go
    mask = faster_mask(MODEL, scores(0), 0.4, table=latencies)
    for layer in LAYERS:
        if layer.kind == "heads":
            assert not removed_units(MODEL, mask)[layer.name].any()


def test_the_score_of_a_unit_is_divided_by_its_milliseconds() -> None:
    latencies = table()
    given = scores(3)
    removed = removed_units(MODEL, faster_mask(MODEL, given, 0.3, table=latencies))
    costs = {"heads": 1.0, "neurons": 0.05}
    weights = {
        layer.name: sum(dict(MODEL.named_parameters())[name].numel() for name in layer.weights)
        / layer.units
        for layer in LAYERS
    }
    price = {
        layer.name: given[layer.name] * weights[layer.name] / costs[layer.kind] for layer in LAYERS
    }
    gone = torch.cat([price[name][units] for name, units in removed.items()])
    # The last unit of a sublayer is kept for another reason.
    left = torch.cat([price[name][~units].sort().values[:-1] for name, units in removed.items()])
    assert gone.max() <= left.min()


def test_each_part_loses_the_same_share_of_its_time() -> None:
    latencies = table()
    mask = faster_mask(MODEL, scores(1), 0.3, table=latencies, scope=Scope.MODALITY)
    removed, time, saved = removed_units(MODEL, mask), dict[str, float](), dict[str, float]()
    for layer in LAYERS:
        curve, part = latencies.curve(layer.name, layer.units), modality(layer.name)
        left = layer.units - int(removed[layer.name].sum())
        time[part] = time.get(part, 0) + float(curve[-1])
        saved[part] = saved.get(part, 0) + float(curve[-1] - curve[left])
    share = 0.3 * latencies.dense / sum(time.values())
    for part in time:
        assert share * time[part] <= saved[part] + 1e-9 < share * time[part] + 1.0


def test_the_largest_speedup_is_named() -> None:
    latencies = table()
    largest = int(100 * latencies.dense / (FIXED + 1)) / 100  # one head must remain
    with pytest.raises(ConfigError, match=f"--speedup 90 cannot.*{largest:.2f} times as fast"):
        faster_mask(MODEL, scores(0), 1 - 1 / 90, table=latencies)


@pytest.mark.parametrize("cost", [0.0, 1e-9])
def test_where_no_unit_takes_time_there_is_no_speedup(cost: float) -> None:
    flat = table(heads=cost, neurons=cost)
    with pytest.raises(ConfigError, match="takes measurable time"):
        faster_mask(MODEL, scores(0), 0.5, table=flat)


def test_more_is_removed_of_what_an_earlier_mask_left() -> None:
    latencies = table()
    first = faster_mask(MODEL, scores(0), 0.2, table=latencies)
    second = faster_mask(MODEL, scores(1), 0.5, table=latencies, previous=first)
    assert all(not (second[name] & ~keep).any() for name, keep in first.items())
    assert predicted_latency(MODEL, second, latencies) <= 0.5 * latencies.dense + 1e-9


@pytest.mark.parametrize("measured", [{0: 0.0, 4: 2.0}, {0: 0.0, 1: 1.0, 4: 2.0}, {1: 0.0, 4: 3.0}])
def test_latencies_between_measured_sizes_are_interpolated(measured: dict[int, float]) -> None:
    found: Any = table().model_copy(update={"sublayers": {"a": measured}})
    curve = found.curve("a", 4)
    assert [curve[units] for units in measured] == list(measured.values())
    assert (np.diff(curve) >= 0).all()
    assert found.model({"a": (4, 4)}) == found.dense
