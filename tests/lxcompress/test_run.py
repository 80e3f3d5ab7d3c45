"""Run directories: whose they are, and that nobody else's files are touched."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from lxcompress.errors import RunError
from lxcompress.run import Run

SETTINGS: dict[str, Any] = {"data": "d", "sparsity": 0.5, "subnetwork": "low", "workers": None}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that was begun."""
    run = Run(tmp_path / "run")
    with run.claim(SETTINGS):
        run.theta0.mkdir()
        (run.theta0 / "model.safetensors").write_text("θ0")
        run.dense.mkdir()
    return run


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_artefacts_have_the_names_of_the_contract(tmp_path: Path) -> None:
    run = Run(tmp_path)
    names = {
        "config.json": run.config,
        "theta0": run.theta0,
        "dense": run.dense,
        "ticket": run.ticket,
        "ticket/mask.safetensors": run.mask,
        "result.json": run.result,
        "onnx": run.onnx,
        "bench": run.bench,
    }
    assert all(path == tmp_path / name for name, path in names.items())
    assert run.retrained("ticket") == run.ticket
    assert run.retrained("round-1") != run.retrained("round-2")


def test_settings_are_written_first(run: Run) -> None:
    assert json.loads(run.config.read_text()) == SETTINGS == run.settings()


def test_equal_settings_continue(run: Run) -> None:
    before = contents(run.folder)
    with run.claim(SETTINGS):
        assert contents(run.folder) == before
    with run.claim(SETTINGS | {"workers": 3}):  # computes the same
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sparsity": 0.6}, "sparsity is 0.5 there and 0.6 here"),
        ({"model": "m"}, "model is None there and m here"),
    ],
)
def test_other_settings_are_refused_by_name(change: dict[str, Any], words: str, run: Run) -> None:
    before = contents(run.folder)
    with pytest.raises(RunError, match=words), run.claim(SETTINGS | change):
        pass
    assert contents(run.folder) == before


def test_settings_of_a_first_try_that_made_nothing_do_not_bind(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), run.claim(SETTINGS):
        raise ZeroDivisionError  # for example a model that cannot be loaded
    with run.claim(SETTINGS | {"sparsity": 0.6}):
        assert run.settings()["sparsity"] == 0.6


def test_force_starts_anew(run: Run) -> None:
    with run.claim(SETTINGS | {"sparsity": 0.6}, force=True):
        assert list(contents(run.folder)) == ["config.json"]
        assert not run.dense.exists()
        assert run.settings()["sparsity"] == 0.6


@pytest.mark.parametrize("survivors", ["all", "theta0", "config.json"])
def test_killed_while_forcing(survivors: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The half-deleted run is never taken for one of the new settings."""
    other = SETTINGS | {"sparsity": 0.6}
    last = {"all": "theta0", "theta0": "theta0", "config.json": "config.json"}[survivors]
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == last or survivors == "all":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt), run.claim(other, force=True):
            pass
    assert run.config.exists()
    if run.theta0.exists():
        with pytest.raises(RunError, match="belongs to another run"), run.claim(other):
            pass
    with run.claim(other, force=True):
        assert list(contents(run.folder)) == ["config.json"]
        assert not run.dense.exists()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "years of work"},
        {"config.json": '{"model_type": "lxmert"}', "model.safetensors": "weights"},
        {"config.json": "[1, 2]"},
    ],
)
def test_other_peoples_files_are_left_alone(
    files: dict[str, str], force: bool, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with (
        pytest.raises(RunError, match="has files in it but is not a run directory"),
        Run(tmp_path).claim(SETTINGS, force=force),
    ):
        pass
    assert contents(tmp_path) == files


def test_a_garbled_config(run: Run) -> None:
    run.config.write_text('{"data": ')
    with pytest.raises(RunError, match="not valid JSON"), run.claim(SETTINGS):
        pass


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    with Run(tmp_path).claim(SETTINGS):
        pass
    assert list(contents(tmp_path)) == ["config.json"]


def test_killed_while_writing_the_first_file(tmp_path: Path) -> None:
    (tmp_path / ".config.json.tmp-4194304").write_text("{")
    with Run(tmp_path).claim(SETTINGS):
        pass
    assert list(contents(tmp_path)) == ["config.json"]


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"), Run(tmp_path / "file").claim(SETTINGS):
        pass


def test_one_process_at_a_time(run: Run) -> None:
    with FileLock(run.lock):
        for force in (False, True):
            with (
                pytest.raises(RunError, match="another process is working in"),
                Run(run.folder).claim(SETTINGS, force=force),
            ):
                pass
    assert run.theta0.exists()


def test_the_lock_is_given_back_after_an_error(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.claim(SETTINGS):
        raise ZeroDivisionError
    with run.claim(SETTINGS):
        pass


def test_settings_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        Run(tmp_path).settings()


@pytest.mark.parametrize("content", ["[1, 2]", '{"model_type": "lxmert"}', "null", '"data"'])
def test_settings_that_are_not_of_a_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match="not a run directory: it has a model's config.json"):
        Run(tmp_path).settings()


@pytest.mark.parametrize("part", ["ticket", "work/round-1"])
def test_a_part_of_a_run_says_which_folder_to_give(
    run: Run, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.folder / part
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "lxmert"}')
    monkeypatch.chdir(folder)
    for given in (folder, Path()):
        for attempt in (Run(given).settings, lambda given=given: Run.open_finished(given)):
            with pytest.raises(RunError, match=f"part of the run {run.folder}, give that"):
                attempt()


def test_damaged_settings(run: Run) -> None:
    run.config.write_text(json.dumps(SETTINGS | {"sparsity": 7}))
    with pytest.raises(RunError, match="config.json is damaged: --sparsity 7: input should be"):
        run.read_config()


def test_a_relative_path_in_settings_starts_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(tmp_path / "run")
    (run.theta0).mkdir(parents=True)
    run.config.write_text(json.dumps(SETTINGS))
    with run.claim(SETTINGS | {"data": str(tmp_path / "d")}):
        pass
    assert run.settings()["data"] == str(tmp_path / "d")
    with (
        pytest.raises(RunError, match="belongs to another run"),
        run.claim(SETTINGS | {"data": "/elsewhere/d"}),
    ):
        pass


def test_once(run: Run) -> None:
    assert run.once("dense", lambda: {"overall": 50.25, "number": None}) == {
        "overall": 50.25,
        "number": None,
    }
    assert run.once("dense", lambda: 1 / 0)["overall"] == 50.25
    with pytest.raises(ZeroDivisionError):
        run.once("ticket", lambda: 1 / 0)
    assert run.once("ticket", lambda: 3) == 3


def test_moved_runs_still_work(run: Run, tmp_path: Path) -> None:
    shutil.move(run.folder, tmp_path / "moved")
    with Run(tmp_path / "moved").claim(SETTINGS):
        pass
