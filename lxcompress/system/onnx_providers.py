"""Which execution providers ONNX Runtime can really use, found out by trying."""

from __future__ import annotations

import contextlib
import ctypes
import io
from pathlib import Path

from onnx import TensorProto, helper


def why_unusable(provider: str) -> str | None:
    """None when ONNX Runtime opens a session on `provider`, else why not, in words.

    `get_available_providers()` lists those it was built with; whether CUDA's libraries are there
    shows only when a session is made.
    """
    import onnxruntime  # `lxcompress doctor` tells of one that cannot be loaded

    if provider not in onnxruntime.get_available_providers():
        return f"this ONNX Runtime is built without {provider}"
    if provider == "CUDAExecutionProvider" and hasattr(onnxruntime, "preload_dlls"):
        # Those that PyTorch or NVIDIA's packages brought along. What it cannot find it prints.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    # Its complaint about a provider goes to standard error from C++; the caller says it itself.
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            _tiny_model(), options, providers=[provider], enable_fallback=0
        )
    except Exception as problem:  # ONNX Runtime's own classes have no base of their own
        return str(problem).strip().partition("\n")[0]
    if provider in session.get_providers():
        return None
    return _missing_library(Path(onnxruntime.__file__).parent / "capi", provider)


def _missing_library(folder: Path, provider: str) -> str:
    """Why a provider's library does not load, in the words of the system's linker."""
    name = provider.removesuffix("ExecutionProvider").lower()
    for library in folder.glob(f"*onnxruntime_providers_{name}.*"):
        try:
            ctypes.CDLL(str(library))
        except OSError as problem:
            return str(problem)
    return "no usable GPU or driver"


def _tiny_model() -> bytes:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    node = helper.make_node("Add", ["x", "x"], ["y"])
    graph = helper.make_graph([node], "tiny", value[:1], value[1:])
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
