"""Exported runs and their reports."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from benched import QUICK, benched_copy, run_bench

from exporters import export
from exporters.source import Source


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


@pytest.fixture(scope="session")
def benched_model(tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, exported without data, with its report; tests only read it.

    It is the dense model of a run, whose graph is traced already.
    """
    dense = tiny_exported / "dense"
    folder = Path(shutil.copytree(dense, tmp_path_factory.mktemp("model") / "plain"))
    source = Source.of(folder, None, None)
    export.export(source, source.variants([]), "cpu")
    with pytest.MonkeyPatch.context() as patch:
        assert run_bench(patch, folder, *QUICK) == 0
    return folder


@pytest.fixture(scope="session")
def model_figures(benched_model: Path) -> dict[str, Any]:
    """The content of a model's report.json; tests only read it."""
    return json.loads((benched_model / "bench" / "report.json").read_text())
