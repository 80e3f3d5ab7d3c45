"""Attention over regions: equal to Hugging Face's, and without effect on the logits."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exported import (
    CONFIGS,
    FILES,
    in_onnx,
    noisy_model,
    same_bits,
    some_inputs,
    with_weights,
)
from onnx import ModelProto
from tiny import tiny_config
from transformers import LxmertForQuestionAnswering

from exporters.graph.half_precision import to_half
from exporters.graph.trace import build_graph
from exporters.runtime import OnnxVqaModel
from exporters.runtime.region_attention import REGION_ATTENTION, add_region_attention
from lxcompress.errors import ModelError
from lxcompress.model.compact import compact
from lxcompress.system.machine.onnx_providers import why_unusable

TOLERANCE = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.1}


def in_hugging_face(model: LxmertForQuestionAnswering, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Attention of [CLS] in the last cross-modality layer, mean over heads. [B, regions]"""
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.inference_mode():
        found = model(**tensors, output_attentions=True).cross_encoder_attentions
    assert len(found) == model.config.x_layers
    return found[-1][:, :, 0].mean(1).numpy()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("sizes", [(1, 2, 1), (5, 9, 7), (16, 20, 36)])
def test_attention_of_hugging_face(name: str, sizes: tuple[int, int, int]) -> None:
    config = CONFIGS[name]
    model, inputs = noisy_model(config), some_inputs(config, *sizes)
    graph = with_weights(build_graph(config), model)
    plain = in_onnx(graph, inputs)
    add_region_attention(graph)
    found = in_onnx(graph, inputs, REGION_ATTENTION)
    assert found.dtype == np.float32 and found.shape == sizes[::2]
    np.testing.assert_allclose(found, in_hugging_face(model, inputs), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert not found[inputs["visual_attention_mask"] == 0].any()
    if sizes[2] > 1:  # otherwise a constant would pass
        assert found.std() > 0.05
    assert same_bits(in_onnx(graph, inputs), plain)


@pytest.mark.parametrize("name", FILES)
def test_attention_of_exported_files(tiny_exported: Path, name: str) -> None:
    folder = tiny_exported / ("ticket" if name.startswith("sparse-") else "dense")
    reference = LxmertForQuestionAnswering.from_pretrained(folder).eval()
    path = tiny_exported / "onnx" / FILES[name]
    plain = OnnxVqaModel(path, threads=1)
    model = OnnxVqaModel(path, threads=1, attention=True)
    for sizes in ((1, 2, 1), (7, 11, 5), (1, 9, 10)):
        inputs = some_inputs(reference.config, *sizes)
        logits, found = model.logits_and_attention(inputs)
        assert same_bits(logits, plain.logits(inputs))
        assert same_bits(model.logits(inputs), logits)
        assert found.dtype == np.float32
        expected = in_hugging_face(reference, inputs)
        tolerance = TOLERANCE[name.removeprefix("sparse-")]
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("without", [1, 2])
def test_layers_without_heads(without: int) -> None:
    """The last layer that has heads counts, and only the heads that remain."""
    config = tiny_config(l_layers=1, x_layers=2, num_attention_heads=4)
    model, inputs = noisy_model(config), some_inputs(config, 5, 9, 7)
    across = "lxmert.encoder.x_layers.{}.visual_attention.att"
    kept = {across.format(layer): torch.arange(4) % 2 > 0 for layer in range(2)}
    kept |= {across.format(layer): torch.zeros(4) > 0 for layer in range(2 - without, 2)}
    units = {name: int(heads.sum()) for name, heads in kept.items()}
    small = compact(model, kept)
    graph = with_weights(build_graph(config, units), small)
    plain = in_onnx(graph, inputs)
    for complete in (graph, to_half(graph)):
        add_region_attention(complete)
        onnx.checker.check_model(complete, full_check=True)
        found = in_onnx(complete, inputs, REGION_ATTENTION)
        assert found.dtype == np.float32 and found.shape == (5, 7)
        if without == 2:
            assert not found.any()
            continue
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        shares = small(**tensors, output_attentions=True).cross_encoder_attentions[1 - without]
        tolerance = 1e-5 if complete is graph else 5e-3
        expected = shares[:, :, 0].mean(1).detach().numpy()
        np.testing.assert_allclose(found, expected, atol=tolerance)
        assert shares.shape[1] == 2
    assert same_bits(in_onnx(graph, inputs), plain)


def test_a_graph_without_cross_modality(tiny_exported: Path) -> None:
    with pytest.raises(ModelError, match="no cross-modality layer"):
        add_region_attention(ModelProto())
    altered = build_graph(CONFIGS["wide"]).model
    model = ModelProto()
    model.CopyFrom(altered)
    for node in model.graph.node:
        if node.op_type == "Attention":
            node.op_type = "Other"
    with pytest.raises(ModelError, match="not as `lxcompress export` writes it"):
        add_region_attention(model)


@pytest.mark.skipif(
    why_unusable("CUDAExecutionProvider") is not None, reason="ONNX Runtime cannot use CUDA here"
)
@pytest.mark.parametrize("name", FILES)
def test_attention_on_cuda(tiny_exported: Path, name: str) -> None:
    path = tiny_exported / "onnx" / FILES[name]
    folder = tiny_exported / ("ticket" if name.startswith("sparse-") else "dense")
    reference = LxmertForQuestionAnswering.from_pretrained(folder).eval()
    model = OnnxVqaModel(path, "cuda", attention=True)
    inputs = some_inputs(reference.config, 7, 11, 5)
    _, found = model.logits_and_attention(inputs)
    np.testing.assert_allclose(found, in_hugging_face(reference, inputs), atol=0.1)
