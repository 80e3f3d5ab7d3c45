"""LXMERT pruned by torch-pruning (https://github.com/VainF/Torch-Pruning, MIT), for comparison.

It follows that project's example for BERT: all widths and the numbers of heads shrink by one ratio,
the residual stream included, at random. Of lxcompress it uses the names of inputs and output, not
its pruning, its graph or its encodings.
"""

from __future__ import annotations

import copy
import math
import warnings
from pathlib import Path

import torch
from transformers import LxmertForQuestionAnswering
from transformers.models.lxmert.modeling_lxmert import LxmertAttention

from benchmarks.measure.multiply_adds import multiply_adds
from benchmarks.readme import full_size
from exporters.graph.interface import INPUTS, OUTPUT
from exporters.graph.trace import Logits, dynamic_axes
from lxcompress.model.unused_branch import skip_unused_branch

_TRIES = 4
_CLOSE = 0.02  # relative difference of the multiply-adds


def pruned_model(small: bool, target: int, tokens: int) -> LxmertForQuestionAnswering:
    """Return a stock LXMERT that is pruned to about `target` multiply-adds a question.

    Raises:
        ImportError: torch-pruning is not installed.
        Exception: Whatever it raises where it cannot trace or prune the model.
    """
    import torch_pruning  # noqa: F401  # before the large model is made

    stock = full_size.new_model(small, stock=True).eval()
    skip_unused_branch(stock)  # which torch-pruning does not see, since no answer depends on it
    whole = multiply_adds(stock, tokens, full_size.REGIONS)
    kept = math.sqrt(target / whole)  # both sides of a matrix shrink
    closest, least = stock, math.inf
    for _ in range(_TRIES):
        model = copy.deepcopy(stock)
        _prune(model, 1 - kept)
        count = multiply_adds(model, tokens, full_size.REGIONS)
        if abs(count / target - 1) < least:
            closest, least = model, abs(count / target - 1)
        if least < _CLOSE:
            break
        kept *= math.sqrt(target / count)
    return closest


def _prune(model: LxmertForQuestionAnswering, ratio: float) -> None:
    import torch_pruning

    attentions = [module for module in model.modules() if isinstance(module, LxmertAttention)]
    heads = {
        layer: attention.num_attention_heads
        for attention in attentions
        for layer in (attention.query, attention.key, attention.value)
    }
    answers = model.answer_head.logit_fc[-1]
    torch.manual_seed(0)
    pruner = torch_pruning.pruner.BasePruner(
        model,
        _example(model),
        importance=torch_pruning.importance.RandomImportance(),
        pruning_ratio=ratio,
        num_heads=heads,
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=ratio,
        ignored_layers=[answers],
        forward_fn=lambda model, inputs: model(**inputs),
        output_transform=lambda output: output.question_answering_score.sum(),
    )
    pruner.step()
    for attention in attentions:
        attention.head_size = attention.query.out_features
        attention.num_attention_heads = pruner.num_heads[attention.query]
        attention.attention_head_size = attention.head_size // attention.num_attention_heads


def _example(model: LxmertForQuestionAnswering) -> dict[str, torch.Tensor]:
    batch = next(full_size.batches(model.config, 2))
    floats = {name: value.float() for name, value in batch.items() if value.is_floating_point()}
    return {name: (batch | floats)[name] for name in INPUTS}


def export(model: LxmertForQuestionAnswering, path: Path) -> None:
    """Write the model as PyTorch's exporter does by itself, in fp32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about axes of equal length, and deprecated classes
        program = torch.onnx.export(
            Logits(model).eval(),
            kwargs=_example(model),
            dynamo=True,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=dynamic_axes(),
            verbose=False,
        )
    assert program is not None
    program.save(path, external_data=False)
