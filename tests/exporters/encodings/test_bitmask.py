"""Bitmask and values: our decoder, the ONNX reference evaluator and ONNX Runtime agree."""

import numpy as np
import onnx
import pytest
from exported import same_bits, stock
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import ModelProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from exporters.encodings.base import DOMAIN
from exporters.encodings.bitmask import Bitmask, add_decoders, check, compress, decompress
from exporters.encodings.dense import Dense
from lxcompress.errors import ModelError

Weight = tuple[np.ndarray, np.ndarray]
DTYPES = (np.float32, np.float16, np.int8)
DECODING = {"NonZero", "ScatterElements", "Gather", "Cast", "Reshape", "BitmaskDecode"}


@st.composite
def pruned(draw: st.DrawFn) -> Weight:
    """A weight of arbitrary bits, +0 where it is pruned, and which elements remain."""
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=11))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    keep = random.random(shape) < draw(st.sampled_from([0, 0.02, 0.3, 0.5, 0.9, 1]))
    size = keep.size * dtype.itemsize
    weight = random.integers(0, 256, size, np.uint8).view(dtype).reshape(shape)
    zero = random.random(shape)
    weight[zero < 0.2] = 0
    if dtype.kind == "f":
        weight[zero < 0.1] = -0.0
    weight[~keep] = 0
    return weight, keep


def by_hand(bits: np.ndarray, values: np.ndarray, size: int) -> list[bytes]:
    """The bytes of each element, following the description of the format."""
    left = iter([value.tobytes() for value in values])
    zero = bytes(values.itemsize)
    return [next(left) if bits[i // 8] >> (i % 8) & 1 else zero for i in range(size)]


def model_of(weights: dict[str, Weight]) -> ModelProto:
    """An ONNX model that outputs each weight, decoded from its bits and values."""
    parts, outputs, nodes = [], [], []
    for name, (weight, keep) in weights.items():
        bits, values = compress(weight, keep)
        parts.append(numpy_helper.from_array(bits, f"{name}.mask"))
        parts.append(numpy_helper.from_array(values[None], f"{name}.values"))
        kind = helper.np_dtype_to_tensor_dtype(weight.dtype)
        outputs.append(helper.make_tensor_value_info(f"{name}.out", kind, weight.shape))
        nodes.append(helper.make_node("Identity", [name], [f"{name}.out"]))
    graph = helper.make_graph(nodes, "decoded", [], outputs, parts)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    add_decoders(model, {name: weight.shape for name, (weight, _) in weights.items()})
    return model


# -- Our own decoder --------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(pruned())
def test_round_trip(given: Weight) -> None:
    weight, keep = given
    bits, values = compress(weight, keep)
    assert bits.nbytes == -(-weight.size // 8) and values.shape == (np.count_nonzero(keep),)
    assert b"".join(by_hand(bits, values, weight.size)) == weight.tobytes()
    assert same_bits(decompress(bits, values, weight.shape), weight)


@pytest.mark.parametrize("size", [65535, 65536, 65537, 2 * 65536 + 5, 200_000])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
def test_weights_of_several_blocks(size: int, share: float) -> None:
    random = np.random.default_rng(size)
    keep = random.random(size) < share
    weight = np.where(keep, random.standard_normal(size, np.float32), np.float32(0))
    bits, values = compress(weight, keep)
    assert same_bits(decompress(bits, values, (size,)), weight)


def test_layout_in_memory_does_not_matter() -> None:
    random = np.random.default_rng(0)
    keep = random.random((6, 9)) < 0.5
    weight = np.where(keep, random.standard_normal((6, 9), np.float32), np.float32(0))
    expected = compress(weight, keep)
    found = compress(np.asfortranarray(weight), np.asfortranarray(keep))
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "keep", [np.ones((3, 2), bool), np.ones(6, bool), np.ones((2, 3), np.uint8), np.ones((2, 3))]
)
def test_a_mask_of_another_shape_or_type(keep: np.ndarray) -> None:
    with pytest.raises(ValueError, match="keep must be bool"):
        compress(np.ones((2, 3), np.float32), keep)


# -- Damage -----------------------------------------------------------------------------------

BITS, VALUES = np.array([0b10110101, 0b00000011], np.uint8), np.arange(7, dtype=np.float32)


@pytest.mark.parametrize(
    ("bits", "values", "shape", "message"),
    [
        (BITS[:1], VALUES, (2, 5), "1 bytes of uint8 are not a bitmask of"),
        (np.append(BITS, np.uint8(0)), VALUES, (2, 5), "3 bytes of uint8 are not a bitmask of"),
        (BITS.view(np.int8), VALUES, (2, 5), "2 bytes of int8 are not a bitmask of"),
        (BITS[None], VALUES, (2, 5), "are not a bitmask of"),
        (BITS, VALUES, (3, 6), "are not a bitmask of"),
        (BITS, VALUES, (0,), "are not a bitmask of"),
        (BITS, VALUES, (-2, -5), "are not a bitmask of"),
        (BITS[:0], VALUES[:0], (-1,), "are not a bitmask of"),
        (BITS | np.array([0, 4], np.uint8), VALUES, (2, 5), "spare bits are set"),
        (BITS | np.array([0, 128], np.uint8), VALUES, (2, 5), "spare bits are set"),
        (BITS, VALUES[:-1], (2, 5), "a bitmask keeps 7 weights, but 6 values are given"),
        (BITS, np.append(VALUES, 1), (2, 5), "a bitmask keeps 7 weights, but 8 values are given"),
        (BITS, VALUES[None], (2, 5), "a bitmask keeps 7 weights"),
        (BITS & np.uint8(1), VALUES, (2, 5), "a bitmask keeps 2 weights, but 7 values are given"),
    ],
)
def test_parts_that_do_not_fit_each_other(
    bits: np.ndarray, values: np.ndarray, shape: tuple[int, ...], message: str
) -> None:
    assert decompress(BITS, VALUES, (2, 5)).tolist() == [[0, 0, 1, 0, 2], [3, 0, 4, 5, 6]]
    for use in (check, decompress):
        with pytest.raises(ValueError, match=message):
            use(bits, values, shape)


@settings(max_examples=60, deadline=None)
@given(pruned(), st.data())
def test_any_flipped_bit_is_detected(given: Weight, data: st.DataObject) -> None:
    weight, keep = given
    bits, values = compress(weight, keep)
    flipped = data.draw(st.integers(0, 8 * bits.size - 1))
    bits[flipped // 8] ^= 1 << flipped % 8
    with pytest.raises(ValueError, match="bitmask"):
        decompress(bits, values, weight.shape)


# -- As an encoding ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e-45, -0.0, float("nan"), 1.0])
def test_pruned_weights_must_be_positive_zero(value: float) -> None:
    weight, keep = np.zeros((2, 3), np.float32), np.ones((2, 3), bool)
    weight[1, 2], keep[1, 2] = value, False
    with pytest.raises(ModelError, match="^1 pruned weights of w are not zero: it is no ticket$"):
        Bitmask(Dense(), (2, 3)).encode("w", weight, keep)


def test_a_bitmask_needs_a_mask() -> None:
    with pytest.raises(ValueError, match="w has no mask"):
        Bitmask(Dense(), (2, 3)).encode("w", np.zeros((2, 3), np.float32))


def test_the_mask_comes_back() -> None:
    random = np.random.default_rng(0)
    keep = random.random((5, 7)) < 0.5
    weight = np.where(keep, random.standard_normal((5, 7), np.float32), np.float32(0))
    encoding = Bitmask(Dense(), (5, 7))
    stored = encoding.encode("w", weight, keep)
    assert np.array_equal(encoding.read_mask("w", stored.__getitem__), keep)
    with pytest.raises(ValueError, match="do not hold"):
        Bitmask(Dense(), (5, 9)).read_mask("w", stored.__getitem__)


# -- In ONNX ----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(pruned(), min_size=1, max_size=3))
def test_as_an_onnx_function(tmp_path_factory: pytest.TempPathFactory, given: list[Weight]) -> None:
    weights = {f"layer.{number}.weight": weight for number, weight in enumerate(given)}
    model = model_of(weights)
    onnx.checker.check_model(model, full_check=True)
    names = [f"{name}.out" for name in weights]
    optimized = tmp_path_factory.mktemp("optimized") / "model.onnx"
    independent = ReferenceEvaluator(model).run(names, {})
    runtime = stock(model, optimized).run(names, {})
    for (weight, _), *found in zip(weights.values(), independent, runtime, strict=True):
        assert all(same_bits(np.asarray(one), weight) for one in found)
    # ONNX Runtime decoded them while it loaded the model, not in each run.
    assert not {node.op_type for node in onnx.load(optimized).graph.node} & DECODING


def test_initializers() -> None:
    random = np.random.default_rng(0)
    weights: dict[str, Weight] = {}
    for number, dtype in enumerate(DTYPES):
        keep = random.random((9, 7)) < 0.4
        weight = random.integers(1, 100, (9, 7)).astype(dtype)
        weight[~keep] = 0
        weights[f"w{number}"] = weight, keep
    tensors = {tensor.name: tensor for tensor in model_of(weights).graph.initializer}
    for name, (weight, keep) in weights.items():
        mask, values = (tensors.pop(name + part) for part in (".mask", ".values"))
        assert numpy_helper.to_array(mask).tobytes() == compress(weight, keep)[0].tobytes()
        assert same_bits(numpy_helper.to_array(values), weight[keep][None])
    (shared,) = tensors.values()  # all weights share one table of 256 x 8 bits
    table = numpy_helper.to_array(shared)
    assert table.tolist() == [[bool(byte >> bit & 1) for bit in range(8)] for byte in range(256)]
