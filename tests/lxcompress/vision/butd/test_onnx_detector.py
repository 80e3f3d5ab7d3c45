"""Files that are no detector; `tests/exporters/detector` compares the values of one."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lxcompress.errors import ConfigError, ModelError
from lxcompress.vision.butd.onnx_detector import METADATA, OUTPUTS, OnnxBottomUpDetector
from lxcompress.vision.butd.setting import DetectorSetting
from lxcompress.vision.detectors import get_detector

OTHER = "other.onnx is not a detector of `lxcompress export"
PICTURE: list[str | int] = [3, "height", "width"]
SIZES = {"feature_size": 8, "short_side": 30, "long_side": 50, "weights": "weights sha256:0"}


def described(**other: object) -> dict[str, str]:
    return {METADATA: json.dumps(SIZES | other)}


def write(
    path: Path,
    outputs: Collection[str],
    metadata: dict[str, str],
    shape: list[str | int] = PICTURE,
    dimensions: int | None = None,
) -> Path:
    """A model that takes a picture, and fails when it runs.

    dimensions: of each output; None for those of a detector.
    """
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("Constant", [], ["one"], value=one),
        helper.make_node("Size", ["picture"], ["size"]),
        helper.make_node("Gather", ["one", "size"], ["outside"]),
    ]
    values = []
    for name in outputs:
        kind, sizes = OUTPUTS.get(name, (np.float32, ["regions"]))
        count = len(sizes) if dimensions is None else dimensions
        type_ = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        ones = helper.make_tensor(name, TensorProto.INT64, [count], [1] * count)
        nodes += [
            helper.make_node("Constant", [], [f"{name}_shape"], value=ones),
            helper.make_node("Expand", ["outside", f"{name}_shape"], [f"{name}_expanded"]),
            helper.make_node("Cast", [f"{name}_expanded"], [name], to=type_),
        ]
        values.append(helper.make_tensor_value_info(name, type_, [1] * count))
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "fails", [picture], values)
    opset = [helper.make_opsetid("", 21)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("outputs", "metadata"),
    [
        (["logits"], {}),
        (["logits"], described()),
        (OUTPUTS, {}),
        *((OUTPUTS, {METADATA: text}) for text in ("{}", "[1", "[1]", "3", "null", "[" * 9999)),
        (OUTPUTS, {METADATA: '{"feature_size": 2048}'}),
        (OUTPUTS, described(feature_size=None)),
        (OUTPUTS, described(short_side="30")),
        (OUTPUTS, described(long_side=0)),
        (OUTPUTS, described(weights=None)),
    ],
)
def test_other_models(outputs: Collection[str], metadata: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "other.onnx", outputs, metadata)
    with pytest.raises(ModelError, match=OTHER):
        OnnxBottomUpDetector(path)


@pytest.mark.parametrize(
    ("shape", "dimensions"),
    [
        ([1, 3, "height", "width"], None),
        (["batch", 3, 224], None),
        ([3, 224, 224], None),
        ([4, "height", "width"], None),
        ([], None),
        (PICTURE, 1),
        (PICTURE, 2),
    ],
)
def test_models_with_inputs_or_outputs_of_another_shape(
    shape: list[str | int], dimensions: int | None, tmp_path: Path
) -> None:
    path = write(tmp_path / "other.onnx", OUTPUTS, described(), shape, dimensions)
    with pytest.raises(ModelError, match=OTHER):
        OnnxBottomUpDetector(path)


def test_a_file_that_cannot_run(tmp_path: Path) -> None:
    detector = OnnxBottomUpDetector(write(tmp_path / "fails.onnx", OUTPUTS, described()))
    assert detector.feature_size == 8
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run the detector .*fails\.onnx: "):
        detector.detect([Image.new("RGB", (40, 30))])


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such detector file: .*absent.onnx"):
        get_detector("butd", tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="cannot load the detector .*text.onnx"):
        get_detector("butd", tmp_path / "text.onnx")


def test_options_that_a_file_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs on the CPU only"):
        get_detector("butd", "detector.onnx", "cuda")
    with pytest.raises(ConfigError, match="fixes how the detector computes: leave out"):
        get_detector("butd", "detector.onnx", setting=DetectorSetting("fp32"))
    with pytest.raises(ConfigError, match="are of the detector butd; pixel has none"):
        get_detector("pixel", setting=DetectorSetting(proposals=40))
