"""The speed benchmarks run and say what they measured; nothing here is timed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.readme import full_size, onnx_files, pruning_speed, training_step


def report(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    assert found["environment"]["versions"]["torch"] == torch.__version__
    assert found["environment"]["processor"]
    assert found["unit"]
    assert all(row.keys() == {"what", "text"} for row in found["rows"])
    return found


def check_seconds(record: dict[str, Any], count: int) -> None:
    assert record["unit"] == "seconds"
    assert len(record["samples"]) == count
    assert min(record["samples"]) <= record["median"] <= max(record["samples"])


def test_pruning_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pruning_speed.main(["--small", "--output", str(tmp_path / "report.json")])
    found = report(tmp_path / "report.json")
    assert found["command"] == "python -m benchmarks.readme.pruning_speed --small"
    measured = found["measurements"]
    threshold = measured["threshold"]
    check_seconds(threshold["lxcompress"]["seconds"], 3)
    check_seconds(threshold["torch"]["seconds"], 1)
    assert threshold["times_faster"] > 0
    assert threshold["pruned"] == round(0.5 * threshold["prunable"])
    assert threshold["weights_chosen_differently"] < 10
    assert threshold["torch"]["peak_bytes_above_model"]["unit"] == "bytes"
    assert measured["subnetworks"].keys() == {"low", "high", "random"}
    assert measured["training_step"]["seconds"].keys() == {
        *("step", "forward", "backward", "mask", "clip", "optimizer")
    }
    assert 0 < measured["training_step"]["mask_share"] < 1
    assert measured["ticket"]["pruned"] == threshold["pruned"]
    assert {"model.safetensors", "mask.safetensors"} <= measured["ticket"]["file_bytes"].keys()
    assert "benchmarks.readme.pruning_speed" in capsys.readouterr().out


def test_training_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training_step.main(["--small", "--output", str(tmp_path / "report.json")])
    measured = report(tmp_path / "report.json")["measurements"]
    for arm in ("lxcompress", "stock"):
        assert measured[arm].keys() == {"step", "forward", "backward", "clip", "optimizer"}
        check_seconds(measured[arm]["step"], 6)
    assert max(measured["tokens"]["lxcompress"]) <= 20
    assert "benchmarks.readme.training_step" in capsys.readouterr().out


def test_both_paddings_hold_the_same_questions() -> None:
    config = full_size.new_model(small=True).config
    short, full = full_size.batches(config, 32), full_size.batches(config, 32, padded_to=20)
    words = []
    for _ in range(20):
        first, second = next(short), next(full)
        width = first["input_ids"].shape[1]
        assert torch.equal(first["input_ids"], second["input_ids"][:, :width])
        assert not second["attention_mask"][:, width:].any()
        assert torch.equal(first["visual_feats"], second["visual_feats"])
        words += (first["attention_mask"].sum(dim=1) - 3).tolist()
    assert sum(words) / len(words) == pytest.approx(6.2, abs=0.25)


def test_onnx_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--small", "--repeats", "1", "--runs", "2", "--seconds", "0"]
    onnx_files.main([*quick, "--output", str(tmp_path / "report.json")])
    measured = report(tmp_path / "report.json")["measurements"]
    sparse = [name for name in measured["files"] if "sparse" in name]
    assert len(measured["files"]) == 6 and len(sparse) == 3
    for name, record in measured["files"].items():
        assert record["bytes"] > record["formula"]["total"], name
    for name in sparse:
        assert measured["files"][name]["pruned"] * 2 == pytest.approx(
            measured["files"][name]["prunable"], abs=1
        )
        for loader in ("stock", "runtime"):
            assert measured["answers"][f"{loader} {name}"]["bit_equal_to_dense_file"]
            assert measured["loading"][f"{loader} {name}"]["peak_bytes"]["unit"] == "bytes"
    assert measured["latency"].keys() == {"1", "8"}
    for systems in measured["latency"].values():
        assert len(systems) == 10
        assert all(len(record["samples"]) == 2 for record in systems.values())
    assert "model_sparse_int8.onnx" in capsys.readouterr().out
