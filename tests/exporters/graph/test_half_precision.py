"""The graph in half precision: float16 inside, float32 outside, and no NaN from padding."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from exported import (
    CONFIGS,
    Arrays,
    in_onnx,
    in_reference_evaluator,
    noisy_model,
    some_inputs,
    with_weights,
)
from onnx import ModelProto, TensorProto, helper, numpy_helper
from transformers import LxmertConfig, LxmertForQuestionAnswering

from exporters.graph.half_precision import to_half
from exporters.graph.trace import build_graph

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}


@pytest.fixture(scope="module")
def config() -> LxmertConfig:
    return CONFIGS["deep"]


@pytest.fixture(scope="module")
def model(config: LxmertConfig) -> LxmertForQuestionAnswering:
    return noisy_model(config)


@pytest.fixture(scope="module")
def full(config: LxmertConfig, model: LxmertForQuestionAnswering) -> ModelProto:
    return with_weights(build_graph(config), model)


@pytest.fixture(scope="module")
def half(full: ModelProto) -> ModelProto:
    return to_half(full)


def types(values: object) -> dict[str, int]:
    return {value.name: value.type.tensor_type.elem_type for value in values}  # type: ignore[attr-defined]


def test_inputs_and_outputs_are_float32(full: ModelProto, half: ModelProto) -> None:
    assert list(half.graph.input) == list(full.graph.input)
    assert list(half.graph.output) == list(full.graph.output)
    outside = types([*half.graph.input, *half.graph.output])
    assert {name for name, kind in outside.items() if kind == TensorProto.FLOAT} == {
        "visual_feats",
        "visual_pos",
        "logits",
    }


def test_everything_inside_is_float16(half: ModelProto) -> None:
    onnx.checker.check_model(half, full_check=True)
    assert not any(tensor.data_type == TensorProto.FLOAT for tensor in half.graph.initializer)
    inferred = onnx.shape_inference.infer_shapes(half, check_type=True, strict_mode=True)
    inside = types(inferred.graph.value_info)
    produced = {name for node in half.graph.node for name in node.output}
    assert produced - inside.keys() <= {"logits"}
    assert {kind for kind in inside.values() if kind in FLOATS} == {TensorProto.FLOAT16}


def test_the_original_is_not_changed(full: ModelProto) -> None:
    before = full.SerializeToString()
    to_half(full)
    assert full.SerializeToString() == before


def test_weights_are_rounded_to_the_nearest(full: ModelProto, half: ModelProto) -> None:
    before = {t.name: numpy_helper.to_array(t) for t in full.graph.initializer}
    after = {t.name: numpy_helper.to_array(t) for t in half.graph.initializer}
    assert after.keys() == before.keys()
    for name, array in before.items():
        if array.dtype != np.float32:
            assert np.array_equal(after[name], array)
        elif not name.startswith("graph."):
            assert np.array_equal(after[name], array.astype(np.float16))


# On the CPU, ONNX Runtime computes much in float32; the reference evaluator all in float16.
@pytest.mark.parametrize("run", [in_onnx, in_reference_evaluator])
@pytest.mark.parametrize(("batch", "tokens", "regions"), [(1, 1, 1), (5, 9, 7), (3, 24, 2)])
def test_logits_are_close(
    full: ModelProto,
    half: ModelProto,
    config: LxmertConfig,
    run: Callable[[ModelProto, Arrays], np.ndarray],
    batch: int,
    tokens: int,
    regions: int,
) -> None:
    inputs = some_inputs(config, batch, tokens, regions)
    exact, found = in_onnx(full, inputs), run(half, inputs)
    assert found.dtype == np.float32
    # Numbers have 11 significant bits, and errors add up over the layers.
    assert np.abs(found - exact).max() < 0.02 * exact.std()
    assert (found != exact).any()


def scaled(model: ModelProto, factor: float) -> ModelProto:
    """With all queries scaled, so that attention scores are in the tens."""
    changed = ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        if ".query." in tensor.name:
            array = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(factor * array, tensor.name))
    return changed


# Steep attention amplifies rounding errors.
@pytest.mark.parametrize(("factor", "tolerance"), [(1, 0.02), (30, 0.2)])
@pytest.mark.parametrize("padded", ["attention_mask", "visual_attention_mask", "both"])
def test_rows_of_only_padding_are_not_nan(
    full: ModelProto, config: LxmertConfig, factor: float, tolerance: float, padded: str
) -> None:
    """Real data have no such rows; still, they must not give NaN or change other rows."""
    inputs = some_inputs(config, 4, 6, 5)
    for name in ("attention_mask", "visual_attention_mask"):
        if padded in (name, "both"):
            inputs[name][1] = 0
    exact = scaled(full, factor)
    half, expected = to_half(exact), in_onnx(exact, inputs)
    found = in_onnx(half, inputs)
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() < tolerance * expected.std()
    rest = [0, 2, 3]
    off = np.abs(in_reference_evaluator(half, inputs) - expected)[rest].max()
    assert off < tolerance * expected.std()


def test_constants_outside_float16s_range() -> None:
    values = np.array([-3.4028235e38, 3.4e38, 65504, -65504, 1e5, 1e-9, np.inf, -np.inf], "f4")
    nodes = [helper.make_node("Add", ["x", "graph.big"], ["y"])]
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in "xy"]
    constants = [numpy_helper.from_array(values, "graph.big")]
    graph = helper.make_graph(nodes, "one", floats[:1], floats[1:], constants)
    opsets = [helper.make_opsetid("", 23)]
    half = to_half(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    (constant,) = half.graph.initializer
    limit = 65504
    expected = [-limit, limit, limit, -limit, limit, 0, limit, -limit]
    assert numpy_helper.to_array(constant).tolist() == expected
    for run in (in_onnx, in_reference_evaluator):
        assert run(half, {"x": np.zeros(8, np.float32)}, "y").tolist() == expected


def test_casts_to_float_become_casts_to_float16() -> None:
    nodes = [
        helper.make_node("Cast", ["ids"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["ids"], ["same"], to=TensorProto.INT64),
        helper.make_node("Mul", ["float", "float"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 23)]
    half = to_half(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    casts = [n.attribute[0].i for n in half.graph.node if n.op_type == "Cast"]
    assert casts == [TensorProto.FLOAT16, TensorProto.INT64, TensorProto.FLOAT]
    found = in_reference_evaluator(half, {"ids": np.array([3, -255], np.int32)}, "y")
    assert found.tolist() == [9, 65024] and found.dtype == np.float32  # 65025 in 11 bits
