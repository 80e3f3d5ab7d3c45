"""torch.compile: whether it works is known before anything is measured."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure.compilation import compile_for
from lxcompress.errors import DeviceError

BATCHES = [{"input_ids": np.zeros((1, 2), np.int64)}] * 3


def test_no_compiler(tmp_path: Path) -> None:
    """PyTorch really searches for one; its message is reported."""
    program = "from benchmarks.measure.compilation import check_compiler; check_compiler('cpu')"
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "CXX": str(tmp_path / "none")}
    child = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | cache, capture_output=True, text=True
    )
    last = child.stderr.splitlines()[-1]
    assert child.returncode == 1
    assert "--compile: torch.compile finds no C++ compiler that works" in last
    assert "--no-compile" in last


def test_compiling_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    called: list[object] = []

    def forward(inputs: dict[str, np.ndarray]) -> np.ndarray:
        called.append(inputs)
        return inputs["input_ids"]

    compile_for(BATCHES, {"dense fp32": forward})
    assert len(called) == 3
    assert "compiling 1 models; each can take minutes" in capsys.readouterr().err


def test_a_model_that_cannot_be_compiled() -> None:
    def fails(_: object) -> np.ndarray:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    with pytest.raises(DeviceError, match="no C\\+\\+ compiler that works"):
        compile_for(BATCHES, {"dense fp32": fails})
