"""A sweep really run on a tiny model: its cells are `prune` runs, whatever happens on the way."""

import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from call import Call
from processes import assert_same_file, finish, wait_for
from sweeps import CELLS, SPARSITIES, SUBNETWORKS, Arguments, assert_same, start
from tiny import run_lottery, settings

from benchmarks.sweep import local_processes, worker
from benchmarks.sweep import run as sweep_module
from benchmarks.sweep.local_processes import Done, run_in_processes
from benchmarks.sweep.plan import Plan, Task
from benchmarks.sweep.run import Workers, sweep
from benchmarks.sweep.worker import execute
from lxcompress.data.dataset import Dataset
from lxcompress.data.regions.store import is_finished
from lxcompress.errors import ConfigError

# -- What it makes ------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["low-20-seed0", "random-30-seed0"])
def test_a_cell_is_a_run_of_prune(
    cell: str, swept: Path, tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    subnetwork, percent, _ = cell.split("-")
    own = settings(
        tiny_model, tiny_data, subnetwork=subnetwork, sparsity=int(percent) / 100, workers=None
    )
    run, result = run_lottery(tmp_path / "run", tiny_dataset, own)
    found = json.loads((swept / "cells" / cell / "result.json").read_text())
    for part in ("dense", "ticket", "theta0_masked", "pruning_steps", "config", "weights"):
        assert found[part] == result[part], part
    files = {path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()}
    for file in files - {Path("result.json"), Path(".lock")}:
        assert_same_file(swept / "cells" / cell / file, run.folder / file)
    assert {path.name for path in (swept / "cells" / cell).iterdir()} == {
        path.name for path in run.folder.iterdir()
    }


def test_report_says_what_the_cells_found(swept: Path) -> None:
    report = json.loads((swept / "report.json").read_text())
    assert report["schema"] == "lxcompress-sweep/1" and report["failures"] == []
    assert report["cells_run"] == 4 and report["wall_seconds"] > 0
    cells = {
        f"{cell['subnetwork']}-{100 * cell['sparsity']:g}-seed{cell['seed']}": cell
        for cell in report["cells"]
    }
    assert cells.keys() == CELLS
    for name, cell in cells.items():
        result = json.loads((swept / "cells" / name / "result.json").read_text())
        assert cell["retrained"] == result["ticket"]["accuracy"]
        assert cell["reset"] == result["theta0_masked"]["accuracy"]
        assert cell["pruned"] == result["pruning_steps"][-1]["accuracy"]
        assert cell["zeros"]["prunable"] == result["ticket"]["sparsity"]["prunable"]
        (dense,) = report["dense"]
        assert dense["accuracy"] == result["dense"]["accuracy"]
        (against,) = (
            found
            for found in report["against_dense"]
            if (found["subnetwork"], found["sparsity"]) == (cell["subnetwork"], cell["sparsity"])
        )
        difference = cell["retrained"]["overall"] - dense["accuracy"]["overall"]
        assert against["difference"]["estimate"] == pytest.approx(difference)
    for file in ("report.md", "report.html", "table1.md", "figure1.png", "figure1.svg"):
        assert (swept / file).stat().st_size > 500


def test_cells_of_a_seed_share_their_dense_model_on_the_disk(swept: Path) -> None:
    for part in ("theta0", "dense"):
        files = [swept / "cells" / cell / part / "model.safetensors" for cell in CELLS]
        assert len({file.stat().st_ino for file in files}) == 1


def test_a_finished_sweep_is_not_run_again(
    call: Call, sweep_arguments: Arguments, swept: Path
) -> None:
    times = {path: path.stat().st_mtime_ns for path in (swept / "cells").rglob("*")}
    code, out, _ = call(*sweep_arguments(swept))
    assert code == 0 and "report.html" in out
    assert {path: path.stat().st_mtime_ns for path in (swept / "cells").rglob("*")} == times
    # How long it took is what it took when it was run.
    report = json.loads((swept / "report.json").read_text())
    assert report["cells_run"] == 4 and report["wall_seconds"] > 5


def test_accuracies_on_the_way_are_taken_from_siblings(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 30% the run has measured 10% and 20% already: pruning to 20% measures neither again."""
    folder = Path(shutil.copytree(swept, tmp_path / "sweep"))
    shutil.rmtree(folder / "cells" / "low-20-seed0")
    measured = []
    predict = worker.Lottery.accuracy.__globals__["predict"]

    def watch(*given: Any, description: str, **more: Any) -> Any:
        measured.append(description)
        return predict(*given, description=description, **more)

    monkeypatch.setitem(worker.Lottery.accuracy.__globals__, "predict", watch)
    (task,) = (t for t in plan_of(folder, swept).tasks() if t.name == "low-20-seed0")
    assert execute(task) is None
    assert measured == ["Evaluating ticket", "Evaluating theta0_masked"]
    found, expected = (
        json.loads((sweep / "cells" / "low-20-seed0" / "result.json").read_text())
        for sweep in (folder, swept)
    )
    assert found["pruning_steps"] == expected["pruning_steps"]


def plan_of(folder: Path, sweep: Path) -> Plan:
    """The plan of a finished sweep, for a copy of its folder."""
    shared = json.loads((sweep / "sweep.json").read_text())
    del shared["fingerprint"]
    threads = shared.pop("threads")
    given = {name: value for name, value in shared.items() if value is not None}
    return Plan.make(
        given,
        subnetworks=SUBNETWORKS,
        sparsities=SPARSITIES,
        seeds=(0,),
        threads=threads,
        output=folder,
    )


class OneAfterTheOther(Workers):
    """The runs in this process."""

    def start(self, tasks: Sequence[Task], device: str) -> Iterator[Done]:
        for name in ("train-pixel", "val-pixel"):
            assert is_finished(Path(tasks[0].config.data) / "regions" / name)
        return ((task, execute(task)) for task in tasks)


def test_regions_are_made_before_many_processes_want_them(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "regions")
    plan = Plan.make(
        settings(tiny_model, data),
        subnetworks=["low"],
        sparsities=[0.2],
        seeds=[0],
        threads=1,
        output=tmp_path / "sweep",
    )
    assert len(sweep(plan, OneAfterTheOther(), command="").cells) == 1


# -- What happens on the way --------------------------------------------------------------------


def test_killed_and_interrupted_it_ends_with_the_same_table(
    sweep_arguments: Arguments, swept: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    for moment in ("dense/seed0/theta0", "cells/random-30-seed0/theta0"):
        process = start(sweep_arguments(folder, "--jobs", 1))
        wait_for(folder / moment, process)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        # What it had started ends too, and lets go of its folders.
        assert not psutil.wait_procs(workers, timeout=20)[1]
    process = start(sweep_arguments(folder, "--jobs", 1))
    wait_for(folder / "cells" / "random-30-seed0" / "result.json", process)
    begun = set((folder / "cells").iterdir())
    process.send_signal(signal.SIGINT)
    code, text = finish(process)
    assert code == 130 and "Traceback" not in text, text
    assert f"stopped; {folder} keeps what is done; the same command again continues" in text
    assert not (folder / "report.json").exists()
    assert len(set((folder / "cells").iterdir()) - begun) <= 1  # the one it was about to do
    process = start(sweep_arguments(folder, "--jobs", 2))
    wait_for(folder / "cells" / "low-20-seed0" / "ticket", process)
    process.kill()
    process.communicate()
    code, text = finish(start(sweep_arguments(folder, "--jobs", 2)))
    assert code == 0, text
    assert_same(folder, swept)


def _die_at_low(task: Task) -> str | None:
    """Stands for a run that takes more memory than there is, beside others that do not."""
    if task.name == "low-20-seed0":
        os.kill(os.getpid(), signal.SIGKILL)
    return None


def test_a_run_that_always_dies_does_not_lose_the_others(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_processes, "_work", _die_at_low)
    tasks = [task for task in plan_of(tmp_path / "sweep", swept).tasks() if task.dense]
    done = {task.name: failure for task, failure in run_in_processes(tasks, 2)}
    assert done.keys() == CELLS
    assert "its process was killed 3 times (out of memory?)" in (done.pop("low-20-seed0") or "")
    assert set(done.values()) == {None}


def test_a_worker_that_dies_is_replaced_while_the_other_goes_on(
    swept: Path, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path / "sweep", swept)
    done = []
    for task, failure in run_in_processes(plan.tasks(), 2):
        done.append((task.name, failure))
        if task.dense is None:
            workers = [
                child
                for child in psutil.Process().children()
                if "spawn_main" in " ".join(child.cmdline())
            ]
            workers[0].kill()
    assert sorted(done) == [(name, None) for name in sorted(CELLS | {"dense-seed0"})]
    for cell in CELLS:
        ticket = f"cells/{cell}/ticket/model.safetensors"
        assert_same_file(tmp_path / "sweep" / ticket, swept / ticket)


def test_a_cell_that_fails_does_not_lose_the_others(
    call: Call, sweep_arguments: Arguments, swept: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(swept, tmp_path / "sweep"))
    broken = folder / "cells" / "low-20-seed0"
    shutil.rmtree(broken)
    shutil.rmtree(folder / "cells" / "random-30-seed0")
    broken.mkdir()
    (broken / "holiday.txt").write_text("not a run")
    code, _, err = call(*sweep_arguments(folder, "--jobs", 1))
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "1 of 5 runs failed, e.g. low-20-seed0" in line and "is no run directory" in line
    assert "the same command tries them again" in line
    report = json.loads((folder / "report.json").read_text())
    assert len(report["cells"]) == 3 and report["cells_run"] == 1
    assert [failure["cell"] for failure in report["failures"]] == ["low-20-seed0"]
    assert "is no run directory" in (folder / "report.md").read_text()
    (broken / "holiday.txt").unlink()
    assert call(*sweep_arguments(folder, "--jobs", 1))[0] == 0
    assert_same(folder, swept)


def test_without_its_dense_model_a_cell_fails_too(swept: Path, tmp_path: Path) -> None:
    other = plan_of(tmp_path / "sweep", swept)
    other.dense(0).mkdir(parents=True)
    (other.dense(0) / "holiday.txt").write_text("not a run")
    failures = {task.name: failure for task, failure in run_in_processes(other.tasks(), 1)}
    assert failures.keys() == {"dense-seed0", *CELLS}
    assert "is no run directory" in (failures["dense-seed0"] or "")
    for cell in CELLS:
        assert failures[cell] == f"dense-seed0 failed: {failures['dense-seed0']}"


# -- Mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--sparsity", "1.5"], "--sparsity 1.5: input should be less than 1"),
        (["--subnetwork", "lwo"], "--subnetwork lwo: input should be 'low', 'high' or 'random'"),
        (["--epochs", "2"], r"holds a sweep of other settings (epochs is 1 there and 2 here)"),
        (["--threads", "2"], r"holds a sweep of other settings (threads is 1 there and 2 here)"),
        (["--beside", "nowhere"], "no sweep report in nowhere; `lxcompress sweep` makes one"),
        (["--ray", "here"], "--ray here: give local, auto or HOST:PORT"),
        (["--ray", "127.0.0.1:9"], "--ray 127.0.0.1:9: nothing answers there"),
        (["--ray", "auto", "--jobs", "2"], "--jobs is for this machine"),
        (["--ray", "auto", "--device", "auto"], "--ray auto: its machines are not known here"),
        (["--ray", "auto", "--device", "cuda"], "--device cuda with --precision bf16 or fp32"),
    ],
)
def test_mistakes(
    more: list[str], message: str, call: Call, sweep_arguments: Arguments, swept: Path
) -> None:
    if "ray" in message:
        pytest.importorskip("ray")
    before = (swept / "sweep.json").read_bytes()
    code, _, err = call(*sweep_arguments(swept, *more))
    assert code == 2 and err.count("\n") == 1
    assert message in err
    assert (swept / "sweep.json").read_bytes() == before


def test_a_folder_of_something_else_is_left_alone(
    call: Call, sweep_arguments: Arguments, tmp_path: Path
) -> None:
    (tmp_path / "holiday.txt").write_text("sun")
    code, _, err = call(*sweep_arguments(tmp_path))
    assert code == 2 and "has files in it but is no sweep; choose another --output" in err
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.txt"]


def test_only_sweeps_of_the_same_data_stand_beside_each_other(
    call: Call, sweep_arguments: Arguments, swept: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    report = json.loads((swept / "report.json").read_text())
    report["dataset"]["fingerprint"] = "another"
    (other / "report.json").write_text(json.dumps(report))
    code, _, err = call(*sweep_arguments(tmp_path / "new", "--beside", other))
    assert code == 2 and "is a sweep of other data" in err
    assert not (tmp_path / "new").exists()


def plan(quick: bool = False, **settings: Any) -> Plan:
    return Plan.make(
        settings, subnetworks=["low"], sparsities=[0.5], seeds=[0], threads=1, quick=quick
    )


def test_quick_halves_what_was_not_said() -> None:
    assert plan(quick=True).shared["epochs"] == 1  # of the embedded model's 2
    assert plan(quick=True, epochs=8).shared["epochs"] == 8
    large = plan(quick=True, data=".", model="unc-nlp/lxmert-base-uncased")
    assert large.shared["epochs"] == 2  # of LXMERT's 4
    # Both can be had without a word about folders.
    assert plan(quick=True).folder.name == "sweep-shapes-quick"
    assert plan().folder.name == "sweep-shapes"


def test_words_that_are_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shapes", "lxmert-shapes", "mine"):
        Path(name).mkdir()
    assert (plan().shared["data"], plan().shared["model"]) == ("shapes", "lxmert-shapes")
    found = plan(data="mine", model="lxmert-shapes", tensorboard="board").shared
    assert found["data"] == str(tmp_path / "mine")
    assert found["tensorboard"] == str(tmp_path / "board" / "sweep-mine")


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [(None, 2, ["0", "1"]), ("2,3", 2, ["2", "3"]), ("0,-1,1", 1, ["0"]), (None, 0, [])],
)
def test_gpus_are_those_that_this_process_may_use(
    visible: str | None, count: int, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module.torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert sweep_module._gpus() == names


@pytest.mark.parametrize(
    ("device", "gpus", "jobs", "expected"),
    [
        ("cpu", 0, None, 8),
        ("cpu", 0, 3, 3),
        ("cuda", 2, None, 2),
        ("cuda", 2, 5, 5),
        ("mps", 0, None, 1),
    ],
)
def test_how_many_at_a_time(
    device: str, gpus: int, jobs: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(index) for index in range(gpus)]
    monkeypatch.setattr(sweep_module, "_gpus", lambda: names)
    monkeypatch.setattr(sweep_module.os, "cpu_count", lambda: 8)
    asked: list[Any] = []
    monkeypatch.setattr(
        sweep_module, "run_in_processes", lambda tasks, jobs, gpus: asked.append((jobs, gpus))
    )
    Workers(jobs).start(plan().tasks() * 10, device)
    assert asked == [(expected, names)]


def test_plan() -> None:
    made = Plan.make(
        {"scope": "layer", "enforce-mask": False},
        subnetworks=("low", "high", "low"),
        sparsities=(0.5, 0.9, 0.1),
        seeds=(3, 1),
        threads=2,
    )
    assert made.folder == Path("runs/sweep-shapes-layer-unenforced").absolute()
    tasks = made.tasks()
    assert [task.name for task in tasks[:2]] == ["dense-seed3", "dense-seed1"]
    cells = [task.name for task in tasks[2:]]
    assert cells[:3] == ["low-90-seed3", "high-90-seed3", "low-50-seed3"]
    assert len(cells) == len(set(cells)) == 2 * 3 * 2
    # The dense model does not depend on what is pruned, so neither does its configuration.
    more = Plan.make({}, subnetworks=("random",), sparsities=(0.7,), seeds=(1,), threads=1)
    assert more.tasks()[0].config.sparsity == tasks[0].config.sparsity
    with pytest.raises(ConfigError, match="a sweep takes seed from its own options"):
        Plan.make({"seed": 1}, subnetworks=["low"], sparsities=[0.5], seeds=[0], threads=1)
