"""The heads and neurons that a compact file has, of those of the dense model.

The metadata name them by sublayer, as JSON:

    {"lxmert.encoder.layer.0.attention.self": {"heads": [2, 12], "width": 64, "kept": "0900"},
     "lxmert.encoder.layer.0.intermediate": {"neurons": [5, 8], "kept": "1f"}}

Counts are [remaining, of the dense model]; `kept` is a bitmask of the dense model's units in hex,
least significant bit of each byte first. Sublayers that keep all units are not named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from lxcompress.model.compact import live_units, unit_positions
from lxcompress.model.sublayers import Sublayer, sublayers
from lxcompress.pruning import packed_bits
from lxcompress.pruning.mask import Mask


@dataclass(frozen=True)
class Structure:
    """For each sublayer that has lost units, bool `[units]`: True where one remains."""

    kept: Mapping[Sublayer, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LxmertForQuestionAnswering, mask: Mask) -> Structure:
        """Return the structure of a ticket without what its mask makes unreachable."""
        live = live_units(model, dict(mask.items()))
        layers = {layer: live[layer.name] for layer in sublayers(model)}
        return cls({layer: units for layer, units in layers.items() if not units.all()})

    @property
    def by_name(self) -> dict[str, torch.Tensor]:
        """The remaining units, by the name of the sublayer."""
        return {layer.name: units for layer, units in self.kept.items()}

    @property
    def counts(self) -> dict[str, int]:
        """How many units remain, by the name of the sublayer."""
        return {name: int(units.count_nonzero()) for name, units in self.by_name.items()}

    def select(self, name: str, parameter: torch.Tensor) -> torch.Tensor | None:
        """Return what remains of a parameter or its mask; None if no row or column does."""
        if name not in self._positions:
            return parameter
        dim, index = self._positions[name]
        return parameter.index_select(dim, index.to(parameter.device)) if len(index) else None

    def select_mask(self, mask: Mask) -> dict[str, torch.Tensor]:
        """Return the masks of what remains of the pruned tensors."""
        remaining = {name: self.select(name, keep) for name, keep in mask.items()}
        return {name: keep for name, keep in remaining.items() if keep is not None}

    def prune(self, mask: Mask) -> Mask:
        """Return the mask with all weights of removed units pruned."""
        kept = dict(mask.items())
        for name in self.weights:
            dim, index = self._positions[name]
            keep = torch.zeros_like(kept[name])
            kept[name] = keep.index_copy_(dim, index, kept[name].index_select(dim, index))
        return Mask(kept)

    @property
    def weights(self) -> set[str]:
        """The names of the weights that have lost rows or columns."""
        return {name for layer in self.kept for name in layer.weights}

    def removed(self, hidden_size: int) -> int:
        """Return the number of prunable weights that the dense model has more."""
        return sum(
            len(layer.weights) * int((~units).count_nonzero()) * layer.width * hidden_size
            for layer, units in self.kept.items()
        )

    def shapes(self, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters that have lost units, by name; no side may be 0."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (dim, index) in self._positions.items():
            sides = (len(index), hidden_size)
            shapes[name] = sides[:1] if name.endswith(".bias") else sides[:: 1 - 2 * dim]
        return shapes

    def dumps(self) -> str:
        """Return the structure as JSON."""
        return json.dumps({layer.name: _entry(layer, kept) for layer, kept in self.kept.items()})

    @classmethod
    def loads(cls, text: str) -> Structure:
        """Read what `dumps` returned.

        Raises:
            ValueError, KeyError or TypeError: it is damaged.
        """
        kept = {}
        for name, entry in json.loads(text).items():
            if "heads" in entry:
                count, units = entry["heads"]
                layer = Sublayer.heads(name, units, entry["width"])
            else:
                count, units = entry["neurons"]
                layer = Sublayer.neurons(name, units)
            bits = np.frombuffer(bytes.fromhex(entry["kept"]), np.uint8)
            kept[layer] = torch.from_numpy(packed_bits.unpack(bits, [units]))
            if not count == int(kept[layer].count_nonzero()) < units or layer.width < 1:
                raise ValueError(f"the units of {name} do not fit each other")
        return cls(kept)

    @cached_property
    def _positions(self) -> dict[str, tuple[int, torch.Tensor]]:
        return unit_positions(self.kept, self.by_name)


def _entry(layer: Sublayer, kept: torch.Tensor) -> dict[str, object]:
    counts = [int(kept.count_nonzero()), layer.units]
    width = {"width": layer.width} if layer.kind == "heads" else {}
    return {layer.kind: counts, **width, "kept": packed_bits.pack(kept.numpy()).tobytes().hex()}
