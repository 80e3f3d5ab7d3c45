"""A report continues where it was stopped; other options measure again what they affect."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benched import QUICK, run_bench
from processes import Script

from benchmarks.bench import accuracy, latency, loading, sizes
from benchmarks.bench import run as bench


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which parts are measured, in order."""
    calls: list[str] = []
    for module, name in (
        (sizes, "sizes"),
        (accuracy, "answers_in_pytorch"),
        (accuracy, "answers_in_onnx"),
        (loading, "load_times"),
        (latency, "time_systems"),
    ):
        made = getattr(module, name)

        def noted(*given: Any, made: Any = made, name: str = name, **options: Any) -> Any:
            calls.append(name)
            return made(*given, **options)

        monkeypatch.setattr(module, name, noted)
    yield calls


# Kills itself when it is about to write the answers of the fourth system.
_KILLED = """
import os, signal, sys
from pathlib import Path
from lxcompress.cli.main import main
replace = Path.replace

def deadly(self, target):
    if Path(target).name == "answers-onnx-runtime-dense-fp16.json":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(self, target)

Path.replace = deadly
main()
"""


def test_continues_after_kill(
    run: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Script(_KILLED, "bench", run, *QUICK).finish()[0] == -signal.SIGKILL
    assert not (run / "bench" / "report.json").exists()
    monkeypatch.setattr(bench, "html", lambda _: "")  # takes a second, and is tested elsewhere
    time_systems = latency.time_systems

    def interrupted(systems: Any, batches: Any, **how: Any) -> Any:
        if len(batches[0]["input_ids"]) == 3:
            raise KeyboardInterrupt
        return time_systems(systems, batches, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "time_systems", interrupted)
        assert run_bench(patch, run, *QUICK) == 130
    # Sizes and the answers of the first three systems are kept; the fourth answers again.
    assert measured == ["answers_in_onnx"] * 5 + ["load_times", "time_systems"]
    measured.clear()
    assert run_bench(monkeypatch, run, *QUICK) == 0
    assert measured == ["time_systems"]
    measured.clear()
    (run / "bench" / "report.json").unlink()
    assert run_bench(monkeypatch, run, *QUICK) == 0
    assert (measured, (run / "bench" / "report.json").exists()) == ([], True)
    # Other options measure again what they affect, and --force everything.
    assert run_bench(monkeypatch, run, *QUICK, "--runs", 4) == 0
    assert measured == ["time_systems"] * 2
    measured.clear()
    assert run_bench(monkeypatch, run, *QUICK, "--force") == 0
    assert len(measured) == 1 + 8 + 1 + 2
    assert not list((run / "bench").rglob("*.tmp-*"))
