"""The traced graph gives the logits of Hugging Face's model at every size, and has no weights."""

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from exported import (
    CONFIGS,
    in_pytorch,
    in_reference_evaluator,
    noisy_model,
    some_inputs,
    stock,
    with_weights,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from onnxruntime import InferenceSession
from traced import build_again
from transformers import LxmertConfig, LxmertForQuestionAnswering
from transformers.models.lxmert.modeling_lxmert import LxmertAttention

from exporters.graph.trace import Graph, build_graph

ATTENTIONS = {"deep": 1 + 2 + 4 + 4 + 2, "wide": 2 + 1 + 2}


@dataclass
class Traced:
    name: str
    config: LxmertConfig
    model: LxmertForQuestionAnswering
    graph: Graph
    complete: ModelProto
    session: InferenceSession


@pytest.fixture(scope="module", params=CONFIGS)
def traced(request: pytest.FixtureRequest) -> Traced:
    config = CONFIGS[request.param]
    model, graph = noisy_model(config), build_graph(config)
    assert {type(module) for module in model.modules() if "Attention" in type(module).__name__} >= {
        LxmertAttention  # none of ours
    }
    complete = with_weights(graph, model)
    return Traced(request.param, config, model, graph, complete, stock(complete))


def check_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert np.abs(found - expected).max() < 2e-5 * expected.std()


# -- Answers ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 6),
    tokens=st.integers(1, 24),
    regions=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)
def test_the_same_logits(traced: Traced, batch: int, tokens: int, regions: int, seed: int) -> None:
    inputs = some_inputs(traced.config, batch, tokens, regions, seed)
    found = traced.session.run(["logits"], inputs)[0]
    check_close(found, in_pytorch(traced.model, inputs))


@pytest.mark.parametrize("name", ["input_ids", "token_type_ids", "visual_feats", "visual_pos"])
def test_every_input_matters(traced: Traced, name: str) -> None:
    """Otherwise the test above would not notice an ignored input."""
    inputs = some_inputs(traced.config, 3, 5, 4)
    before = traced.session.run(["logits"], inputs)[0]
    changed = inputs | {name: 1 - inputs[name]}
    if name == "input_ids":
        changed[name] = (inputs[name] + 1) % traced.config.vocab_size
    after = traced.session.run(["logits"], changed)[0]
    assert (np.abs(after - before).max(axis=1) > 1e-3).all()
    check_close(after, in_pytorch(traced.model, changed))


@pytest.mark.parametrize("name", ["attention_mask", "visual_attention_mask"])
def test_padding_is_ignored(traced: Traced, name: str) -> None:
    inputs = some_inputs(traced.config, 4, 6, 5, seed=1)
    before = traced.session.run(["logits"], inputs)[0]
    assert not inputs[name].all()
    other = some_inputs(traced.config, 4, 6, 5, seed=2)
    values = ("input_ids",) if name == "attention_mask" else ("visual_feats", "visual_pos")
    padded = inputs[name] == 0
    for value in values:
        inputs[value][padded] = other[value][padded]
    assert np.array_equal(traced.session.run(["logits"], inputs)[0], before)
    for value in values:
        inputs[value][~padded] = other[value][~padded]
    assert not np.isclose(traced.session.run(["logits"], inputs)[0], before, atol=1e-3).all()


def test_logits_of_the_reference_evaluator(traced: Traced) -> None:
    inputs = some_inputs(traced.config, 2, 6, 3)
    check_close(in_reference_evaluator(traced.complete, inputs), in_pytorch(traced.model, inputs))


# -- Form -------------------------------------------------------------------------------------


def test_names_and_axes(traced: Traced) -> None:
    def describe(values: object) -> dict[str, tuple[int, list[str | int]]]:
        return {
            value.name: (
                value.type.tensor_type.elem_type,
                [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
            )
            for value in values  # type: ignore[attr-defined]
        }

    model = traced.graph.model
    integers, floats = TensorProto.INT64, TensorProto.FLOAT
    inputs = describe(model.graph.input)
    assert inputs == {
        "input_ids": (integers, ["batch", "tokens"]),
        "attention_mask": (integers, ["batch", "tokens"]),
        "token_type_ids": (integers, ["batch", "tokens"]),
        "visual_feats": (floats, ["batch", "regions", 6]),
        "visual_pos": (floats, ["batch", "regions", 4]),
        "visual_attention_mask": (integers, ["batch", "regions"]),
    }
    assert describe(model.graph.output) == {"logits": (floats, ["batch", 5])}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 23)]


def test_the_graph_is_valid(traced: Traced) -> None:
    onnx.checker.check_model(traced.complete, full_check=True)
    assert not traced.graph.model.functions  # only ONNX's own operators
    assert {node.domain for node in traced.graph.model.graph.node} == {""}


def test_one_node_for_each_attention(traced: Traced) -> None:
    counts = Counter(node.op_type for node in traced.graph.model.graph.node)
    assert counts["Attention"] == ATTENTIONS[traced.name]
    # Softmax is part of Attention, and MatMul reads the weights as they are stored.
    assert counts["Softmax"] == counts["Transpose"] == 0
    # A cross-modality attention is used in both directions, with the same four matrices.
    twice = 4 * (traced.config.x_layers - 1)
    assert counts["MatMul"] == len(traced.graph.matrices) + twice


def test_weights_are_those_that_answers_depend_on(traced: Traced) -> None:
    """According to the gradients of Hugging Face's model, and under its names."""
    graph, parameters = traced.graph, dict(traced.model.named_parameters())
    tensors = {n: torch.from_numpy(a) for n, a in some_inputs(traced.config, 3, 5, 4).items()}
    logits = traced.model(**tensors).question_answering_score
    needed = torch.autograd.grad(logits.sum(), list(parameters.values()), allow_unused=True)
    reached = {name for name, of in zip(parameters, needed, strict=True) if of is not None}
    assert set(graph.weights) == reached
    unused = set(parameters) - reached
    last = f"lxmert.encoder.x_layers.{traced.config.x_layers - 1}.visn_"
    assert unused and all(name.startswith(last) for name in unused)
    for name, shape in graph.weights.items():
        expected = tuple(parameters[name].shape)
        assert shape == (expected[::-1] if name in graph.matrices else expected)


def test_matrices_and_tables(traced: Traced) -> None:
    modules = dict(traced.model.named_modules())
    linear = {f"{name}.weight" for name, m in modules.items() if isinstance(m, torch.nn.Linear)}
    tables = {f"{name}.weight" for name, m in modules.items() if isinstance(m, torch.nn.Embedding)}
    assert traced.graph.matrices == linear & traced.graph.weights.keys()
    assert traced.graph.tables == tables & traced.graph.weights.keys()
    assert len(traced.graph.tables) == 3


def test_no_weights_and_no_paths(traced: Traced) -> None:
    """By default, the exporter records the source files of the machine that it ran on."""
    model = traced.graph.model
    assert sum(len(tensor.raw_data) for tensor in model.graph.initializer) < 100
    assert all(tensor.name.startswith("graph.") for tensor in model.graph.initializer)
    assert not any(name.startswith("graph.") for name in traced.graph.weights)
    content = model.SerializeToString()
    for path in (b"site-packages", b".py", b"torch.", str(onnx.__path__[0]).encode()):
        assert path not in content
    assert not model.metadata_props and not model.graph.value_info


def test_tracing_is_quiet_and_deterministic(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It leaves neither logging nor the random generator changed."""
    level, generator = logging.root.manager.disable, torch.random.get_rng_state()
    again = build_again(CONFIGS["wide"])
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logging.root.manager.disable == level
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert again == build_graph(CONFIGS["wide"])
