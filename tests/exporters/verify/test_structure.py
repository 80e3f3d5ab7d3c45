"""The structure of a file: damage and false statements are found, without the model."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from exported import FILES
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from verified import MATRIX, UNUSED, Original, altered, file_of, path_of, set_metadata

from exporters.graph.metadata import CONTENT_DIGEST
from exporters.graph.onnx_file import OnnxFile, write_model
from exporters.verify.structure import check_structure
from lxcompress.errors import ModelError
from lxcompress.pruning.mask import Mask

# -- Without the mask -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_figures_of_good_files(tiny_exported: Path, ticket: Original, name: str) -> None:
    file = file_of(tiny_exported, name)
    content = file.path.read_bytes()
    unused = sum(p.numel() for n, p in ticket.model.named_parameters() if n.startswith(UNUSED))
    found = check_structure(file, ticket.mask if name.startswith("sparse") else None)
    assert found == check_structure(file)
    assert found.model_dump(exclude={"zeros"}) == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "pattern": "unstructured" if name.startswith("sparse") else "dense",
        "units": {
            "heads": {"language": (2, 2), "vision": (2, 2), "cross-modality": (4, 4)},
            "neurons": {"language": (48, 48), "vision": (48, 48), "cross-modality": (48, 48)},
        },
        "parameters": sum(p.numel() for p in ticket.model.parameters()) - unused,
        "prunable": ticket.mask.size if name.startswith("sparse") else 0,
        "pruned": ticket.mask.pruned if name.startswith("sparse") else 0,
    }
    # Rounding to int8 makes more zeros.
    assert found.zeros > found.pruned if name == "sparse-int8" else found.zeros == found.pruned


def weight_spans(path: Path) -> list[tuple[int, int]]:
    """First and last offset of the raw bytes of each weight, found without our reader."""
    content = path.read_bytes()
    found = []
    for tensor in onnx.load(path).graph.initializer:
        start = content.index(tensor.raw_data)
        if len(tensor.raw_data) >= 64:
            found.append((start, start + len(tensor.raw_data)))
    return found


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([*FILES]),
    which=st.integers(0, 10**6),
    position=st.floats(0, 1, exclude_max=True),
    flip=st.integers(1, 255),
)
def test_any_changed_byte_of_a_weight(
    tiny_exported: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    which: int,
    position: float,
    flip: int,
) -> None:
    path = path_of(tiny_exported, name)
    spans = weight_spans(path)
    start, end = spans[which % len(spans)]
    content = bytearray(path.read_bytes())
    content[start + int(position * (end - start))] ^= flip
    damaged = tmp_path_factory.mktemp("damaged") / "model.onnx"
    damaged.write_bytes(content)
    with pytest.raises(ModelError, match="damaged: its content does not match its checksum"):
        check_structure(OnnxFile(damaged))


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["fp32", "sparse-int8"]),
    position=st.one_of(st.integers(-9000, 20_000), st.integers(0, 60_000)),
    flip=st.integers(0, 255),
)
def test_any_changed_byte(
    tiny_exported: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    position: int,
    flip: int,
) -> None:
    """The digest does not cover everything, but whatever is found gives a one-line message."""
    content = bytearray(path_of(tiny_exported, name).read_bytes())
    content[position] ^= flip
    damaged = tmp_path_factory.mktemp("damaged") / "model.onnx"
    damaged.write_bytes(content)
    try:
        check_structure(OnnxFile(damaged))
    except ModelError as problem:
        assert "\n" not in str(problem) and str(damaged) in str(problem)


@pytest.mark.parametrize("name", ["fp16", "int8", "sparse-fp32", "sparse-int8"])
def test_truncated_anywhere(tiny_exported: Path, tmp_path: Path, name: str) -> None:
    """Between two weights, within the metadata, before the last function…"""
    path = path_of(tiny_exported, name)
    whole = path.read_bytes()
    ends = {*range(0, len(whole), 997), *range(len(whole) - 2500, len(whole), 7)}
    model = onnx.load(path)
    # Exactly between two fields, where what is left is a valid model.
    for field in ("functions", "metadata_props", "opset_import"):
        shorter = ModelProto()
        shorter.CopyFrom(model)
        while getattr(shorter, field):
            getattr(shorter, field).pop()
            part = shorter.SerializeToString()
            if whole.startswith(part):
                ends.add(len(part))
    for end in ends:
        (tmp_path / "model.onnx").write_bytes(whole[:end])
        with pytest.raises(ModelError) as caught:
            check_structure(OnnxFile(tmp_path / "model.onnx"))
        assert str(tmp_path / "model.onnx") in str(caught.value)


def flip_mask_bit(model: ModelProto) -> None:
    """Move one remaining weight, so that their number does not change."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    bits = bytearray(tensors[f"{MATRIX}.mask"].raw_data)
    first = next(i for i in range(8 * len(bits)) if bits[i // 8] >> i % 8 & 1)
    other = next(i for i in range(8 * len(bits)) if not bits[i // 8] >> i % 8 & 1)
    for index in (first, other):
        bits[index // 8] ^= 1 << index % 8
    tensors[f"{MATRIX}.mask"].raw_data = bytes(bits)


def extra_mask_bit(model: ModelProto) -> None:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    bits = bytearray(tensors[f"{MATRIX}.mask"].raw_data)
    bits[0] ^= 1
    tensors[f"{MATRIX}.mask"].raw_data = bytes(bits)


def wrong_shape(model: ModelProto) -> None:
    (call,) = [node for node in model.graph.node if node.output[0] == MATRIX]
    call.attribute[0].ints[0] += 1


def no_shape(model: ModelProto) -> None:
    (call,) = [node for node in model.graph.node if node.output[0] == MATRIX]
    del call.attribute[:]


def remove(part: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        (index,) = [i for i, t in enumerate(model.graph.initializer) if t.name == MATRIX + part]
        del model.graph.initializer[index]

    return change


def state_sparsity(**shares: float) -> Callable[[ModelProto], None]:
    return set_metadata("sparsity", json.dumps(shares or None))


def remove_function(name: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        (index,) = [i for i, f in enumerate(model.functions) if f.name == name]
        del model.functions[index]

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sparse-int8", extra_mask_bit, "a bitmask keeps"),
        ("sparse-int8", wrong_shape, "damaged|not a bitmask|do not hold|not a valid ONNX"),
        ("sparse-fp16", no_shape, "not a valid ONNX model"),
        ("sparse-int8", remove(".mask"), f"not a valid ONNX model.*{MATRIX}.mask"),
        ("sparse-int8", remove(".values"), f"not a valid ONNX model.*{MATRIX}.values"),
        ("sparse-int8", remove(".scale"), f"not a valid ONNX model.*{MATRIX}.scale"),
        ("sparse-fp32", state_sparsity(prunable=0.51, model=0.3), "states another sparsity"),
        ("sparse-fp32", state_sparsity(prunable=0.0, model=0.0), "states another sparsity"),
        ("sparse-fp32", state_sparsity(), "states another sparsity"),
        ("sparse-fp32", set_metadata("sparsity", "half"), "damaged"),
        ("sparse-fp32", set_metadata("sparsity", "{}"), "damaged|another sparsity"),
        ("fp32", state_sparsity(prunable=0.5, model=0.3), "states another sparsity"),
        ("sparse-fp32", set_metadata("pattern", "structured"), "states the pattern 'structured'"),
        ("sparse-int8", set_metadata("pattern", "2:4"), "states the pattern 2:4, which lxmert"),
        ("sparse-fp32", set_metadata("pattern", "dense"), "states the pattern 'dense', but"),
        ("sparse-fp32", set_metadata("pattern", "random"), "states the pattern 'random', but"),
        ("fp32", set_metadata("pattern", "unstructured"), "states the pattern 'unstructured'"),
        ("fp32", set_metadata("pattern", "2:4"), "states the pattern '2:4'"),
        ("fp32", set_metadata("labels", '["yes"]'), "answers"),
        ("fp32", set_metadata("labels", "{"), "answers|damaged"),
        ("int8", remove_function("QuantizedMatMul"), "QuantizedMatMul"),
        ("sparse-fp16", remove_function("BitmaskDecode"), "BitmaskDecode"),
        ("fp32", lambda model: model.graph.initializer.pop(20), "not a valid ONNX model"),
        (
            "fp32",
            set_metadata("precision", "int8"),
            "states that it is .'int8', 'dense'., but its weights",
        ),
        (
            "fp16",
            set_metadata("variant", "sparse-int8"),
            "states that it is .'int8', 'dense'., but its",
        ),
        ("fp16", set_metadata("variant", "sparse-fp16"), "states another sparsity"),
        (
            "sparse-fp16",
            set_metadata("variant", "fp16"),
            "states that it is .'fp16', 'dense'., but its",
        ),
        (
            "sparse-fp16",
            set_metadata("encoding", "dense"),
            "states that it is .'fp16', 'dense'., but its",
        ),
        (
            "sparse-int8",
            set_metadata("variant", "int4"),
            "states that it is None, but its weights are",
        ),
        ("fp32", lambda model: model.graph.node.pop(), "not a valid ONNX model"),
        (
            "fp32",
            lambda model: setattr(model.graph.node[3], "op_type", "Nonsense"),
            "not a valid ON",
        ),
        (
            "fp16",
            lambda model: setattr(model.graph.node[-1].attribute[0], "i", 10),
            "not a valid ON",
        ),
    ],
)
def test_false_statements_with_a_valid_digest(
    tiny_exported: Path,
    tmp_path: Path,
    name: str,
    change: Callable[[ModelProto], Any],
    message: str,
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        check_structure(altered(path_of(tiny_exported, name), tmp_path, change))
    assert "\n" not in str(caught.value)


def test_another_digest(tiny_exported: Path, tmp_path: Path) -> None:
    model = onnx.load(path_of(tiny_exported, "fp32"))
    set_metadata(CONTENT_DIGEST, "0" * 64)(model)
    write_model(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="its content does not match its checksum"):
        check_structure(OnnxFile(tmp_path / "model.onnx"))


# -- With the mask ----------------------------------------------------------------------------


def test_another_mask(tiny_exported: Path, ticket: Original, tmp_path: Path) -> None:
    file = file_of(tiny_exported, "sparse-fp16")
    moved = altered(file.path, tmp_path, flip_mask_bit)
    check_structure(moved)  # valid by itself
    with pytest.raises(ModelError, match=f"{MATRIX} is not pruned where the ticket's mask says"):
        check_structure(moved, ticket.mask)
    kept = {name: keep.clone() for name, keep in ticket.mask.items()}
    kept[MATRIX][3, 4] ^= True
    with pytest.raises(ModelError, match=f"{MATRIX} is not pruned where the ticket's mask says"):
        check_structure(file, Mask(kept))


def test_a_mask_of_other_tensors(tiny_exported: Path, ticket: Original) -> None:
    kept = dict(ticket.mask.items())
    fewer = Mask({name: keep for name, keep in kept.items() if name != MATRIX})
    more = Mask({**kept, "other.weight": torch.ones(2, 2) > 0})
    for mask in (fewer, more):
        with pytest.raises(ModelError, match="has other pruned tensors than the ticket's mask"):
            check_structure(file_of(tiny_exported, "sparse-fp32"), mask)


def test_a_dense_file_is_not_a_ticket(tiny_exported: Path, ticket: Original) -> None:
    with pytest.raises(ModelError, match="has other pruned tensors than the ticket's mask"):
        check_structure(file_of(tiny_exported, "fp32"), ticket.mask)
