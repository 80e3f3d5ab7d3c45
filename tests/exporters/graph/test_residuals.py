"""Residual connections that ONNX Runtime does not fuse, with equal values."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from exported import (
    CONFIGS,
    FILES,
    in_reference_evaluator,
    noisy_model,
    some_inputs,
    stock,
    with_weights,
)
from onnx import ModelProto

from exporters.graph.residuals import unfused_residuals
from exporters.graph.trace import build_graph


@pytest.fixture(scope="module")
def before() -> ModelProto:
    config = CONFIGS["deep"]
    return with_weights(build_graph(config), noisy_model(config))


def operators(model: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_additions_before_layer_norm_become_sums(before: ModelProto) -> None:
    after, original = unfused_residuals(before), before.SerializeToString()
    assert before.SerializeToString() == original
    count, found = operators(before), operators(after)
    # Two normalize inputs of the picture and one the hidden layer of the answer head.
    assert found["Sum"] == found["LayerNormalization"] - 3 > 10
    assert found["Add"] == count["Add"] - found["Sum"] and count["Sum"] == 0
    for node in after.graph.node:
        if node.op_type == "Sum":
            node.op_type = "Add"
    assert after == before


def test_biases_are_still_added_by_add(before: ModelProto) -> None:
    after = unfused_residuals(before)
    weights = {tensor.name for tensor in after.graph.initializer}
    assert not [n for n in after.graph.node if n.op_type == "Sum" and weights & set(n.input)]


def test_values_are_equal_to_the_bit(before: ModelProto) -> None:
    inputs = some_inputs(CONFIGS["deep"], 3, 7, 5)
    assert np.array_equal(
        in_reference_evaluator(unfused_residuals(before), inputs),
        in_reference_evaluator(before, inputs),
    )


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("fp16")])
def test_onnx_runtime_fuses_none(tiny_exported: Path, name: str, tmp_path: Path) -> None:
    stock(tiny_exported / "onnx" / FILES[name], tmp_path / "optimized.onnx")
    found = operators(onnx.load(tmp_path / "optimized.onnx"))
    assert found["SkipLayerNormalization"] == 0 < found["LayerNormalization"]
