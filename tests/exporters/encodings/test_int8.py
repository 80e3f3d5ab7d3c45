"""int8 weights against the formula in exact arithmetic, and against ONNX's operators."""

from fractions import Fraction
from typing import Literal

import numpy as np
import onnx
import pytest
from exported import in_onnx, in_reference_evaluator, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import ModelProto, TensorProto, helper

from exporters.encodings.int8 import (
    Int8,
    dequantize,
    float_form,
    quantize,
    quantized_form,
    quantized_functions,
    weight_of,
)
from lxcompress.errors import ModelError

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
SMALLEST = np.finfo(np.float32).tiny


def weights(elements: st.SearchStrategy[float] = FLOATS) -> st.SearchStrategy[np.ndarray]:
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=6)
    return arrays.arrays(np.float32, shapes, elements=elements)


def quantize_exactly(column: list[float]) -> tuple[float, list[int]]:
    """Symmetric quantization of one channel to -63…63, in exact arithmetic but for the scale."""
    largest = max(abs(Fraction(value)) for value in column)
    if not largest:
        return 1.0, [0] * len(column)
    scale = np.float32(float(largest / 63))
    return float(scale), [round(Fraction(value) / Fraction(float(scale))) for value in column]


# -- The numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_equals_an_independent_quantization(axis: int) -> None:
    random = np.random.default_rng(axis)
    weight = random.standard_normal((37, 29), np.float32) * random.random((37, 29)) ** 4
    weight = weight.astype(np.float32)
    weight[random.random(weight.shape) < 0.5] = 0
    weight[:, 3] = 0
    weight[5] = -0.0
    found, scale = quantize(weight, axis)
    assert found.dtype == np.int8 and scale.dtype == np.float32
    assert found.shape == weight.shape and scale.shape == ((29,) if axis == 0 else (37, 1))
    channels = weight.T if axis == 0 else weight
    expected = [quantize_exactly(channel.tolist()) for channel in channels]
    assert scale.flatten().tolist() == [scale for scale, _ in expected]
    assert (found.T if axis == 0 else found).tolist() == [values for _, values in expected]
    assert same_bits(dequantize(found, scale), found.astype(np.float32) * scale)


@settings(max_examples=300, deadline=None)
@given(weight=weights(), axis=st.sampled_from([0, 1]))
def test_errors_are_at_most_half_a_step(weight: np.ndarray, axis: int) -> None:
    found, scale = quantize(weight, axis)
    assert np.abs(found.astype(int)).max() <= 63
    exact = weight.astype(np.float64)
    steps = np.broadcast_to(scale.astype(np.float64), weight.shape)
    # The division is rounded to float32, so that a tie may go either way.
    assert (np.abs(exact - steps * found) <= steps / 2 * (1 + 1e-5)).all()
    assert np.isfinite(scale).all() and (scale > 0).all()
    # Zero stays zero, and becomes +0.
    back = dequantize(found, scale)
    assert not back[weight == 0].any() and not np.signbit(back[weight == 0]).any()
    # The largest of a channel uses the whole range.
    largest = np.abs(weight).max(axis=axis, keepdims=True)
    reached = np.abs(found.astype(int)).max(axis=axis, keepdims=True)
    assert (reached[largest == 0] == 0).all()
    assert (reached[largest >= 63 * SMALLEST] == 63).all()


def test_a_channel_of_zeros() -> None:
    weight = np.array([[0, 1, -0.0], [0, -4, 0]], np.float32)
    found, scale = quantize(weight, 0)
    assert found.tolist() == [[0, 16, 0], [0, -63, 0]]  # 1 is 15.75 steps
    assert scale.tolist() == [1, np.float32(4 / 63), 1]
    table, scales = quantize(weight.T.copy(), 1)
    assert table.tolist() == found.T.tolist() and scales.tolist() == [[s] for s in scale.tolist()]


@pytest.mark.parametrize("largest", [1e-45, 2e-44, 1e-43, 1e-40, 5e-39, 1e-36])
def test_a_channel_of_subnormal_numbers(largest: float) -> None:
    """A 63rd of the largest rounds to 0 in float32, or nearly."""
    weight = np.array([[largest], [-largest / 3], [0]], np.float32)
    found, scale = quantize(weight, 0)
    assert scale[0] > 0
    assert np.abs(found.astype(int)).max() <= 63
    off = np.abs(weight.astype(float) - scale.astype(float) * found)
    assert (off <= scale.astype(float) / 2 * (1 + 1e-5)).all()


def test_channels_do_not_share_a_scale() -> None:
    """One large column does not make the small ones less precise."""
    small = np.random.default_rng(0).standard_normal((50, 4), np.float32) / 1000
    alone, _ = quantize(small, 0)
    beside, _ = quantize(np.concatenate([small, np.full((50, 1), 1e6, np.float32)], axis=1), 0)
    assert np.array_equal(alone, beside[:, :4])


# -- In ONNX ----------------------------------------------------------------------------------


def call(name: str, inputs: dict[str, np.ndarray], output: list[int | None]) -> ModelProto:
    """A model that calls one of the functions on its inputs."""
    node = helper.make_node(name, list(inputs), ["y"], domain="lxcompress")
    values = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for key, a in inputs.items()
    ]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, output)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("lxcompress", 1)]
    graph = helper.make_graph([node], "one", values, [result])
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=10, functions=quantized_functions()
    )


def integer_product(x: np.ndarray, weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """x @ weight as ONNX defines DynamicQuantizeLinear and MatMulInteger, in Python integers."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    step = np.float32(np.float32(high - low) / np.float32(255)) if high > low else np.float32(1)
    zero = int(np.clip(np.rint(np.float32(-low) / step), 0, 255))
    quantized = np.clip(np.rint(x / step).astype(int) + zero, 0, 255) - zero
    return (quantized @ weight.astype(int)).astype(np.float32) * (step * scale)


@settings(max_examples=40, deadline=None)
@given(
    weight=weights(st.floats(-3, 3, width=32)),
    rows=st.integers(1, 4),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["mixed", "positive", "negative", "zero"]),
)
def test_the_matrix_product(weight: np.ndarray, rows: int, seed: int, kind: str) -> None:
    x = np.random.default_rng(seed).standard_normal((rows, len(weight)), np.float32)
    sign = {"mixed": x, "positive": abs(x), "negative": -abs(x), "zero": 0 * x}
    x = sign[kind].astype(np.float32)
    quantized, scale = quantize(weight, 0)
    inputs = {"x": x, "weight": quantized, "scale": scale}
    model = call("QuantizedMatMul", inputs, [rows, weight.shape[1]])
    onnx.checker.check_model(model, full_check=True)
    expected = integer_product(x, quantized, scale)
    for run in (in_onnx, in_reference_evaluator):
        np.testing.assert_allclose(run(model, inputs, "y"), expected, rtol=1e-5, atol=1e-7)


def test_the_largest_sums_do_not_overflow() -> None:
    """Activations of 255 and weights of ±63: two products fit 16 bits on every processor."""
    x = np.concatenate([np.ones((1, 512), np.float32), np.zeros((1, 512), np.float32)])
    weight = np.ones((512, 8), np.float32)
    weight[:, 1] = -1
    weight[::2, 2] = -1
    quantized, scale = quantize(weight, 0)
    inputs = {"x": x, "weight": quantized, "scale": scale}
    found = in_onnx(call("QuantizedMatMul", inputs, [2, 8]), inputs, "y")
    np.testing.assert_allclose(found[0], [512, -512, 0, 512, 512, 512, 512, 512], rtol=1e-5)
    assert not found[1].any()
    assert 2 * 255 * np.abs(quantized.astype(int)).max() < 2**15


@settings(max_examples=30, deadline=None)
@given(table=weights(st.floats(-3, 3, width=32)), data=st.data())
def test_the_table(table: np.ndarray, data: st.DataObject) -> None:
    rows = arrays.arrays(np.int64, (2, 3), elements=st.integers(0, len(table) - 1))
    indices = data.draw(rows)
    quantized, scale = quantize(table, 1)
    inputs = {"table": quantized, "indices": indices, "scale": scale}
    model = call("QuantizedGather", inputs, [2, 3, table.shape[1]])
    onnx.checker.check_model(model, full_check=True)
    for run in (in_onnx, in_reference_evaluator):
        assert same_bits(run(model, inputs, "y"), dequantize(quantized, scale)[indices])


def test_both_forms_of_a_node() -> None:
    matmul = helper.make_node("MatMul", ["x", "w"], ["y"], name="a")
    gather = helper.make_node("Gather", ["t", "i"], ["y"], name="b")
    assert (weight_of(matmul), weight_of(gather)) == ("w", "t")
    for node, function, inputs in (
        (matmul, "QuantizedMatMul", ["x", "w", "w.scale"]),
        (gather, "QuantizedGather", ["t", "i", "t.scale"]),
    ):
        changed = quantized_form(node)
        assert (changed.op_type, changed.domain) == (function, "lxcompress")
        assert list(changed.input) == inputs and list(changed.output) == ["y"]
        assert weight_of(changed) == weight_of(node)
        assert float_form(changed) == node
    assert weight_of(helper.make_node("Add", ["a", "b"], ["c"])) == ""


# -- As an encoding ---------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(axis: Literal[0, 1], value: float) -> None:
    weight = np.ones((3, 4), np.float32)
    weight[1, 2] = value
    with pytest.raises(ModelError, match="^w has weights that are NaN or infinite$"):
        Int8(axis).encode("w", weight)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 9)])
def test_multiples_of_the_scale_come_back(axis: Literal[0, 1], shape: tuple[int, int]) -> None:
    """Each channel with its largest at 63 steps, a step being a power of 2."""
    random = np.random.default_rng(0)
    steps = random.integers(-63, 64, shape).astype(np.float32)
    steps[(0, slice(None)) if axis == 0 else (slice(None), 0)] = 63
    scale = 2.0 ** -random.integers(1, 9, shape[1] if axis == 0 else (shape[0], 1))
    weight = (steps * scale).astype(np.float32)
    stored = Int8(axis).encode("w", weight)
    assert same_bits(stored["w"], steps.astype(np.int8))
    assert same_bits(Int8(axis).decode("w", stored.__getitem__), weight + 0)
    expected = {"unpruned": shape[0] * shape[1], "scales": 4 * shape[1 - axis]}
    assert Int8(axis).nbytes(shape, remaining=0) == expected
    assert {"w": stored["w"].nbytes, "w.scale": stored["w.scale"].nbytes} == {
        "w": expected["unpruned"],
        "w.scale": expected["scales"],
    }
