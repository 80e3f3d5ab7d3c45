from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def tiny_ticket(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ticket of 50% sparsity; do not write to it."""
    from packed import make_ticket

    return make_ticket(tiny_model, tmp_path_factory.mktemp("tiny") / "ticket")


@pytest.fixture(scope="module")
def tiny_packed(tiny_ticket: Path) -> Path:
    """That ticket, packed; do not write to it."""
    from exporters.packing.pack import pack

    pack(tiny_ticket, tiny_ticket.parent / "packed")
    return tiny_ticket.parent / "packed"


@pytest.fixture
def ticket(tiny_ticket: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_ticket, tmp_path / "ticket"))


@pytest.fixture
def packed(tiny_packed: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_packed, tmp_path / "packed"))
