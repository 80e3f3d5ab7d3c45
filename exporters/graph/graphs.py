"""The graphs of one architecture, with all heads and neurons or fewer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from transformers import LxmertConfig

from exporters.graph.resize import resize
from exporters.graph.trace import Graph, build_graph
from lxcompress.model.lxmert import without_weights
from lxcompress.model.sublayers import sublayers


class Graphs:
    """Graphs of an architecture. Tracing takes most of an export's time, so it is done once."""

    def __init__(self, config: LxmertConfig) -> None:
        self._config = config

    @cached_property
    def dense(self) -> Graph:
        """The graph with all heads and neurons."""
        return build_graph(self._config)

    def with_units(self, units: Mapping[str, int]) -> Graph:
        """Return the graph with so many heads or neurons, as tracing gives it.

        units: by the sublayer's name; the others keep all.
        """
        if not units:
            return self.dense
        if min(units.values()) < 1:  # other nodes compute a sublayer without units
            return build_graph(self._config, units)
        layers = sublayers(without_weights(self._config))
        return resize(self.dense, {each: units[each.name] for each in layers if each.name in units})
