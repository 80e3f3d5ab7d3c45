"""Runs and options that cannot be measured: one line, exit code 2, nothing written or lost."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benched import QUICK, error_of
from safetensors.numpy import save_file

from benchmarks.bench import latency


def damage_export(run: Path, name: str, key: str, value: object) -> None:
    path = run / "onnx" / "export.json"
    report = json.loads(path.read_text())
    report["files"][name]["made_of"][key] = value
    path.write_text(json.dumps(report))


def remove_records(run: Path, *names: str) -> None:
    path = run / "onnx" / "export.json"
    report = json.loads(path.read_text())
    report["files"] = {name: it for name, it in report["files"].items() if name not in names}
    path.write_text(json.dumps(report))


def test_without_exports(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    shutil.rmtree(run / "onnx")
    text = error_of(monkeypatch, capsys, run)
    assert text == f"{run} has no exported files; `lxcompress export {run}` makes them"
    assert not (run / "bench").exists()


@pytest.mark.parametrize("content", ["[]", "{}", '{"files": 3}', '{"files": '])
def test_a_damaged_export_report(
    run: Path, content: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (run / "onnx" / "export.json").write_text(content)
    text = error_of(monkeypatch, capsys, run)
    assert str(run / "onnx" / "export.json") in text
    assert not (run / "bench").exists()


def test_exports_that_do_not_fit(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Each mistake is added to the last; the message names the one that is checked first."""
    before = sorted(run.iterdir())
    damage_export(run, "model_sparse_int8.onnx", "data", "elsewhere")
    text = error_of(monkeypatch, capsys, run)
    assert "model_sparse_int8.onnx was exported with other data than" in text
    assert f"`lxcompress export {run} --variant sparse-int8`" in text
    tensors = {"a": np.zeros(3, np.float32)}
    save_file(tensors, run / "ticket" / "extra.safetensors")
    text = error_of(monkeypatch, capsys, run)
    assert "model_sparse.onnx was exported with other models than the run's" in text
    with open(run / "onnx" / "model_fp16.onnx", "ab") as file:
        file.write(b"x")
    assert "model_fp16.onnx is not the file that was" in error_of(monkeypatch, capsys, run)
    (run / "onnx" / "model.onnx").unlink()
    assert "model.onnx does not exist any more" in error_of(monkeypatch, capsys, run)
    result = run / "result.json"
    content = json.loads(result.read_text())
    content["dataset"]["fingerprint"] = "0" * 64
    result.write_text(json.dumps(content))
    assert "are not those that the run in" in error_of(monkeypatch, capsys, run)
    remove_records(run, "model_int8.onnx")
    text = error_of(monkeypatch, capsys, run)
    assert "has no exported int8 to compare with" in text
    assert f"`lxcompress export {run} --variant int8`" in text
    remove_records(run, *(f"model_sparse{kind}.onnx" for kind in ("", "_fp16", "_int8")))
    assert "no exported sparse-fp32, sparse-fp16" in error_of(monkeypatch, capsys, run)
    assert sorted(run.iterdir()) == before


def test_options(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    found = error_of(monkeypatch, capsys, run, "--device", "cuda")
    assert "--device cuda" in found and "doctor" in found
    assert "choose cpu, cuda" in error_of(monkeypatch, capsys, run, "--device", "tpu")
    text = error_of(monkeypatch, capsys, run, "--batch-size", 121)
    assert text == "--batch-size 121: the data have only 120 questions"
    (tmp_path / "file").write_text("mine")
    assert "is a file" in error_of(monkeypatch, capsys, run, "--output", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    text = error_of(monkeypatch, capsys, run, "--data", "shapes")
    assert text == "a run has its own data and settings; leave out --data"
    assert not (run / "bench").exists()


def test_an_error_loses_no_report(
    benched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = Path(shutil.copytree(benched, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in (run / "bench").glob("report.*")}
    assert len(before) == 3

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(latency, "time_systems", broken)
    assert "No space left" in error_of(monkeypatch, capsys, run, *QUICK, "--runs", 4)
    after = {path.name: path.read_bytes() for path in (run / "bench").glob("report.*")}
    assert after == before


def test_torch_compile_that_does_not_work(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def unable(*_: object, **__: object) -> None:
        raise RuntimeError("Triton is too old\nSet TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", unable)
    text = error_of(monkeypatch, capsys, run, "--compile")
    assert text == (
        "--compile: torch.compile does not work here (Triton is too old); use --no-compile"
    )
    assert not (run / "bench").exists()
