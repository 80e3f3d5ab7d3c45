"""Exported runs and their reports."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from benched import benched_copy


@pytest.fixture
def run(tiny_exported: Path, tmp_path: Path) -> Path:
    """An exported run that the test may change."""
    return Path(shutil.copytree(tiny_exported, tmp_path / "run"))


@pytest.fixture(scope="session")
def benched(tiny_exported: Path) -> Path:
    """A run with its report; tests only read it."""
    return benched_copy(tiny_exported)


@pytest.fixture(scope="session")
def figures(benched: Path) -> dict[str, Any]:
    """The content of a report.json; tests only read it."""
    return json.loads((benched / "bench" / "report.json").read_text())
