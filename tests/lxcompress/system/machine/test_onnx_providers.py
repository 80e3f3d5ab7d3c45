"""Which providers ONNX Runtime can use: found out by trying, and told in words, not on stderr."""

import os
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from lxcompress.cli.doctor.checks import usable_providers
from lxcompress.system.machine import onnx_providers
from lxcompress.system.machine.onnx_providers import why_unusable


def test_the_processor_is_always_there() -> None:
    assert why_unusable("CPUExecutionProvider") is None


def test_one_that_this_build_lacks(capfd: pytest.CaptureFixture[str]) -> None:
    why = why_unusable("NoSuchExecutionProvider")
    assert why == "this ONNX Runtime is built without NoSuchExecutionProvider"
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_cuda_is_tried_and_not_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    """`get_available_providers` lists it on every machine where it was built in."""
    why = why_unusable("CUDAExecutionProvider")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert why == "this ONNX Runtime is built without CUDAExecutionProvider"
    elif not Path("/dev/nvidiactl").exists() and os.name == "posix":
        assert why is not None
        assert re.match(r"lib\w+\.so|no usable GPU or driver", why) and "\n" not in why


class Opened:
    """A session that came up with the processor alone."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.fixture
def silent_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An ONNX Runtime whose CUDA provider does not come up; its folder of libraries."""
    name = "CUDAExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Opened)
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "capi").mkdir()
    return tmp_path / "capi"


def test_a_library_that_is_broken_is_named(silent_cuda: Path) -> None:
    library = silent_cuda / "libonnxruntime_providers_cuda.so"
    library.write_bytes(b"\x7fELF and no more")
    (silent_cuda / "libonnxruntime_providers_tensorrt.so").write_bytes(b"not this one")
    why = why_unusable("CUDAExecutionProvider")
    assert why is not None and str(library) in why


def test_all_libraries_are_there_but_no_gpu(silent_cuda: Path) -> None:
    assert why_unusable("CUDAExecutionProvider") == "no usable GPU or driver"


def test_the_session_that_is_tried_can_be_run() -> None:
    session = onnxruntime.InferenceSession(
        onnx_providers._tiny_model(), providers=["CPUExecutionProvider"]
    )
    assert session.run(None, {"x": [1.5]})[0].tolist() == [3.0]


def test_doctor_tells_of_an_onnx_runtime_that_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    problems: list[str] = []
    assert usable_providers(problems, []) == []
    assert len(problems) == 1 and problems[0].startswith("ONNX Runtime cannot be loaded: ")


def test_onnx_runtime_tells_nobody_of_its_use(tmp_path: Path) -> None:
    """Its telemetry begins with a session file in the temporary folder, at import."""
    environment = {name: value for name, value in os.environ.items() if "ORT_" not in name}
    for module in (
        "exporters.runtime.vqa_model",
        "lxcompress.system.machine.onnx_providers",
        "benchmarks.measure.loading",
    ):
        program = f"import {module}, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.stdout == "1\n", done.stderr
    assert not list(tmp_path.rglob("*.ses"))
