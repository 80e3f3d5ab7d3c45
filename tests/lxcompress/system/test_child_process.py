"""Child processes import the parent's packages, whatever lies in the folder they start in."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

import lxcompress
from lxcompress.system.child_process import run_module, safe_path


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files named like modules of ours and of Python."""
    for name in ("lxcompress", "benchmarks", "struct", "signal", "json", "this"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported the wrong module')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("hostile")
def test_a_module_is_imported_from_where_the_parent_imports_it() -> None:
    assert b"Beautiful is better than ugly." in run_module("this", stdout=subprocess.PIPE).stdout


@pytest.mark.usefixtures("hostile")
def test_a_source_checkout_is_found_without_pythonpath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    done = run_module("inspect", "lxcompress", "--details", stdout=subprocess.PIPE)
    assert f"Origin: {lxcompress.__file__}\n" in done.stdout.decode()


def test_arguments_and_environment_reach_the_child(tmp_path: Path) -> None:
    (tmp_path / "shown.py").write_text("import os, sys; print(sys.argv[1:], os.environ['EXTRA'])")
    path = {"PYTHONPATH": str(tmp_path), "EXTRA": "value"}
    done = run_module("shown", "a", "b c", env=path, stdout=subprocess.PIPE)
    assert done.stdout == b"['a', 'b c'] value\n"


def test_a_child_that_fails_raises() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_module("no_such_module", stderr=subprocess.DEVNULL)


@pytest.mark.usefixtures("hostile")
def test_spawned_workers_do_not_import_from_the_current_folder() -> None:
    with safe_path(), multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(abs, (-3,)) == 3


def test_safe_path_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    show = [sys.executable, "-c", "import sys; print(sys.flags.safe_path)"]
    with safe_path():
        assert subprocess.check_output(show) == b"True\n"
    assert subprocess.check_output(show) == b"False\n"
    monkeypatch.setenv("PYTHONSAFEPATH", "yes")
    with safe_path():
        pass
    assert subprocess.check_output(show) == b"True\n"
