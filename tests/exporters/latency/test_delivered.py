"""The speedup that is measured after an export."""

from pathlib import Path
from typing import Any

import pytest
from call import Call

from exporters.latency import delivered
from exporters.latency.delivered import measure_speedup
from exporters.records import ExportReport
from exporters.source import Source
from lxcompress.run import Run
from lxcompress.system.files import read_json, write_json

SPEEDUP = {
    "target": 1.5,
    "predicted": 1.6,
    "precision": "int8",
    "batch": 2,
    "tokens": 9,
    "regions": 4,
    "machine": {"threads": 1},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivered, "_ROUNDS", 4)
    monkeypatch.setattr(delivered, "_SECONDS", 0.0)


@pytest.fixture
def requested(exported: Path) -> Path:
    """A run that was made for a speedup, with its files."""
    result: dict[str, Any] = read_json(exported / "result.json", "result")
    result["ticket"]["speedup"] = SPEEDUP
    write_json(exported / "result.json", result)
    return exported


def test_both_files_answer_the_same_batches_in_turn(
    requested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source.of(requested, None, None)
    report = ExportReport.read(requested / "onnx")
    threads, stock_session = list[dict[str, Any]](), delivered.stock_session

    def session(path: Path, **how: Any) -> Any:
        threads.append(how)
        return stock_session(path, **how)

    monkeypatch.setattr(delivered, "stock_session", session)
    found = measure_speedup(source, report)
    assert found is not None
    assert threads == [{"threads": 1}] * 2  # those that the latencies were measured with
    assert found.rounds == 4 and found.batch == 2
    assert (found.target, found.predicted) == (1.5, 1.6)
    assert found.files.keys() == {"model_int8.onnx", "model_sparse_int8.onnx"}
    assert found.measured > 0 < found.dense_seconds
    # Not again, as long as the files are the same.
    measured = report.model_copy(update={"speedup": found})
    monkeypatch.setattr(delivered, "time_in_rounds", None)
    assert measure_speedup(source, measured) is found


def test_without_a_target_or_without_the_files_nothing_is_measured(
    exported: Path, requested: Path
) -> None:
    report = ExportReport.read(requested / "onnx")
    (requested / "onnx" / "model_int8.onnx").unlink()
    assert measure_speedup(Source.of(requested, None, None), report) is None
    assert measure_speedup(Source.of(requested / "ticket", None, None), report) is None
    assert not Run(exported).read_config().speedup


def test_export_says_what_was_delivered(requested: Path, call: Call) -> None:
    code, out, error = call("export", requested)
    assert code == 0, error
    assert "times as fast as the dense file (int8, batch 2); target 1.5, predicted 1.60" in out
    assert ExportReport.read(requested / "onnx").speedup is not None


def test_the_card_of_a_speedup(requested: Path, call: Call, tmp_path: Path) -> None:
    result: dict[str, Any] = read_json(requested / "result.json", "result")
    for settings in (result["config"], config := read_json(requested / "config.json", "config")):
        settings |= {"sparsity": None, "speedup": 1.5, "pattern": "structured"}
        settings |= {"speedup-precision": "int8", "speedup-batch": 2}
    result["dense_control"] = {**result["dense"], "epochs": 4}
    write_json(requested / "result.json", result)
    write_json(requested / "config.json", config)
    code, _, error = call("export", requested, "--hub", tmp_path / "hub")
    assert code == 0, error
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "| accuracy % | dense | control | ticket |" in card
    assert "trained for 4 epochs in all" in card
    assert "--speedup 1.5" in card and "--sparsity" not in card
