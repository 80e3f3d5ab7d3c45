"""The Taylor criterion: how much the loss depends on a weight, a head or a neuron.

A unit is ranked by the squared derivative of the loss to a gate of 1 on it, accumulated over
training batches: to first order, the squared change of the loss without the unit (Michel et al.
2019, arXiv 1905.10650; Molchanov et al. 2019, arXiv 1906.10771). The gate of a head or a neuron
multiplies what its columns W of the output matrix read, so the derivative is the sum of W · dL/dW
over them; that of a weight w is w · dL/dw. No gate has to be in the network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import nn
from transformers import LxmertForQuestionAnswering

from lxcompress.data.batches import EncodedQuestions, training_batches
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers, unit_sizes
from lxcompress.system.machine.threads import set_torch_threads
from lxcompress.system.progress import progress
from lxcompress.training.recipe import Recipe
from lxcompress.training.step import answer_loss

QUESTIONS = 2000  # at least so many, or all

Scores = dict[str, torch.Tensor]


def unit_scores(
    model: LxmertForQuestionAnswering,
    data: EncodedQuestions,
    recipe: Recipe,
    accelerator: Accelerator,
    workers: int | None = None,
) -> Scores:
    """Return the score of each head and neuron, divided by its number of weights.

    Returns:
        For each sublayer, by name, float64 `[units]` on the CPU.
    """
    layers, weights = sublayers(model), dict(model.named_parameters())

    def derivatives() -> Scores:
        found = {}
        for layer in layers:
            output = weights[f"{layer.output}.weight"]
            found[layer.name] = layer.gather(_product(output).sum(0)).sum(1)
        return found

    totals = _accumulate(model, derivatives, data, recipe, accelerator, workers)
    sizes = unit_sizes(layers, weights)
    return {name: scores / sizes[name] for name, scores in totals.items()}


def weight_scores(
    model: LxmertForQuestionAnswering,
    data: EncodedQuestions,
    recipe: Recipe,
    accelerator: Accelerator,
    workers: int | None = None,
) -> Scores:
    """Return the score of each prunable weight: by name, float32 in the weights' shapes."""
    weights = prunable_parameters(model)

    def derivatives() -> Scores:
        return {name: _product(weight) for name, weight in weights.items()}

    return _accumulate(model, derivatives, data, recipe, accelerator, workers, torch.float32)


def _product(weight: nn.Parameter) -> torch.Tensor:
    assert weight.grad is not None  # prunable weights reach the answer
    return weight * weight.grad


def _accumulate(
    model: nn.Module,
    derivatives: Callable[[], Scores],
    data: EncodedQuestions,
    recipe: Recipe,
    accelerator: Accelerator,
    workers: int | None,
    dtype: torch.dtype = torch.float64,
) -> Scores:
    """Return the sums over batches of the squared derivatives; dropout is off."""
    set_torch_threads(sum(parameter.numel() for parameter in model.parameters()))
    model.to(accelerator.device).eval()
    available = training_batches(
        data, recipe.batch_size, epochs=1, seed=recipe.seed, workers=workers
    )
    count = min(len(available), math.ceil(QUESTIONS / recipe.batch_size))
    totals: Scores = {}
    with progress("Scoring what to prune", count, "batches") as meter:
        for batch in itertools.islice(available, count):
            with accelerator.autocast():
                loss = answer_loss(model, batch, accelerator.device)
            accelerator.backward(loss)
            with torch.no_grad():
                for name, derivative in derivatives().items():
                    squared = derivative.to(dtype).square().cpu()
                    totals[name] = totals[name].add_(squared) if name in totals else squared
            model.zero_grad(set_to_none=True)
            meter.advance()
    return totals
