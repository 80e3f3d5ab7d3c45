"""One architecture's graphs: traced once, and equal to those that tracing gives."""

import pytest
from exported import CONFIGS

from exporters.graph import graphs
from exporters.graph.graphs import Graphs
from exporters.graph.trace import build_graph
from lxcompress.model.lxmert import without_weights
from lxcompress.model.sublayers import sublayers

CONFIG = CONFIGS["deep"]
LAYERS = sublayers(without_weights(CONFIG))


def test_the_dense_graph_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[dict[str, int]] = []

    def noted(config, units=None):
        traced.append(units or {})
        return build_graph(CONFIG)

    monkeypatch.setattr(graphs, "build_graph", noted)
    made = Graphs(CONFIG)
    assert made.with_units({}) == build_graph(CONFIG)
    names = [layer.name for layer in LAYERS]
    small = made.with_units(dict.fromkeys(names[1:], 1))
    for layer in LAYERS:
        size = layer.units if layer is LAYERS[0] else 1
        assert {small.weights[name] for name in layer.biases} == {(size * layer.width,)}
    assert traced == [{}]
    made.with_units({names[0]: 0, names[1]: 1})  # by other nodes, so it is traced
    assert traced == [{}, {names[0]: 0, names[1]: 1}]
