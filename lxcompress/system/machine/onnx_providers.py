"""Which execution providers ONNX Runtime can really use, found by opening a session on each."""

from __future__ import annotations

import contextlib
import ctypes
import io
from pathlib import Path

from onnx import TensorProto, helper

from lxcompress.system.text import first_line


def why_unusable(provider: str) -> str | None:
    """Return None when ONNX Runtime opens a session on `provider`, otherwise the reason why not.

    `get_available_providers()` lists those it was built with; whether CUDA's libraries are there
    shows only when a session is made.
    """
    import onnxruntime  # `lxcompress doctor` reports one that cannot be loaded

    if provider not in onnxruntime.get_available_providers():
        return f"this ONNX Runtime is built without {provider}"
    if provider == "CUDAExecutionProvider" and hasattr(onnxruntime, "preload_dlls"):
        # Libraries from PyTorch's or NVIDIA's packages. It prints what it cannot find.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    # ONNX Runtime writes its reason to standard error from C++; the caller reports it instead.
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            _tiny_model(), options, providers=[provider], enable_fallback=0
        )
    except Exception as problem:  # ONNX Runtime's exceptions have no common base class
        return first_line(problem)
    if provider in session.get_providers():
        return None
    return _missing_library(Path(onnxruntime.__file__).parent / "capi", provider)


def _missing_library(folder: Path, provider: str) -> str:
    """Return the dynamic linker's message on why a provider's library does not load."""
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
