"""Tickets that have lost heads and neurons, and single weights besides."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from exported import add_noise
from transformers import LxmertForQuestionAnswering

from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.n_of_m import n_of_m_mask

Kept = dict[str, torch.Tensor]

# By the end of a sublayer's name: which units remain, repeated over all. Of the tiny model, that
# leaves the language's attention no heads, and the vision's feed-forward no neurons.
HALF = {
    "layer.0.attention.self": "0",
    "layer.0.intermediate": "011",
    "r_layers.0.attention.self": "10",
    "r_layers.0.intermediate": "0",
    "visual_attention.att": "01",
    "lang_self_att.self": "1",
    "lang_inter": "100",
}


def kept_units(model: LxmertForQuestionAnswering, pattern: Mapping[str, str]) -> Kept:
    kept = {}
    for layer in sublayers(model):
        repeated = next((bits for end, bits in pattern.items() if layer.name.endswith(end)), "1")
        bits = (repeated * layer.units)[: layer.units]
        kept[layer.name] = torch.tensor([bit == "1" for bit in bits])
    return kept


@torch.no_grad()
def prune_units(model: LxmertForQuestionAnswering, kept: Kept, *, dense: bool = False) -> Mask:
    """Prune whole units with their biases, and 40% of the other weights unless `dense`."""
    random = torch.Generator().manual_seed(3)
    weights = prunable_parameters(model)
    mask = {
        name: (torch.rand(weight.shape, generator=random) < 0.6) | dense
        for name, weight in weights.items()
    }
    parameters = dict(model.named_parameters())
    for layer in sublayers(model):
        gone = layer.spread(~kept[layer.name])
        for name, dim in layer.weights.items():
            if dim == 0:
                mask[name][gone] = False
            else:
                mask[name][:, gone] = False
        for name in layer.biases:
            parameters[name][gone] = 0
    pruned = Mask(mask)
    pruned.apply(weights)
    return pruned


def n_of_m_run(run: Path, folder: Path, n: int, m: int) -> Path:
    """A copy of a run whose ticket has lost the smallest of every `m` weights but `n`."""
    copy = Path(shutil.copytree(run, folder, ignore=shutil.ignore_patterns("onnx")))
    model = load_model(copy / "ticket")
    add_noise(model, seed=8)
    weights = prunable_parameters(model)
    mask = n_of_m_mask(weights, n, m)
    mask.apply(weights)
    model.save_pretrained(copy / "ticket")
    mask.save(copy / "ticket" / "mask.safetensors")
    return copy


def structured_run(
    run: Path, folder: Path, pattern: Mapping[str, str] = HALF, *, dense: bool = False
) -> Path:
    """A copy of a run whose ticket has lost units and, unless `dense`, 40% of the other weights."""
    copy = Path(shutil.copytree(run, folder, ignore=shutil.ignore_patterns("onnx")))
    model = load_model(copy / "ticket")
    add_noise(model, seed=8)  # which leaves none of the zeros of the run's own mask
    mask = prune_units(model, kept_units(model, pattern), dense=dense)
    model.save_pretrained(copy / "ticket")
    mask.save(copy / "ticket" / "mask.safetensors")
    return copy
