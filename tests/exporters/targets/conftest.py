"""A run with ONNX files of its ticket, and its model repository for the Hub."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lxcompress.data.dataset import Dataset
    from lxcompress.run import Run

VARIANTS = ["fp32", "sparse-fp32", "sparse-int8"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any use of the network fails the test."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"network: {arguments}")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def finished(
    tiny_model: Path, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run with two files of its ticket and one of the dense model; do not write to it."""
    from tiny import run_lottery, settings

    from exporters.export import export
    from exporters.source import Source

    folder = tmp_path_factory.mktemp("hub") / "run"
    run_lottery(folder, tiny_dataset, settings(tiny_model, tiny_dataset.folder, sparsity=0.3))
    source = Source.of(folder, None, None)
    export(source, source.variants(VARIANTS), "cpu")
    return folder


@pytest.fixture(scope="session")
def folder(finished: Path) -> Path:
    """Its model repository; do not write to it."""
    from exporters.records import ExportReport
    from exporters.source import Source
    from exporters.targets.hub import write_hub_folder

    source = Source.of(finished, None, None)
    write_hub_folder(source, ExportReport.read(source.onnx), finished.parent / "My ticket")
    return finished.parent / "My ticket"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    """A copy of the run that a test may change."""
    from lxcompress.run import Run

    return Run(Path(shutil.copytree(finished, tmp_path / "run")))
