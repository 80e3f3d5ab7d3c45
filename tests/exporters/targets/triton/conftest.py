"""Model repositories of the tiny run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def repository(tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository of all three sparse variants; do not write to it."""
    from triton_server import VARIANTS, write_models

    folder = tmp_path_factory.mktemp("triton") / "models"
    write_models(tiny_exported, folder, *VARIANTS)
    return folder


@pytest.fixture
def run(tiny_exported: Path, tmp_path: Path) -> Path:
    """An exported run that a test may change."""
    return Path(shutil.copytree(tiny_exported, tmp_path / "run"))
