"""The selection of candidates in ONNX, against PyTorch."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from butd_proposals import HEIGHT, WIDTH, estimates
from onnx import TensorProto, helper

from exporters.detector.builder import GraphBuilder
from exporters.detector.selection import Selection
from lxcompress.vision.butd.selection import CANDIDATES, candidates

INPUTS = ("boxes", "class_logits", "deltas")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    """A graph from proposals to the rows of the candidates."""
    g = GraphBuilder()
    selection = Selection(g, g.floats(WIDTH, HEIGHT, WIDTH, HEIGHT))
    g.rename(selection.candidates({name: name for name in INPUTS}), "rows")
    shapes: list[list[str | int]] = [["n", 4], ["n", 2], ["n", 1, 4]]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(INPUTS, shapes, strict=True)
    ]
    outputs = [helper.make_tensor_value_info("rows", TensorProto.INT64, [None])]
    opset = [helper.make_opsetid("", 21)]
    model = helper.make_model(
        g.graph("candidates", inputs, outputs), opset_imports=opset, ir_version=10
    )
    path: Path = tmp_path_factory.mktemp("graph") / "candidates.onnx"
    onnx.save(model, path)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("duplicates", "distinct", "paired"),
    [(150, 40, 0), (150, 20, 20), (150, 30, 0), (150, 90, 0), (50, 10, 0)],
)
def test_candidates_are_those_of_pytorch(
    duplicates: int, distinct: int, paired: int, session: onnxruntime.InferenceSession
) -> None:
    proposals, _ = estimates(duplicates, distinct, paired)
    (rows,) = session.run(["rows"], {name: getattr(proposals, name).numpy() for name in INPUTS})
    expected = candidates(proposals, HEIGHT, WIDTH).numpy()
    assert len(expected) == min(CANDIDATES, duplicates + distinct + paired)
    np.testing.assert_array_equal(rows, expected)
