"""result.json: every field is read back as written, and nothing else is accepted."""

import json
from pathlib import Path
from typing import Any

import pytest

from lxcompress.errors import RunError
from lxcompress.result import RunResult


@pytest.fixture
def content(tiny_exported: Path) -> Any:
    return json.loads((tiny_exported / "result.json").read_text())


def test_a_result_is_read_and_written_unchanged(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    RunResult.read(path).write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == content
    steps = RunResult.read(path).pruning_steps
    assert [step.sparsity for step in steps] == [s["sparsity"] for s in content["pruning_steps"]]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda content: content.pop("ticket"), "ticket"),
        (lambda content: content["ticket"].pop("sparsity"), "ticket.sparsity"),
        (lambda content: content["weights"].update(pruned="many"), "weights.pruned"),
        (lambda content: content.update(surplus=1), "surplus"),
    ],
)
def test_a_damaged_result_names_the_field(
    content: Any, tmp_path: Path, change: Any, where: str
) -> None:
    change(content)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"{path} is damaged at {where}: "):
        RunResult.read(path)


def test_a_result_that_is_missing_or_a_list(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="result not found"):
        RunResult.read(tmp_path / "result.json")
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(RunError, match="is damaged"):
        RunResult.read(tmp_path / "result.json")
