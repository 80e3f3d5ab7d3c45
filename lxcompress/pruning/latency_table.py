"""How long a model of given sizes takes: measured latencies of its sublayers on one machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from pydantic import Field
from transformers import LxmertConfig

from lxcompress.system.record import Record


class MeasureLatencies(Protocol):
    """Measures the latencies of a model in ONNX Runtime on this machine."""

    def __call__(
        self, architecture: LxmertConfig, precision: str, batch: int, tokens: int, regions: int
    ) -> LatencyTable: ...


class LatencyTable(Record):
    """Latencies of LXMERT in ONNX Runtime on the CPU, in milliseconds."""

    precision: str = Field(description="of the weights, fp32 or int8")
    batch: int = Field(description="questions at once")
    tokens: int = Field(description="length of the questions, [CLS] and [SEP] included")
    regions: int = Field(description="regions of the pictures")
    dense: float = Field(description="of the whole model", gt=0)
    sublayers: dict[str, dict[int, float]] = Field(
        description="by sublayer, then by number of heads or neurons: what it adds to the model"
    )
    machine: dict[str, Any] = Field(description="versions and machine")

    def curve(self, name: str, units: int) -> np.ndarray:
        """Return what a sublayer adds with 0 to `units` units, interpolated. `[units + 1]`."""
        measured = sorted(self.sublayers[name].items())
        counts, latencies = zip(*measured, strict=True)
        return np.interp(np.arange(units + 1), counts, latencies)

    def model(self, kept: Mapping[str, tuple[int, int]]) -> float:
        """Return the latency of a model. `kept`: by sublayer, the units it has, and of how many."""
        curves = {name: self.curve(name, of) for name, (_, of) in kept.items()}
        saved = sum(curves[name][of] - curves[name][left] for name, (left, of) in kept.items())
        return self.dense - float(saved)
