"""The sublayers of LXMERT whose units can be removed: attention heads, feed-forward neurons.

Removing a unit removes its rows of the first matrices (with their biases) and its columns of the
output matrix. What is left is a smaller network that computes the same as one whose unit has only
zeros there: a head whose output columns are zero adds nothing, whatever it attends to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import nn
from transformers import LxmertForQuestionAnswering
from transformers.models.lxmert.modeling_lxmert import LxmertAttention

from lxcompress.model.unused_branch import unused_parameters

FEED_FORWARDS = {
    "intermediate": "output",
    "lang_inter": "lang_output",
    "visn_inter": "visn_output",
}
"""Names of the two modules of a feed-forward sublayer: of a language or vision layer, and of the
two streams of a cross-modality layer."""


@dataclass(frozen=True, slots=True)
class Sublayer:
    """An attention or a feed-forward sublayer, by the names of its linear modules.

    name: of the module that the units belong to.
    units: how many heads or neurons it has.
    width: rows of each first matrix that belong to one unit (the size of a head, or 1).
    first: the modules whose output rows belong to units (query, key, value; or the intermediate).
    output: the module whose input columns belong to units.
    """

    name: str
    kind: Literal["heads", "neurons"]
    units: int
    width: int
    first: tuple[str, ...]
    output: str

    @classmethod
    def heads(cls, name: str, units: int, width: int) -> Self:
        """Return LXMERT's attention `name` of `units` heads of `width` elements each."""
        first = tuple(f"{name}.{part}" for part in ("query", "key", "value"))
        return cls(name, "heads", units, width, first, f"{name.rpartition('.')[0]}.output.dense")

    @classmethod
    def neurons(cls, name: str, units: int) -> Self:
        """Return LXMERT's feed-forward sublayer with `units` neurons in its module `name`."""
        parent, _, part = name.rpartition(".")
        output = f"{parent}.{FEED_FORWARDS[part]}.dense"
        return cls(name, "neurons", units, 1, (f"{name}.dense",), output)

    @property
    def weights(self) -> dict[str, int]:
        """The names of the weight matrices, and the dimension along which their units lie."""
        return {**{f"{name}.weight": 0 for name in self.first}, f"{self.output}.weight": 1}

    @property
    def biases(self) -> list[str]:
        """The names of the biases that belong to units."""
        return [f"{name}.bias" for name in self.first]

    def spread(self, units: torch.Tensor) -> torch.Tensor:
        """Return `[units * width]` for `[units]`: each unit's value for all its rows or columns."""
        return units.repeat_interleave(self.width)

    def gather(self, lines: torch.Tensor) -> torch.Tensor:
        """Return `[units, width]` for the values `[units * width]` of rows or columns."""
        return lines.view(self.units, self.width)


def unit_sizes(
    layers: Iterable[Sublayer], parameters: Mapping[str, torch.Tensor]
) -> dict[str, int]:
    """Return the number of prunable weights of one unit of each sublayer, by its name."""
    return {
        layer.name: sum(parameters[name].numel() for name in layer.weights) // layer.units
        for layer in layers
    }


def sublayers(model: LxmertForQuestionAnswering) -> list[Sublayer]:
    """Return the sublayers of all three parts that reach the answer, in the model's order."""
    unused = unused_parameters(model)
    found = [*_attentions(model), *_feed_forwards(model)]
    order = {name: index for index, name in enumerate(dict(model.named_modules()))}
    return sorted(
        (layer for layer in found if f"{layer.output}.weight" not in unused),
        key=lambda layer: order[layer.output],
    )


def _attentions(model: nn.Module) -> Iterator[Sublayer]:
    """Yield LXMERT's attentions: `NAME.self` or `NAME.att`, and the projection `NAME.output`."""
    for name, module in model.named_modules():
        if isinstance(module, LxmertAttention):
            yield Sublayer.heads(name, module.num_attention_heads, module.attention_head_size)


def _feed_forwards(model: nn.Module) -> Iterator[Sublayer]:
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in FEED_FORWARDS:
            assert isinstance(module.dense, nn.Linear)
            yield Sublayer.neurons(name, module.dense.out_features)
