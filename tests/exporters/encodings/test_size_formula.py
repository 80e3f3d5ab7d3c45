"""Expected sizes: counted by hand for a tiny graph, and compared with real files."""

import json
import math
from pathlib import Path

import onnx
import pytest
import torch
from exported import FILES
from onnx import ModelProto
from safetensors.numpy import load_file

from exporters.encodings.size_formula import expected_bytes
from exporters.graph.trace import Graph
from exporters.variants import VARIANTS
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.ticket_size import ticket_sizes

# Two matrices [in, out], one of them pruned, a table, and two vectors.
GRAPH = Graph(
    ModelProto(),
    {"a": (5, 3), "b": (3, 7), "t": (11, 2), "a.bias": (3,), "norm": (7,)},
    frozenset({"a", "b"}),
    frozenset({"t"}),
)


def mask(kept: int, pruned: int) -> Mask:
    """Of tensor a alone, in PyTorch's layout."""
    keep = torch.tensor([True] * kept + [False] * pruned)
    return Mask({"a": keep.reshape(3, 5)})


# 15 + 21 + 22 + 3 + 7 = 68 weights; scales: 3 columns, 7 columns and 11 rows.
@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("fp32", {"mask": 0, "values": 0, "unpruned": 4 * 68, "scales": 0, "total": 272}),
        ("fp16", {"mask": 0, "values": 0, "unpruned": 2 * 68, "scales": 0, "total": 136}),
        ("int8", {"mask": 0, "values": 0, "unpruned": 58 + 4 * 10, "scales": 84, "total": 182}),
        (
            "sparse-fp32",
            {"mask": 2, "values": 4 * 6, "unpruned": 4 * 53, "scales": 0, "total": 238},
        ),
        (
            "sparse-fp16",
            {"mask": 2, "values": 2 * 6, "unpruned": 2 * 53, "scales": 0, "total": 120},
        ),
        (
            "sparse-int8",
            {"mask": 2, "values": 6, "unpruned": 43 + 4 * 10, "scales": 84, "total": 175},
        ),
    ],
)
def test_by_hand(variant: str, expected: dict[str, int]) -> None:
    found = expected_bytes(GRAPH, VARIANTS[variant], mask(6, 9))
    assert found.model_dump(exclude={"entropy_bound"}) == expected
    # 9 of 15 are pruned: 0.971 bits for each of 15, which is 2 bytes too.
    assert found.entropy_bound == expected["total"]


@pytest.mark.parametrize(
    ("kept", "pruned", "entropy"), [(750, 250, 0.811278), (500, 500, 1), (1, 999, 0.011408)]
)
def test_entropy(kept: int, pruned: int, entropy: float) -> None:
    """H(s) from a table of the binary entropy function."""
    graph = Graph(ModelProto(), {"a": (1000, 1)}, frozenset({"a"}), frozenset())
    keep = torch.arange(1000)[None] < kept
    found = expected_bytes(graph, VARIANTS["sparse-fp32"], Mask({"a": keep}))
    assert (found.mask, found.values, found.total) == (125, 4 * kept, 125 + 4 * kept)
    assert found.entropy_bound == 4 * kept + math.ceil(1000 * entropy / 8)


@pytest.mark.parametrize("keep", [True, False])
def test_a_mask_of_a_single_value(keep: bool) -> None:
    """With all or nothing pruned, the entropy is zero; bits are stored where they save values."""
    found = expected_bytes(GRAPH, VARIANTS["sparse-fp16"], mask(15 * keep, 15 * (not keep)))
    assert found.mask == 2 * (not keep)
    assert found.entropy_bound == found.total - found.mask == 2 * (53 + 15 * keep)


def test_agrees_with_the_size_that_a_run_reports(tiny_exported: Path) -> None:
    """`result.json` also counts the branch that no answer depends on, which no ONNX file has."""
    model = load_model(tiny_exported / "ticket")
    kept = Mask.load(tiny_exported / "ticket" / "mask.safetensors", prunable_parameters(model))
    reported = ticket_sizes(model, kept)
    unused = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.startswith("lxmert.encoder.x_layers.0.visn_")
    )
    found = json.loads((tiny_exported / "onnx" / "export.json").read_text())["files"]
    assert found["model_sparse.onnx"]["formula"]["total"] == reported["bitmask"] - 4 * unused
    assert found["model_sparse.onnx"]["formula"]["mask"] == reported["mask"]
    assert found["model.onnx"]["formula"]["total"] == reported["dense"] - 4 * unused


@pytest.mark.parametrize("name", FILES)
def test_file_sizes_are_the_formula_and_a_container(tiny_exported: Path, name: str) -> None:
    path = tiny_exported / "onnx" / FILES[name]
    model = onnx.load(path)
    record = json.loads((tiny_exported / "onnx" / "export.json").read_text())["files"][FILES[name]]
    weights = {
        tensor.name: len(tensor.raw_data)
        for tensor in model.graph.initializer
        if not tensor.name.startswith(("graph.", "lxcompress."))
    }
    # All data, to the byte.
    assert sum(weights.values()) == record["formula"]["total"]
    for kind in ("mask", "values", "scale"):
        part = {"scale": "scales"}.get(kind, kind)
        assert record["formula"][part] == sum(
            size for key, size in weights.items() if key.endswith(f".{kind}")
        )
    # The rest is labels and tokenizer, the table of the bits of 256 bytes, and for each node and
    # tensor its names and shape. None of it grows with the width of the model.
    container = path.stat().st_size - record["formula"]["total"]
    metadata = sum(len(item.value) for item in model.metadata_props)
    items = len(model.graph.node) + len(model.graph.initializer)
    assert container - metadata < 4096 + 200 * items
    assert path.stat().st_size == record["bytes"]


def test_bound_and_shares_of_a_real_export(tiny_exported: Path) -> None:
    files = json.loads((tiny_exported / "onnx" / "export.json").read_text())["files"]
    shapes = load_file(tiny_exported / "dense" / "model.safetensors")
    assert {name: file["dense_fp32_bytes"] for name, file in files.items()} == {
        name: 4
        * sum(
            array.size
            for key, array in shapes.items()
            if not key.startswith("lxmert.encoder.x_layers.0.visn_")
        )
        for name in FILES.values()
    }
    for file in files.values():
        bound, parts = file["formula"]["entropy_bound"], file["formula"]
        assert 0 <= parts["total"] - bound <= parts["mask"]
