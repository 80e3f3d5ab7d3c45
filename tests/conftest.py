"""What many tests share: a tiny dataset, a tiny pre-trained LXMERT, and no way to the outside."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from call import Call
from traced import FOLDER, share_traces

# Before anything imports torch or transformers: these are read once, and by child processes too.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # tiny tensors; results must not depend on the machine's cores
os.environ["CUDA_VISIBLE_DEVICES"] = ""

if TYPE_CHECKING:
    from exports import Command

    from lxcompress.data.dataset import Dataset


def pytest_configure(config: pytest.Config) -> None:
    """Let all processes of this test run share what was traced."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="lxcompress-tests-")
        os.environ[FOLDER] = folder.name  # workers inherit it
        config.add_cleanup(folder.cleanup)
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        share_traces()  # imports PyTorch; a process that only starts workers does without


_FIRST = (  # files of long tests: at the end they would leave one process without work
    "sweep/launchers/test_ray_cluster.py",
    "test_malformed_inputs.py",
    "sweep/test_run.py",
    "sweep/launchers/test_local_processes.py",
    "lxcompress/test_kill.py",
    "exporters/test_export.py",
    "exporters/test_compact_export.py",
    "lxcompress/test_full_size.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; a file stays in one process."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((n for n, name in enumerate(_FIRST) if path.endswith(name)), len(_FIRST))

    items.sort(key=rank)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run `lxcompress` in this process, as its script does: exit code, output, errors."""
    from lxcompress.cli.main import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["lxcompress", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def command(call: Call) -> Command:
    """Run `lxcompress` in this process, as an `Outcome`."""
    from exports import Outcome

    return lambda *arguments: Outcome(*call(*arguments))


@pytest.fixture(scope="session", autouse=True)
def sigint() -> Iterator[None]:
    """Give SIGINT its usual meaning, here and in child processes, however the tests were started.

    A shell without job control starts processes in the background with SIGINT ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that a test makes lands in the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["LXCOMPRESS_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ShapesVQA of 320 training, 120 validation and 24 test questions, with its regions."""
    from lxcompress.data.dataset import open_dataset
    from lxcompress.data.dataset_config import SPLITS
    from lxcompress.data.shapes.dataset import make_shapes

    folder = tmp_path_factory.mktemp("data") / "tiny"
    make_shapes(folder, train_images=40, val_images=15, test_images=3)
    open_dataset(folder).prepare_regions(*SPLITS)
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tiny_data: Path) -> Dataset:
    from lxcompress.data.dataset import open_dataset

    return open_dataset(tiny_data)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset) -> Path:
    """A model folder as anyone may have it: written by Hugging Face's own code, with dropout."""
    from tiny import write_model

    return write_model(tmp_path_factory.mktemp("model") / "tiny", tiny_dataset)


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
) -> Path:
    """A finished run of 50% sparsity; do not write to it."""
    from exported import noisy_run

    folder = tmp_path_factory.mktemp("run") / "tiny"
    return noisy_run(folder, tiny_dataset, tiny_model, tiny_data)


@pytest.fixture(scope="session")
def tiny_exported(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Path:
    """A copy of that run with all of its ONNX files; do not write to it."""
    from exporters.export import export
    from exporters.source import Source

    folder = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("exported") / "tiny"))
    source = Source.of(folder, None, None)
    export(source, source.variants([]), "cpu")
    return folder


@pytest.fixture(scope="session")
def sweep_arguments(tiny_model: Path, tiny_data: Path) -> Callable[..., list[str]]:
    """Make the command line of a sweep of four cells into a folder."""
    from sweep_command import SPARSITIES, SUBNETWORKS

    def arguments(output: Path, *more: object) -> list[str]:
        command: list[object] = ["sweep", "--data", tiny_data, "--model", tiny_model]
        command += ["--epochs", 1, "--batch-size", 16, "--learning-rate", 1e-3, "--device", "cpu"]
        for name, values in (("--subnetwork", SUBNETWORKS), ("--sparsity", SPARSITIES)):
            for value in values:
                command += [name, value]
        return [*map(str, [*command, "--seed", 0, "--output", output, *more])]

    return arguments


@pytest.fixture(scope="session")
def finished_sweep(
    tmp_path_factory: pytest.TempPathFactory, sweep_arguments: Callable[..., list[str]]
) -> Path:
    """A sweep of four cells, executed one after the other; do not write to it."""
    from processes import COMMAND, Script

    folder = tmp_path_factory.mktemp("finished") / "sweep"
    code, text = Script(COMMAND, *sweep_arguments(folder, "--jobs", 1)).finish()
    assert code == 0, text
    return folder


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def exported(tiny_exported: Path, tmp_path: Path) -> Path:
    """A copy, with its ONNX files, that a test may change."""
    return Path(shutil.copytree(tiny_exported, tmp_path / "exported"))
