"""Sessions run on the requested device or not at all, and decode weights when they load."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from exported import FILES
from onnx import ModelProto, TensorProto, helper, numpy_helper
from verified import MATRIX, altered

from exporters.runtime import OnnxVqaModel, session
from exporters.runtime.session import check_device, folded_session, stock_session
from lxcompress.errors import DeviceError, ModelError
from lxcompress.system.machine.onnx_providers import why_unusable


def file_of(run: Path, name: str) -> Path:
    return run / "onnx" / FILES[name]


# -- Devices ----------------------------------------------------------------------------------

CUDA = why_unusable("CUDAExecutionProvider")


def test_an_unknown_device(tiny_exported: Path) -> None:
    for use in (
        lambda: check_device("tpu"),
        lambda: OnnxVqaModel(file_of(tiny_exported, "fp32"), "tpu"),
        lambda: stock_session(file_of(tiny_exported, "fp32"), "auto"),
    ):
        with pytest.raises(DeviceError, match="^--device (tpu|auto): ONNX files run on cpu or"):
            use()


@pytest.mark.skipif(CUDA is None, reason="ONNX Runtime can use CUDA here")
def test_cuda_that_is_unavailable(
    tiny_exported: Path, capfd: pytest.CaptureFixture[str], temporary: Path
) -> None:
    """There is no fallback to another device, and the message gives the reason."""
    for use in (
        lambda: check_device("cuda"),
        lambda: OnnxVqaModel(file_of(tiny_exported, "int8"), "cuda"),
        lambda: stock_session(file_of(tiny_exported, "int8"), "cuda"),
    ):
        with pytest.raises(DeviceError) as caught:
            use()
        message = str(caught.value)
        assert message.startswith("--device cuda: ONNX Runtime cannot use it here: ")
        assert message.endswith("; see `lxcompress doctor`") and "\n" not in message
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            assert "lib" in message or "no usable GPU or driver" in message
        else:
            assert "built without CUDAExecutionProvider" in message
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not list(temporary.iterdir())


def test_a_session_that_falls_back_is_rejected(
    tiny_exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime uses another provider when it cannot create the requested one."""
    monkeypatch.setitem(session.PROVIDERS, "cuda", "CUDAExecutionProvider")
    monkeypatch.setattr(session, "why_unusable", lambda provider: None)

    class Fallen:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            pass

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallen)
    with pytest.raises(DeviceError, match="fell back to .'CPUExecutionProvider'"):
        OnnxVqaModel(file_of(tiny_exported, "fp32"), "cuda")


# -- Decoding while loading -------------------------------------------------------------------


def decode_in_each_run(model: ModelProto) -> None:
    """Make the bits of a weight depend on an input, as far as ONNX Runtime can tell."""
    node, graph = helper.make_node, model.graph
    shared = numpy_helper.from_array(np.zeros(1, np.int64), "graph.zero")
    graph.initializer.append(shared)
    nodes = [
        node("Shape", ["input_ids"], ["s"]),
        node("Gather", ["s", "graph.zero"], ["one"]),
        node("Mul", ["one", "graph.zero"], ["none"]),
        node("Cast", ["none"], ["byte"], to=TensorProto.UINT8),
        node("BitwiseOr", [f"{MATRIX}.mask", "byte"], ["bits"]),
    ]
    (call,) = [each for each in graph.node if each.output[0] == MATRIX]
    call.input[0] = "bits"
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def test_weights_are_decoded_once(tiny_exported: Path, tmp_path: Path) -> None:
    for name in FILES:
        folded_session(file_of(tiny_exported, name), "cpu")
    file = altered(file_of(tiny_exported, "sparse-fp32"), tmp_path, decode_in_each_run)
    with pytest.raises(ModelError, match=r"does not decode model_sparse.onnx while it loads") as it:
        folded_session(file.path, "cpu")
    assert "NonZero, ScatterElements remain" in str(it.value)


def test_the_optimised_model_is_deleted(
    tiny_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folded_session(file_of(tiny_exported, "sparse-int8"), "cpu")
    assert not list(tmp_path.iterdir())
