"""Real sweeps of a tiny model: cells equal runs of `lxcompress prune`, however interrupted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from call import Call
from processes import COMMAND, Script, assert_same_file, wait_for
from sweep_command import CELLS, Arguments, assert_same
from tiny import run_lottery, settings

from benchmarks.sweep.launchers.launcher import Launcher
from benchmarks.sweep.launchers.worker import Outcome, execute
from benchmarks.sweep.plan import Plan, Task
from benchmarks.sweep.run import sweep
from lxcompress.data.dataset import Dataset
from lxcompress.data.regions.index import is_finished

# -- What a sweep makes -------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["low-20-seed0", "random-30-seed0"])
def test_a_cell_equals_a_run_of_prune(
    cell: str,
    finished_sweep: Path,
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
) -> None:
    subnetwork, percent, _ = cell.split("-")
    own = settings(
        tiny_model, tiny_data, subnetwork=subnetwork, sparsity=int(percent) / 100, workers=None
    )
    run, result = run_lottery(tmp_path / "run", tiny_dataset, own)
    found = json.loads((finished_sweep / "cells" / cell / "result.json").read_text())
    for part in ("dense", "ticket", "theta0_masked", "pruning_steps", "config", "weights"):
        assert found[part] == result[part], part
    files = {path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()}
    for file in files - {Path("result.json"), Path(".lock")}:
        assert_same_file(finished_sweep / "cells" / cell / file, run.folder / file)
    assert {path.name for path in (finished_sweep / "cells" / cell).iterdir()} == {
        path.name for path in run.folder.iterdir()
    }


def test_report_agrees_with_the_results_of_the_cells(finished_sweep: Path) -> None:
    report = json.loads((finished_sweep / "report.json").read_text())
    assert report["schema"] == "lxcompress-sweep/2" and report["failures"] == []
    assert report["cells_run"] == 4 and report["wall_seconds"] > 0
    cells = {
        f"{cell['subnetwork']}-{100 * cell['sparsity']:g}-seed{cell['seed']}": cell
        for cell in report["cells"]
    }
    assert cells.keys() == CELLS
    for name, cell in cells.items():
        result = json.loads((finished_sweep / "cells" / name / "result.json").read_text())
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
        assert (finished_sweep / file).stat().st_size > 500


def test_a_finished_sweep_is_not_run_again(
    call: Call, sweep_arguments: Arguments, finished_sweep: Path
) -> None:
    wall_seconds = json.loads((finished_sweep / "report.json").read_text())["wall_seconds"]
    times = {path: path.stat().st_mtime_ns for path in (finished_sweep / "cells").rglob("*")}
    code, out, _ = call(*sweep_arguments(finished_sweep))
    assert code == 0 and "report.html" in out
    assert {
        path: path.stat().st_mtime_ns for path in (finished_sweep / "cells").rglob("*")
    } == times
    # The duration is that of the invocation that ran the cells.
    report = json.loads((finished_sweep / "report.json").read_text())
    assert report["cells_run"] == 4 and report["wall_seconds"] == wall_seconds


class InThisProcess(Launcher):
    """Executes the runs in this process, once all regions exist."""

    def launch(self, tasks: Sequence[Task], device: str) -> Iterator[Outcome]:
        for name in ("train-pixel", "val-pixel"):
            assert is_finished(Path(tasks[0].config.data) / "regions" / name)
        return (Outcome(task, execute(task)) for task in tasks)


def test_regions_are_made_before_the_runs_start(
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
    assert len(sweep(plan, InThisProcess(), command="").cells) == 1


def test_structured_cells_share_one_control(
    tiny_data: Path, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    shared = settings(tiny_model, tiny_data, pattern="structured", workers=None)
    plan = Plan.make(
        shared,
        subnetworks=["low"],
        sparsities=[0.2, 0.4],
        seeds=[0],
        threads=1,
        output=tmp_path / "sweep",
    )
    report = sweep(plan, InThisProcess(), command="")
    run, result = run_lottery(tmp_path / "run", tiny_dataset, {**shared, "sparsity": 0.4})
    cell = tmp_path / "sweep" / "cells" / "low-40-seed0"
    found = json.loads((cell / "result.json").read_text())
    for part in ("dense", "ticket", "dense_control", "pruning_steps", "config"):
        assert found[part] == result[part], part
    files = {path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()}
    for file in files - {Path("result.json"), Path(".lock")}:
        assert_same_file(cell / file, run.folder / file)
    for name in ("logs/control-1.jsonl", "predictions/control-1.json"):
        folders = (plan.dense(0), cell, plan.cell("low", 0.2, 0))
        assert len({(folder / name).stat().st_ino for folder in folders}) == 1
    for one in report.cells:
        assert one.control and one.control.accuracy == result["dense_control"]["accuracy"]
        assert one.zeros.prunable >= one.zeros.target == one.sparsity
    (_, against) = report.comparisons("low", control=True)
    difference = result["ticket"]["accuracy"]["overall"]
    difference -= result["dense_control"]["accuracy"]["overall"]
    assert against.difference.estimate == pytest.approx(difference)
    assert "Comparison with the control" in (plan.folder / "report.md").read_text()


# -- Interruptions and failures -----------------------------------------------------------------


def test_a_killed_and_interrupted_sweep_ends_with_the_same_table(
    sweep_arguments: Arguments, finished_sweep: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    for moment in ("dense/seed0/theta0", "cells/random-30-seed0/theta0"):
        process = Script(COMMAND, *sweep_arguments(folder, "--jobs", 1))
        wait_for(folder / moment, process)
        siblings = psutil.Process(process.pid).parent().children()  # the workers among them
        assert len(siblings) > 1
        process.kill()
        process.finish()
        # Its workers end too, and release their folders.
        assert not psutil.wait_procs(siblings, timeout=20)[1]
    process = Script(COMMAND, *sweep_arguments(folder, "--jobs", 1))
    wait_for(folder / "cells" / "random-30-seed0" / "result.json", process)
    started = set((folder / "cells").iterdir())
    process.send_signal(signal.SIGINT)
    code, text = process.finish()
    assert code == 130 and "Traceback" not in text, text
    assert f"stopped; {folder} keeps the finished runs; the same command continues" in text
    assert not (folder / "report.json").exists()
    assert len(set((folder / "cells").iterdir()) - started) <= 1  # one may have been starting
    process = Script(COMMAND, *sweep_arguments(folder, "--jobs", 2))
    wait_for(folder / "cells" / "low-20-seed0" / "ticket", process)
    process.kill()
    process.finish()
    code, text = Script(COMMAND, *sweep_arguments(folder, "--jobs", 2)).finish()
    assert code == 0, text
    assert_same(folder, finished_sweep)


def test_a_signal_to_all_processes_stops_a_sweep_that_keeps_its_work(
    sweep_arguments: Arguments, tmp_path: Path
) -> None:
    """As `timeout` and service managers send it; in a folder whose files must not be imported."""
    (tmp_path / "struct.py").write_text("raise SystemExit('imported the wrong module')")
    folder, script = tmp_path / "sweep", Path(sys.executable).parent / "lxcompress"
    process = subprocess.Popen(
        [script, *sweep_arguments(folder, "--jobs", 1, "--epochs", 50)],
        cwd=tmp_path,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    dense = folder / "dense" / "seed0"
    while not (dense / "logs" / "dense.jsonl").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.001)
    others = psutil.Process(process.pid).children(recursive=True)
    assert len(others) > 1  # the workers, and what they are forked from
    os.killpg(process.pid, signal.SIGTERM)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in text, text
    assert f"stopped; {folder} keeps the finished runs; the same command continues" in text
    assert (dense / "work" / "dense.checkpoint.safetensors").exists()
    assert not psutil.wait_procs(others, timeout=20)[1]


def test_a_failing_cell_does_not_stop_the_others(
    call: Call, sweep_arguments: Arguments, finished_sweep: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished_sweep, tmp_path / "sweep"))
    broken = folder / "cells" / "low-20-seed0"
    shutil.rmtree(broken)
    shutil.rmtree(folder / "cells" / "random-30-seed0")
    broken.mkdir()
    (broken / "holiday.txt").write_text("not a run")
    code, _, err = call(*sweep_arguments(folder, "--jobs", 1))
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "1 of 5 runs failed, e.g. low-20-seed0" in line and "is not a run directory" in line
    assert "the same command tries them again" in line
    report = json.loads((folder / "report.json").read_text())
    assert len(report["cells"]) == 3 and report["cells_run"] == 1
    assert [failure["cell"] for failure in report["failures"]] == ["low-20-seed0"]
    assert "is not a run directory" in (folder / "report.md").read_text()
    (broken / "holiday.txt").unlink()
    assert call(*sweep_arguments(folder, "--jobs", 1))[0] == 0
    assert_same(folder, finished_sweep)


# -- Wrong options and folders ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--sparsity", "1.5"], "--sparsity 1.5: input should be less than 1"),
        (["--subnetwork", "lwo"], "--subnetwork lwo: input should be 'low', 'high' or 'random'"),
        (["--epochs", "2"], "holds a sweep with other settings (epochs is 1 there and 2 here)"),
        (["--threads", "2"], "holds a sweep with other settings (threads is 1 there and 2 here)"),
        (["--beside", "nowhere"], "no sweep report in nowhere; `lxcompress sweep` makes one"),
        (["--ray", "here"], "--ray here: give local, auto or HOST:PORT"),
        (["--ray", "127.0.0.1:9"], "--ray 127.0.0.1:9: nothing answers there"),
        (["--ray", "auto", "--jobs", "2"], "--jobs is for this machine"),
        (["--ray", "auto", "--device", "auto"], "--ray auto: its machines are not known here"),
        (["--ray", "auto", "--device", "cuda"], "--device cuda with --precision bf16 or fp32"),
    ],
)
def test_wrong_options_are_rejected_and_change_nothing(
    more: list[str], message: str, call: Call, sweep_arguments: Arguments, finished_sweep: Path
) -> None:
    if "ray" in message:
        pytest.importorskip("ray")
    before = (finished_sweep / "sweep.json").read_bytes()
    code, _, err = call(*sweep_arguments(finished_sweep, *more))
    assert code == 2 and err.count("\n") == 1
    assert message in err
    assert (finished_sweep / "sweep.json").read_bytes() == before


def test_a_folder_that_is_not_a_sweep_is_left_alone(
    call: Call, sweep_arguments: Arguments, tmp_path: Path
) -> None:
    (tmp_path / "holiday.txt").write_text("sun")
    code, _, err = call(*sweep_arguments(tmp_path))
    assert code == 2 and "has files in it but is not a sweep; choose another --output" in err
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.txt"]


def test_only_sweeps_of_the_same_data_can_be_compared(
    call: Call, sweep_arguments: Arguments, finished_sweep: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    report = json.loads((finished_sweep / "report.json").read_text())
    report["dataset"]["fingerprint"] = "another"
    (other / "report.json").write_text(json.dumps(report))
    code, _, err = call(*sweep_arguments(tmp_path / "new", "--beside", other))
    assert code == 2 and "is a sweep of other data" in err
    assert not (tmp_path / "new").exists()
