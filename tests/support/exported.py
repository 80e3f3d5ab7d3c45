"""Models whose exports differ, and ONNX Runtime without our code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import ModelProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from tiny import run_lottery, settings, tiny_config
from torch import nn
from transformers import LxmertConfig, LxmertForQuestionAnswering

from exporters.graph.trace import Graph
from lxcompress.data.dataset import Dataset
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask

Arrays = dict[str, np.ndarray]
FILES = {
    "fp32": "model.onnx",
    "fp16": "model_fp16.onnx",
    "int8": "model_int8.onnx",
    "sparse-fp32": "model_sparse.onnx",
    "sparse-fp16": "model_sparse_fp16.onnx",
    "sparse-int8": "model_sparse_int8.onnx",
}

# They differ in the number of layers and heads, and in the activation.
CONFIGS = {
    "deep": tiny_config(l_layers=1, r_layers=2, x_layers=3, num_attention_heads=4),
    "wide": tiny_config(
        l_layers=2, r_layers=1, x_layers=1, num_attention_heads=1, hidden_act="relu"
    ),
}


@torch.no_grad()
def add_noise(model: nn.Module, seed: int = 0) -> None:
    """Add enough noise that answers depend on every part of the question and the picture."""
    random = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=random))


def noisy_model(config: LxmertConfig, seed: int = 0) -> LxmertForQuestionAnswering:
    """Hugging Face's own model, without lxcompress's attention and skipped branch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LxmertForQuestionAnswering(config).eval()
    add_noise(model, seed)
    return model


def some_mask(model: LxmertForQuestionAnswering, seed: int = 0) -> Mask:
    """Prune half of the weights, but all of the first tensor and none of the second."""
    random = torch.Generator().manual_seed(seed)
    kept = {
        name: torch.rand(weight.shape, generator=random) < 0.5
        for name, weight in prunable_parameters(model).items()
    }
    first, second, *_ = kept.values()
    first[:], second[:] = False, True
    return Mask(kept)


def noisy_run(folder: Path, dataset: Dataset, model: Path, data: Path) -> Path:
    """A finished run with noise added to its models, which are too little trained otherwise."""
    run, _ = run_lottery(folder, dataset, settings(model, data, sparsity=0.5))
    for model_folder in (run.dense, run.ticket):
        found = load_model(model_folder)
        add_noise(found, seed=5)
        if model_folder == run.ticket:
            weights = prunable_parameters(found)
            Mask.load(run.mask, weights).apply(weights)
        found.save_pretrained(model_folder)
    return folder


def some_inputs(
    config: LxmertConfig, batch: int, tokens: int, regions: int, seed: int = 0
) -> Arrays:
    """Questions and pictures of random lengths, with at least one token and one region."""
    random = np.random.default_rng(seed)
    present = np.arange(tokens) < random.integers(1, tokens + 1, (batch, 1))
    visible = np.arange(regions) < random.integers(1, regions + 1, (batch, 1))
    shape = (batch, tokens)
    return {
        "input_ids": random.integers(0, config.vocab_size, shape),
        "attention_mask": present.astype(np.int64),
        "token_type_ids": random.integers(0, config.type_vocab_size, shape),
        "visual_feats": random.standard_normal(
            (batch, regions, config.visual_feat_dim), np.float32
        ),
        "visual_pos": random.random((batch, regions, 4), np.float32),
        "visual_attention_mask": visible.astype(np.int64),
    }


def in_pytorch(model: LxmertForQuestionAnswering, inputs: Arrays) -> np.ndarray:
    """The logits of a PyTorch model."""
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.inference_mode():
        return model(**tensors).question_answering_score.numpy()


def stock(model: ModelProto | Path, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU, without our code."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    content = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def in_onnx(model: ModelProto | Path, inputs: Arrays, output: str = "logits") -> np.ndarray:
    """An output as ONNX Runtime computes it."""
    return stock(model).run([output], inputs)[0]


def in_reference_evaluator(model: ModelProto, inputs: Arrays, output: str = "logits") -> np.ndarray:
    """An output as ONNX's reference evaluator computes it: slow, and strict about types."""
    with np.errstate(over="ignore"):  # float16: a mask of -65504 and a score of -20 are -infinity
        found: Any = ReferenceEvaluator(model).run([output], inputs)
    return np.asarray(found[0])


def with_weights(graph: Graph, model: LxmertForQuestionAnswering) -> ModelProto:
    """The graph with the model's fp32 weights as initializers."""
    complete = ModelProto()
    complete.CopyFrom(graph.model)
    parameters = dict(model.named_parameters())
    for name in graph.weights:
        weight = parameters[name].detach().numpy()
        laid = np.ascontiguousarray(weight.T if name in graph.matrices else weight)
        complete.graph.initializer.append(numpy_helper.from_array(laid, name))
    return complete


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal in type, shape and every bit: NaN equals itself, -0.0 is not 0.0."""
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(second).tobytes()
    )
