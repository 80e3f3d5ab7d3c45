"""Weights of exported files, compared with those of the model folders they were exported from."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from exported import FILES, Arrays, in_onnx, same_bits, some_inputs
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.numpy import load_file

from exporters.encodings.decode_model import EncodedWeights
from exporters.graph.onnx_file import OnnxFile
from lxcompress.errors import ModelError
from lxcompress.model.lxmert import read_config

# The tiny model has one cross layer, and no answer depends on its visual half.
UNUSED = "lxmert.encoder.x_layers.0.visn_"
PRUNED = "lxmert.pooler.dense.weight"
TABLES = {
    f"lxmert.embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")
}


def model_folder(run: Path, name: str) -> Path:
    return run / ("ticket" if name.startswith("sparse-") else "dense")


def weights_of(run: Path, name: str) -> Arrays:
    found = load_file(model_folder(run, name) / "model.safetensors")
    return {key: array for key, array in found.items() if not key.startswith(UNUSED)}


def mask_of(run: Path) -> dict[str, np.ndarray]:
    """Bool arrays, read following the description of the format."""
    weights, kept = weights_of(run, "sparse-fp32"), {}
    with safe_open(run / "ticket" / "mask.safetensors", framework="np") as file:
        for name in file.keys():  # noqa: SIM118
            bits = np.unpackbits(file.get_tensor(name), bitorder="little")
            shape = weights[name].shape
            kept[name] = bits[: weights[name].size].astype(bool).reshape(shape)
    return kept


def opened(run: Path, name: str) -> EncodedWeights:
    return EncodedWeights(OnnxFile(run / "onnx" / FILES[name]))


@pytest.mark.parametrize("name", FILES)
def test_values(tiny_exported: Path, name: str) -> None:
    weights, expected = opened(tiny_exported, name), weights_of(tiny_exported, name)
    assert sorted(weights.names) == sorted(expected)
    for key, theirs in expected.items():
        value = weights.in_model_layout(key, weights.value(key))
        assert value.shape == theirs.shape
        if name.endswith("fp32") or (name.endswith("int8") and theirs.ndim == 1):
            assert same_bits(value, theirs), key
        elif name.endswith("fp16"):
            assert same_bits(value, theirs.astype(np.float16)), key
        else:
            # One scale for each output of a linear layer, or row of a table: a row in PyTorch.
            step = np.abs(theirs).max(axis=1, keepdims=True).astype(float) / 63
            assert (np.abs(value - theirs) <= step / 2 * (1 + 1e-5)).all(), key
            assert not value[theirs == 0].any()
            assert len(np.unique(value)) > 20  # otherwise a coarser rounding would pass
            stored = weights.in_model_layout(key, weights.stored(key))
            assert stored.dtype == np.int8 and np.abs(stored.astype(int)).max() == 63


@pytest.mark.parametrize("name", FILES)
def test_pruned_where_the_mask_says(tiny_exported: Path, name: str) -> None:
    weights, kept = opened(tiny_exported, name), mask_of(tiny_exported)
    if not name.startswith("sparse-"):
        assert weights.pruned == []
        return
    assert sorted(weights.pruned) == sorted(kept)
    for key, keep in kept.items():
        assert np.array_equal(weights.in_model_layout(key, weights.mask(key)), keep)
        value = weights.in_model_layout(key, weights.value(key))
        assert not value[~keep].any() and not np.signbit(value[~keep]).any()
    share = sum(int(keep.sum()) for keep in kept.values()) / sum(k.size for k in kept.values())
    assert share == pytest.approx(0.5, abs=0.001)


def test_stored_values_are_those_of_the_file(tiny_exported: Path) -> None:
    weights = opened(tiny_exported, "int8")
    for tensor in onnx.load(tiny_exported / "onnx" / FILES["int8"]).graph.initializer:
        if tensor.name in weights.names:
            assert same_bits(weights.stored(tensor.name), numpy_helper.to_array(tensor))


@pytest.mark.parametrize("part", [".mask", ".values", ".scale"])
def test_a_missing_tensor(tiny_exported: Path, tmp_path: Path, part: str) -> None:
    model = onnx.load(tiny_exported / "onnx" / FILES["sparse-int8"])
    (index,) = [i for i, t in enumerate(model.graph.initializer) if t.name == PRUNED + part]
    del model.graph.initializer[index]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=f"{path} is damaged: it lacks {PRUNED + part}"):
        EncodedWeights(OnnxFile(path))


# -- The graph without weights ----------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("decode", [False, True])
def test_graph(tiny_exported: Path, name: str, decode: bool) -> None:
    """With the weights added by hand, it computes what the file computes."""
    path = tiny_exported / "onnx" / FILES[name]
    file = OnnxFile(path)
    before, weights = file.model.SerializeToString(), EncodedWeights(file)
    plain = weights.graph(decode=decode)
    assert file.model.SerializeToString() == before
    assert {tensor.name.partition(".")[0] for tensor in plain.graph.initializer} == {"graph"}
    expected = set(weights_of(tiny_exported, name))
    integers = name.endswith("int8") and not decode
    if integers:
        quantized = {key for key in expected if weights_of(tiny_exported, name)[key].ndim == 2}
        expected |= {f"{key}.scale" for key in quantized}
        assert quantized >= TABLES
    tensors: Arrays = {}
    for key in weights.names:
        tensors |= {key: weights.value(key)} if decode else weights.tensors(key)
    assert sorted(tensors) == sorted(expected)
    used = {key for node in plain.graph.node for key in node.input}
    assert expected <= used
    assert not [node for node in plain.graph.node if node.op_type == "BitmaskDecode"]
    assert {node.op_type for node in plain.graph.node if node.domain} == (
        {"QuantizedMatMul", "QuantizedGather"} if integers else set()
    )
    for key, array in tensors.items():
        plain.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), key))
    onnx.checker.check_model(plain, full_check=True)
    config = read_config(model_folder(tiny_exported, name))
    inputs = some_inputs(config, 5, 8, 4)
    ours, theirs = in_onnx(plain, inputs), in_onnx(path, inputs)
    if decode and name.endswith("int8"):
        # The weights are the same, but activations are no longer rounded to 8 bits.
        assert 0 < np.abs(ours - theirs).max() < 0.3 * theirs.std()
    else:
        assert same_bits(ours, theirs)
