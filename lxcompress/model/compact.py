"""The compact network: LXMERT without the heads and neurons that cannot change its answer.

Its parameters keep Hugging Face's names; matrices and biases of sublayers have fewer rows or
columns. Of a sublayer without any unit, the output's bias, the residual and the LayerNorm remain.
`kept` is everywhere, by the name of a sublayer, bool `[units]`: True for the units that remain. A
sublayer that it lacks keeps all.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from transformers import LxmertForQuestionAnswering
from transformers.models.lxmert.modeling_lxmert import LxmertAttention

from lxcompress.model.sublayers import Sublayer, sublayers
from lxcompress.model.unused_branch import VISUAL_HALF

_ENCODER = "lxmert.encoder."


def live_units(
    model: LxmertForQuestionAnswering, remaining: Mapping[str, torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """Return, by sublayer, bool `[units]`: False where a unit cannot change the answer.

    The output adds, for each element that a unit computes, a column of its matrix times the
    element. The unit is dead if each such column is zero, or the element itself is zero: the row
    and bias of a head's value, or of a neuron whose activation of 0 is 0 (gelu, relu). Dead are
    also all units of the visual stream behind the last layer in which the language reads it.

    remaining: by the name of a weight, bool of its shape, False for weights that are zero (a
        mask); other weights and biases are compared with zero.
    """
    parameters = dict(model.named_parameters())

    def used(name: str) -> torch.Tensor:
        known = remaining[name] if remaining and name in remaining else parameters[name].detach()
        return known != 0

    live = {}
    for layer in sublayers(model):
        elements = used(f"{layer.output}.weight").any(0)
        source = layer.first[-1]  # the value, or the only one
        if layer.kind == "heads" or _maps_zero_to_zero(model.get_submodule(layer.name)):
            rows = used(f"{source}.weight").any(1)
            elements = elements & (rows | used(f"{source}.bias").to(rows.device))
        live[layer.name] = layer.gather(elements).any(1).cpu()
    unread = _unread_prefixes(model, live)
    for name, units in live.items():
        if f"{name}.".startswith(unread):
            units.fill_(False)
    return live


def _maps_zero_to_zero(intermediate: nn.Module) -> bool:
    activation = intermediate.intermediate_act_fn
    assert callable(activation)
    return bool(activation(torch.zeros(1)) == 0)


def unreachable_parameters(
    model: LxmertForQuestionAnswering, kept: Mapping[str, torch.Tensor]
) -> set[str]:
    """Return the names of the parameters that no answer depends on, whatever their values.

    They are those of the visual stream behind the last layer in which the language reads it
    (`unused_parameters` and, without heads that read it, more).
    """
    unread = _unread_prefixes(model, kept)
    return {name for name, _ in model.named_parameters() if name.startswith(unread)}


def _unread_prefixes(
    model: LxmertForQuestionAnswering, kept: Mapping[str, torch.Tensor]
) -> tuple[str, ...]:
    unread = []
    for index in reversed(range(len(model.lxmert.encoder.x_layers))):
        layer = f"{_ENCODER}x_layers.{index}."
        unread += [layer + part for part in VISUAL_HALF]
        heads = kept.get(f"{layer}visual_attention.att")
        if heads is None or heads.any():
            return tuple(unread)
    return (*unread, f"{_ENCODER}r_layers.", f"{_ENCODER}visn_fc.")


def compact(
    model: LxmertForQuestionAnswering, kept: Mapping[str, torch.Tensor]
) -> LxmertForQuestionAnswering:
    """Return a smaller model with the kept units only, in memory of its own.

    Its answers, and the gradients of what it has, are those of `model` if what is removed is zero.
    """
    originals = {id(parameter): parameter for parameter in model.parameters()}
    smaller = copy.deepcopy(model, dict(originals))  # which shares the parameters
    remove_units(smaller, kept)
    for name, parameter in list(smaller.named_parameters()):
        if id(parameter) in originals:
            _replace(smaller, name, parameter.detach().clone())
    return smaller


def remove_units(model: LxmertForQuestionAnswering, kept: Mapping[str, torch.Tensor]) -> None:
    """Reduce `model` to the kept units, in place; it may be on the meta device."""
    layers = [layer for layer in sublayers(model) if layer.name in kept]
    for layer in layers:
        count = int(kept[layer.name].count_nonzero())
        if not count:
            _remove_all_units(model, layer)
            continue
        attention = model.get_submodule(layer.name)
        if isinstance(attention, LxmertAttention):
            attention.num_attention_heads = count
            attention.head_size = count * layer.width
    parameters = dict(model.named_parameters())
    for name, (dim, index) in unit_positions(layers, kept).items():
        if name in parameters:
            values = parameters[name].detach()
            _replace(model, name, values.index_select(dim, index.to(values.device)))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.out_features, module.in_features = module.weight.shape


@torch.no_grad()
def widen(
    smaller: LxmertForQuestionAnswering,
    kept: Mapping[str, torch.Tensor],
    dense: LxmertForQuestionAnswering,
) -> None:
    """Write the weights of a compact model into a dense one, in place, with zeros elsewhere.

    The biases of removed units become zero too.
    """
    found = dict(smaller.named_parameters())
    positions = unit_positions(sublayers(dense), kept)
    for name, parameter in dense.named_parameters():
        if name not in positions:
            parameter.copy_(found[name])
            continue
        dim, index = positions[name]
        parameter.zero_()
        if name in found:
            parameter.index_copy_(dim, index.to(parameter.device), found[name].to(parameter.device))


def unit_positions(
    layers: Iterable[Sublayer], kept: Mapping[str, torch.Tensor]
) -> dict[str, tuple[int, torch.Tensor]]:
    """Return where the kept units lie in each parameter of `layers`, by its name.

    That is the dimension, and int64 indices: the remaining rows or columns.
    """
    return {
        name: (dim, layer.spread(kept[layer.name]).nonzero().flatten())
        for layer in layers
        if layer.name in kept
        for name, dim in (*layer.weights.items(), *((bias, 0) for bias in layer.biases))
    }


class _NoHeads(nn.Module):
    """An attention without heads. Its output (`_BiasOnly`) reads only the shape."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        context: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        if not output_attentions:
            return (hidden_states,)
        batch, queries, keys = *hidden_states.shape[:2], context.shape[1]
        return hidden_states, hidden_states.new_zeros(batch, 0, queries, keys)


class _NoNeurons(nn.Identity):
    """A feed-forward layer without neurons. Its output (`_BiasOnly`) reads only the shape."""


class _BiasOnly(nn.Module):
    """The output of a sublayer without units."""

    def __init__(self, bias: nn.Parameter) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the bias for each position of `[B, T, H]`; in evaluation, to be broadcast."""
        # Dropout, which follows in training, draws for each position.
        return self.bias.expand_as(hidden_states) if self.training else self.bias


def _remove_all_units(model: nn.Module, layer: Sublayer) -> None:
    output = model.get_submodule(layer.output)
    assert isinstance(output, nn.Linear)
    whole = _NoHeads() if layer.kind == "heads" else _NoNeurons()
    for name, module in ((layer.name, whole), (layer.output, _BiasOnly(output.bias))):
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, module.train(model.training))


def _replace(model: nn.Module, name: str, values: torch.Tensor) -> None:
    """Give the parameter `name` other values, of any shape."""
    parent, _, attribute = name.rpartition(".")
    module = model.get_submodule(parent)
    trained = getattr(module, attribute).requires_grad
    setattr(module, attribute, nn.Parameter(values, requires_grad=trained))
