"""The table of latencies that `prune --speedup` reads."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_config
from transformers import LxmertForQuestionAnswering

from exporters.latency import table
from exporters.latency.table import latency_table
from lxcompress.errors import ConfigError
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.system.files import read_json, write_json

CONFIG = tiny_config(l_layers=3)
LAYERS = {layer.name: layer for layer in sublayers(LxmertForQuestionAnswering(CONFIG))}
SHAPE: dict[str, Any] = {"precision": "fp32", "batch": 2, "tokens": 5, "regions": 4}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Instead of minutes of measuring: the calls that would measure."""
    calls: list[dict[str, Any]] = []

    def measure(architecture: object, machine: dict[str, Any], **shape: Any) -> LatencyTable:
        calls.append(shape)
        curves = {name: {0: 0.0, layer.units: 1.0} for name, layer in LAYERS.items()}
        return LatencyTable(dense=40.0, sublayers=curves, machine=machine, **shape)

    monkeypatch.setattr(table, "_measure", measure)
    return calls


def test_every_sublayer_is_measured_in_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ROUNDS", 3)
    monkeypatch.setattr(table, "_SECONDS", 0.0)
    found = latency_table(CONFIG, **{**SHAPE, "precision": "int8"})
    assert found.sublayers.keys() == LAYERS.keys()
    assert found.dense > 0
    for name, layer in LAYERS.items():
        counts = sorted(found.sublayers[name])
        assert counts == sorted({1, layer.units // 2, layer.units})
        curve = found.curve(name, layer.units)
        assert curve[0] == 0 <= curve[-1] < found.dense
    first, *others = (n for n, layer in LAYERS.items() if ".layer." in n and layer.kind == "heads")
    assert len(others) == 2
    assert all(found.sublayers[name] == found.sublayers[first] for name in others)


def test_what_a_sublayer_adds_is_a_share_of_the_latency_in_the_same_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = {0: [0.010, 0.010], 1: [0.009, 0.009], 2: [0.016, 0.020]}

    def time(systems: Mapping[int, Callable[[], object]], **how: object) -> dict[int, list[float]]:
        assert systems.keys() == samples.keys()
        return samples

    monkeypatch.setattr(table, "time_in_rounds", time)
    layers = [layer for layer in LAYERS.values() if layer.kind == "heads" and layer.units == 2][:3]
    shares = table._shares({0: lambda: 0, 1: lambda: 0}, layers, lambda: 0)
    # One head measured faster than none, which is noise: both take their mean.
    expected = (18 - 9.5) / 18 / 3
    assert shares == pytest.approx({0: 0.0, 1: 0.0, 2: expected})


def test_sublayers_are_scaled_to_whole_models() -> None:
    added = np.array([[0.0, 0.1, 0.3], [0.0, 0.3, 0.5], [0.0, 0.0, 0.0]])
    scaled = table._scaled(added, [10.0, 18.0, 40.0])
    # 8 ms from one unit to half, 22 ms from half to all; as in `added` beside one another.
    assert scaled == pytest.approx(np.array([[0, 2, 13], [0, 6, 17], [0, 0, 0]]))


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=1, max_size=5),
    st.lists(st.floats(0.1, 10), min_size=3, max_size=3),
)
def test_no_model_is_predicted_to_be_faster_than_one_with_single_units(
    steps: list[list[float]], whole: list[float]
) -> None:
    """Also where smaller models were measured slower, which is noise."""
    added = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
    scaled = table._scaled(added, whole)
    assert (np.diff(scaled, axis=1) >= 0).all() and not scaled[:, 0].any()
    assert scaled[:, -1].sum() <= max(whole) - min(whole) + 1e-9


def test_a_table_is_measured_once(measured: list[dict[str, Any]]) -> None:
    first = latency_table(CONFIG, **SHAPE)
    assert latency_table(CONFIG, **SHAPE) == first
    assert measured == [SHAPE]
    latency_table(CONFIG, **{**SHAPE, "batch": 3})
    latency_table(tiny_config(l_layers=2), **SHAPE)
    assert len(measured) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"machine": {"processor": "another"}}, "was measured on another machine; delete it"),
        ({"dense": -1}, "is damaged at dense"),
        ({"sublayers": {"a": "b"}}, "is damaged at sublayers"),
    ],
)
def test_a_table_that_is_not_of_this_machine(
    change: dict[str, Any], message: str, measured: list[dict[str, Any]], tmp_path: Path
) -> None:
    latency_table(CONFIG, **SHAPE)
    (path,) = (tmp_path / "cache" / "latencies").iterdir()
    write_json(path, read_json(path, "latencies") | change)
    with pytest.raises(ConfigError) as caught:
        latency_table(CONFIG, **SHAPE)
    assert message in str(caught.value) and "\n" not in str(caught.value)
