"""Graphs of other numbers of heads and neurons, without tracing."""

import pytest
from exported import CONFIGS
from transformers import LxmertForQuestionAnswering

from exporters.graph.resize import resize
from exporters.graph.trace import build_graph
from lxcompress.model.sublayers import sublayers

CONFIG = CONFIGS["deep"]
LAYERS = sublayers(LxmertForQuestionAnswering(CONFIG))


def test_a_resized_graph_is_the_one_that_tracing_gives() -> None:
    units = {
        layer: 1 + index % 2 if layer.kind == "heads" else 10 * (index // 4) + 1
        for index, layer in enumerate(LAYERS)
    }
    del units[LAYERS[0]]  # keeps all
    resized = resize(build_graph(CONFIG), units)
    traced = build_graph(CONFIG, {layer.name: count for layer, count in units.items()})
    assert resized.weights == traced.weights
    assert resized.matrices == traced.matrices and resized.tables == traced.tables
    assert resized.model.SerializeToString(deterministic=True) == traced.model.SerializeToString(
        deterministic=True
    )


def test_a_sublayer_without_units_has_to_be_traced() -> None:
    with pytest.raises(ValueError, match="has to be traced"):
        resize(build_graph(CONFIG), {LAYERS[0]: 0})
