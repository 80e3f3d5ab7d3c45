"""Every exported file in onnxruntime-web: equal logits, and nothing left to decode in a run.

Skipped where Node.js or npm is missing, or the package cannot be installed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from compacted import structured_run
from exported import FILES, in_onnx, some_inputs

from benchmarks.browser.onnxruntime_web import Answers, install, run_files, versions
from exporters.encodings.registry import ENCODINGS
from exporters.export import export
from exporters.source import Source
from exporters.verify.answers import LOGIT_TOLERANCE
from lxcompress.errors import LxcompressError
from lxcompress.model.lxmert import read_config
from lxcompress.system.cache import writable_cache

DECODING = frozenset().union(*(encoding.OPERATORS for encoding in ENCODINGS))


@pytest.fixture(scope="module")
def installed() -> Path:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm")
    try:
        return install(writable_cache())
    except LxcompressError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def inputs(tiny_run: Path) -> dict[str, np.ndarray]:
    return some_inputs(read_config(tiny_run / "ticket"), 5, 9, 6)


@pytest.fixture(scope="module")
def answers(
    installed: Path, tiny_exported: Path, inputs: dict[str, np.ndarray]
) -> dict[str, Answers]:
    files = {name: tiny_exported / "onnx" / file for name, file in FILES.items()}
    return run_files(installed, files, inputs, profile=True)


@pytest.mark.parametrize("name", FILES)
def test_the_same_logits_as_natively(
    answers: dict[str, Answers], tiny_exported: Path, inputs: dict[str, np.ndarray], name: str
) -> None:
    found = answers[name].array
    expected = in_onnx(tiny_exported / "onnx" / FILES[name], inputs)
    assert found.shape == expected.shape and expected.std() > 0.1
    if name.endswith("fp32"):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    # Sums in another order are rounded otherwise, to the next float16 or int8.
    off = np.sqrt(np.square(found - expected).mean()) / expected.std(axis=1).mean()
    assert off < LOGIT_TOLERANCE[name.removeprefix("sparse-")]


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("sparse-")])
def test_a_run_decodes_nothing(answers: dict[str, Answers], name: str) -> None:
    """It computes nothing that a run of the dense file does not, which has nothing to decode."""
    found = answers[name].operators
    assert "LayerNormalization" in found and not DECODING & set(found)
    # In half precision, ONNX Runtime leaves some scalars of Gelu for each run to compute.
    if not name.endswith("fp16"):
        assert not Counter(found) - Counter(answers[name.removeprefix("sparse-")].operators)
        assert "SkipLayerNormalization" not in found


def test_a_ticket_with_fewer_heads_and_neurons(
    installed: Path, tiny_run: Path, tmp_path: Path, inputs: dict[str, np.ndarray]
) -> None:
    run = structured_run(tiny_run, tmp_path / "run")
    sparse = {name: file for name, file in FILES.items() if name.startswith("sparse-")}
    source = Source.of(run, None, None)
    export(source, source.variants(list(sparse)), "cpu")
    files = {name: run / "onnx" / file for name, file in sparse.items()}
    for name, answer in run_files(installed, files, inputs, profile=True).items():
        expected = in_onnx(files[name], inputs)
        off = np.sqrt(np.square(answer.array - expected).mean()) / expected.std(axis=1).mean()
        assert off < LOGIT_TOLERANCE[name.removeprefix("sparse-")]
        assert not DECODING & set(answer.operators)


def test_runs_are_timed_in_turn(
    installed: Path, tiny_exported: Path, inputs: dict[str, np.ndarray]
) -> None:
    files = {name: tiny_exported / "onnx" / FILES[name] for name in ("int8", "sparse-int8")}
    for answer in run_files(installed, files, inputs, rounds=3).values():
        assert len(answer.seconds) == 3 and min(answer.seconds) > 0 < answer.load_seconds
        assert not answer.operators


def test_a_file_that_is_none(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(LxcompressError, match="node sessions.mjs failed") as caught:
        run_files(installed, {"one": tmp_path / "model.onnx"}, {})
    assert "\n" not in str(caught.value)


def test_the_installed_version(installed: Path) -> None:
    found = versions(installed)
    assert found["onnxruntime-web"] == "1.30.0" and found["node"].split(".")[0].isdigit()
    assert install(installed.parent) == installed  # not again


def test_without_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LxcompressError, match="npm cannot be run: No such file or directory"):
        install(tmp_path)
    assert not list(tmp_path.iterdir())
