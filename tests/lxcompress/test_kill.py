"""`kill -9` at the worst moments; the same command again ends equal to the bit."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from processes import Script, assert_same_file, wait_for

# The command, with a checkpoint after every step, once for each moment, in a process of its own.
# At its moment that process kills itself, just before or after the n-th time that it puts an
# artefact of that name in its place.
_COMMAND = """
import os, signal, sys
from deadly import die_at
from lxcompress.training import checkpoint
from lxcompress.cli.main import main

checkpoint._CHECKPOINT_SECONDS, checkpoint._CHECKPOINT_SHARE = 0, float("inf")

moments = sys.argv.pop(1)
for moment in filter(None, moments.split(",")):
    child = os.fork()
    if not child:
        die_at(moment)
        break
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        sys.exit(f"not killed {moment}")
main()
"""
# As in the background of a shell without job control.
_IGNORE_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

MOMENTS = (
    "before 1 theta0",  # θ0 is written but not in its place
    "after 7 dense.checkpoint.safetensors",
    "before 9 dense.checkpoint.safetensors",
    "before 1 dense",  # trained, and all but saved
    "after 1 pruned-0.1.json",
    "before 5 ticket.checkpoint.safetensors",
    "before 1 ticket",
    "before 1 result.json",
    "after 1 result.json",  # finished, and not yet tidied up
)
FILES = (
    "theta0/model.safetensors",
    "dense/model.safetensors",
    "ticket/model.safetensors",
    "ticket/mask.safetensors",
    "logs/dense.jsonl",
    "logs/ticket.jsonl",
)


def start(
    output: Path,
    model: Path,
    data: Path,
    *moments: str,
    before: str = "",
    more: Sequence[str] = (),
) -> Script:
    options = ["--data", data, "--model", model, "--sparsity", "0.2", "--epochs", "1"]
    options += ["--batch-size", "16", "--learning-rate", "1e-3", "--device", "cpu"]
    command = [",".join(moments), "prune", "--output", output, *options, *more]
    return Script(before + _COMMAND, *command)


@pytest.fixture(scope="module")
def expected(tiny_model: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "run"
    code, text = start(output, tiny_model, tiny_data).finish()
    assert code == 0, text
    return output


def assert_same(run: Path, expected: Path) -> None:
    for name in FILES:
        assert_same_file(run / name, expected / name)
    results = [json.loads((folder / "result.json").read_text()) for folder in (run, expected)]
    for result in results:
        del result["environment"]
    assert results[0] == results[1]
    names = {path.name for path in run.iterdir()}
    assert names == {path.name for path in expected.iterdir()}


def test_killed_at_every_artefact(
    expected: Path, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    code, text = start(output, tiny_model, tiny_data, *MOMENTS).finish()
    assert code == 0, text
    assert "already finished" in text
    assert_same(output, expected)


STRUCTURED_MOMENTS = (
    "before 1 pruned-0.1.json",  # heads and neurons are scored
    "after 1 pruned-0.1-sparsity.json",
    "before 3 ticket.checkpoint.safetensors",  # the compact network is trained
    "before 3 control-1.checkpoint.safetensors",
    "before 1 control-1",  # the control is trained, and all but saved
    "before 1 control-1.json",  # its predictions
    "after 2 control-1.json",  # its accuracy
)


def test_a_structured_run_killed_at_its_own_artefacts(
    tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    more = ("--pattern", "structured")
    whole, output = tmp_path / "whole", tmp_path / "run"
    code, text = start(whole, tiny_model, tiny_data, more=more).finish()
    assert code == 0, text
    code, text = start(output, tiny_model, tiny_data, *STRUCTURED_MOMENTS, more=more).finish()
    assert code == 0, text
    assert_same(output, whole)


def test_killed_and_interrupted_from_outside(
    expected: Path, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    process = start(output, tiny_model, tiny_data)
    wait_for(output / "work" / "dense.checkpoint.safetensors", process)
    process.kill()
    assert process.finish()[0] == -signal.SIGKILL
    process = start(output, tiny_model, tiny_data)
    wait_for(output / "work" / "ticket.checkpoint.safetensors", process)
    os.kill(process.pid, signal.SIGINT)
    code, text = process.finish()
    assert code == 130, text
    assert f"lxcompress prune --resume {output}" in text and "Traceback" not in text
    code, text = start(output, tiny_model, tiny_data).finish()
    assert code == 0, text
    assert_same(output, expected)


def test_in_the_background_only_sigterm_stops(
    expected: Path, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    process = start(output, tiny_model, tiny_data, before=_IGNORE_SIGINT)
    wait_for(output / "work" / "dense.checkpoint.safetensors", process)
    os.kill(process.pid, signal.SIGINT)
    wait_for(output / "work" / "ticket.checkpoint.safetensors", process)
    os.kill(process.pid, signal.SIGTERM)
    code, text = process.finish()
    assert code == 130, text
    assert f"lxcompress prune --resume {output}" in text and "Traceback" not in text
    code, text = start(output, tiny_model, tiny_data).finish()
    assert code == 0, text
    assert_same(output, expected)
