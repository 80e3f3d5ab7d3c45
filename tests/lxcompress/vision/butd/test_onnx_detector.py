"""Files that are no detector; `tests/exporters/detector` compares the values of one."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from lxcompress.errors import ConfigError, ModelError
from lxcompress.vision.butd.onnx_detector import METADATA, OUTPUTS, OnnxBottomUpDetector
from lxcompress.vision.butd.setting import DetectorSetting
from lxcompress.vision.detectors import get_detector


def write(path: Path, outputs: tuple[str, ...], metadata: dict[str, str]) -> Path:
    """A model that copies its input to each output."""
    nodes = [helper.make_node("Identity", ["picture"], [name]) for name in outputs]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
        for name in ("picture", *outputs)
    ]
    graph = helper.make_graph(nodes, "copy", values[:1], values[1:])
    opset = [helper.make_opsetid("", 21)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("outputs", "metadata"),
    [
        (("logits",), {}),
        (("logits",), {METADATA: "{}"}),
        (OUTPUTS, {}),
        (OUTPUTS, {METADATA: "[1"}),
        (OUTPUTS, {METADATA: "3"}),
        (OUTPUTS, {METADATA: '{"feature_size": 2048}'}),
    ],
)
def test_other_models(outputs: tuple[str, ...], metadata: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "other.onnx", outputs, metadata)
    with pytest.raises(ModelError, match="other.onnx is not a detector of `lxcompress export"):
        OnnxBottomUpDetector(path)


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
