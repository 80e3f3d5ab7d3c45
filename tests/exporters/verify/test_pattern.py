"""Tickets of N:M: marked, proved from the file alone, and readable by TensorRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from compacted import n_of_m_run
from exports import Command
from onnx import ModelProto, numpy_helper
from verified import MATRIX, altered, path_of, set_metadata

from exporters import export as module
from exporters.graph.onnx_file import OnnxFile
from exporters.source import Source
from exporters.verify.structure import check_structure
from lxcompress.errors import ModelError
from lxcompress.model.prunable import is_prunable

SPARSE = ["sparse-fp32", "sparse-fp16", "sparse-int8"]


def exported(run: Path, folder: Path, n: int, m: int) -> Path:
    copy = n_of_m_run(run, folder, n, m)
    source = Source.of(copy, None, None)
    module.export(source, source.variants(SPARSE), "cpu")
    return copy


@pytest.fixture(scope="module")
def two_of_four(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tiny_run, tmp_path_factory.mktemp("two-of-four") / "run", 2, 4)


@pytest.mark.parametrize("name", SPARSE)
def test_the_file_is_marked(two_of_four: Path, command: Command, name: str) -> None:
    path = path_of(two_of_four, name)
    assert OnnxFile(path).metadata["pattern"] == "2:4"
    outcome = command("verify", path, "--run", two_of_four)
    assert outcome.code == 0 and "encoding: bitmask; pattern: 2:4\n" in outcome.out


def test_matrices_that_are_stored_dense(tiny_run: Path, tmp_path: Path) -> None:
    """Of 15:16 in int8, bits would take more bytes than they save."""
    folder = exported(tiny_run, tmp_path / "run", 15, 16)
    found = {name: OnnxFile(path_of(folder, name)) for name in SPARSE}
    assert {file.metadata["pattern"] for file in found.values()} == {"15:16"}
    assert found["sparse-int8"].metadata["encoding"] == "dense"

    def fill(model: ModelProto) -> None:
        """Without a zero."""
        (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == MATRIX]
        values = numpy_helper.to_array(tensor) | 1
        tensor.CopyFrom(numpy_helper.from_array(values, MATRIX))

    with pytest.raises(ModelError, match=f"the pattern 15:16, which {MATRIX} is not"):
        check_structure(altered(found["sparse-int8"].path, tmp_path, fill))


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("pattern", ["1:2", "1:4", "3:4", "2:5", "4:64", "structured"])
def test_false_patterns(two_of_four: Path, tmp_path: Path, name: str, pattern: str) -> None:
    file = altered(path_of(two_of_four, name), tmp_path, set_metadata("pattern", pattern))
    with pytest.raises(ModelError, match="states the pattern"):
        check_structure(file)


def test_weaker_patterns_hold_too(two_of_four: Path, tmp_path: Path) -> None:
    for pattern in ("4:8", "unstructured"):
        change = set_metadata("pattern", pattern)
        check_structure(altered(path_of(two_of_four, "sparse-fp32"), tmp_path, change))


def test_a_pair_that_moved_to_another_group(two_of_four: Path, tmp_path: Path) -> None:
    def move(model: ModelProto) -> None:
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        bits = tensors[f"{MATRIX}.mask"]
        values = numpy_helper.to_array(bits).copy()
        keep = np.unpackbits(values, bitorder="little").reshape(32, 32)  # `[in, out]`
        first = int(np.flatnonzero(keep[:4, 0])[0])
        other = 4 + int(np.flatnonzero(keep[4:8, 0] == 0)[0])
        keep[first, 0], keep[other, 0] = 0, 1
        bits.raw_data = np.packbits(keep.reshape(-1), bitorder="little").tobytes()

    with pytest.raises(ModelError, match=f"the pattern 2:4, which {MATRIX} is not"):
        check_structure(altered(path_of(two_of_four, "sparse-fp16"), tmp_path, move))


@pytest.mark.parametrize("name", ["sparse-fp32", "sparse-fp16"])
def test_onnx_runtime_writes_the_file_that_tensorrt_reads(
    two_of_four: Path, tmp_path: Path, name: str
) -> None:
    """As docs/export.md says: standard operators only, each pruned matrix a plain initializer."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "decoded.onnx")
    onnxruntime.InferenceSession(path_of(two_of_four, name), options)
    model = onnx.load(tmp_path / "decoded.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not model.functions and {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    matrices = [array for key, array in tensors.items() if is_prunable(key, array.ndim)]
    assert len(matrices) > 20
    for matrix in matrices:
        groups = matrix.T.reshape(-1, 4)  # along the input
        assert (np.count_nonzero(groups, axis=1) <= 2).all()
