"""Accuracy over latency: which files none surpasses, and which runs can be compared."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benched import HOSTILE, benched_copy
from call import Call
from report_page import Page
from simulated_frontier import FILES, simulated_frontier

from benchmarks.frontier import figure, report
from benchmarks.frontier.schema import Frontier
from benchmarks.report.svg import LIGHT

# -- The frontier -------------------------------------------------------------------------------


def test_no_file_on_the_frontier_is_surpassed() -> None:
    found = simulated_frontier()
    assert [point.name for point in found.frontier(1)] == [
        *("structured 70% int8", "structured 50% int8"),
        *("unstructured 50% int8", "unstructured 50% fp32"),
    ]
    for size in found.batch_sizes:
        best = found.frontier(size)
        for point in found.points:
            better = [
                other
                for other in found.points
                if other.relative(size) <= point.relative(size)
                and other.accuracy.estimate > point.accuracy.estimate
            ]
            assert not (better and point in best), point.name


def test_of_equally_fast_files_the_more_accurate_is_on_the_frontier() -> None:
    found = simulated_frontier([*FILES[:1], ("structured", 0.5, "int8", 90.0, 1.0)])
    assert [point.name for point in found.frontier(1)] == ["dense fp32"]


def test_figure_draws_every_file_and_the_frontier() -> None:
    found = simulated_frontier()
    for form in ("file", "narrow"):
        panels = figure.draw(found, form, LIGHT, {}).axes
        assert [axes.get_title(loc="left") for axes in panels] == ["Batch 1", "Batch 8"]
        for axes, size in zip(panels, found.batch_sizes, strict=True):
            line, *points = axes.get_lines()
            drawn = {(p.get_xdata()[0], p.get_ydata()[0]) for p in points}
            assert drawn == {(p.relative(size), p.accuracy.estimate) for p in found.points}
            assert list(line.get_xdata()) == [p.relative(size) for p in found.frontier(size)]
            assert line.get_drawstyle() == "steps-post"


def test_files_are_written_and_load_nothing(tmp_path: Path) -> None:
    found = simulated_frontier()
    report.write(found, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"frontier.{kind}" for kind in ("json", "md", "html", "png", "svg")}
    saved = json.loads((tmp_path / "frontier.json").read_text())
    assert Frontier.model_validate(saved) == found
    text = (tmp_path / "frontier.html").read_text()
    assert not Page(text).tags & {"script", "img", "iframe", "object", "embed"}
    assert text.count("<svg") == 2 and "http" not in text
    assert "](frontier.png)" in (tmp_path / "frontier.md").read_text()
    assert "6.25 times as fast as dense fp32" in text


def test_hostile_names_are_escaped() -> None:
    hostile = simulated_frontier().model_copy(update={"command": HOSTILE})
    hostile.points[0] = hostile.points[0].model_copy(update={"run": HOSTILE})
    assert Page(report.page(hostile)).tags == Page(report.page(simulated_frontier())).tags
    assert not re.search(r"<script|<img|\]\(http", report.markdown(hostile))


# -- Runs that were measured --------------------------------------------------------------------


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "bench" / "report.json"
    figures = json.loads(path.read_text())
    edit(figures)
    path.write_text(json.dumps(figures))


@pytest.fixture
def benched_run(tiny_exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(benched_copy(tiny_exported), tmp_path / "other"))


def test_files_of_benched_runs_are_points(
    call: Call, tiny_exported: Path, benched_run: Path, tmp_path: Path
) -> None:
    first = benched_copy(tiny_exported)
    code, out, err = call("frontier", first, benched_run, "--output", tmp_path / "frontier")
    assert code == 0, err
    assert "frontier.html" in out and "Frontier at batch 3" in out
    found = json.loads((tmp_path / "frontier" / "frontier.json").read_text())
    figures = json.loads((first / "bench" / "report.json").read_text())
    dense = [point for point in found["points"] if point["pattern"] == "dense"]
    tickets = [point for point in found["points"] if point["pattern"] == "unstructured"]
    assert len(dense) == 3  # once, since both runs have the same dense model
    assert len(tickets) == 2 * 3
    assert dense[0]["latencies"][0]["relative"] == {"estimate": 1, "low": 1, "high": 1}
    timed = {
        (it["system"]["runtime"], it["system"]["model"], it["system"]["precision"]): it["samples"]
        for it in figures["latency"][0]["systems"]
    }
    ticket, base = (np.array(timed["ONNX Runtime", m, p]) for m, p in
                    (("ticket", "int8"), ("dense", "fp32")))  # fmt: skip
    (int8, *_) = [point for point in tickets if point["precision"] == "int8"]
    relative = int8["latencies"][0]["relative"]["estimate"]
    assert relative == pytest.approx(np.median(ticket / base))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda figures: figures["environment"].update(processor="another"),
            "cannot be compared (processor is another and ",
        ),
        (
            lambda figures: figures["environment"]["versions"].update(torch="1.0"),
            "cannot be compared (torch is 1.0 and ",
        ),
        (lambda figures: figures["dataset"].update(fingerprint="x"), "are of different data"),
        (lambda figures: figures.update(schema="x"), "is not a bench report of schema"),
        (lambda figures: figures.pop("latency"), "is damaged at latency"),
        (
            lambda figures: figures.update(accuracy=None, dataset=None, sparsity=None),
            "is not of the run, but of a model alone; `lxcompress bench ",
        ),
        (
            lambda figures: [batch.update(batch_size=99 + n)
                             for n, batch in enumerate(figures["latency"])],
            "were measured at different batch sizes",
        ),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_compared_are_rejected(
    edit: Callable[[dict[str, Any]], object],
    message: str,
    call: Call,
    tiny_exported: Path,
    benched_run: Path,
    tmp_path: Path,
) -> None:
    change(benched_run, edit)
    folder = tmp_path / "frontier"
    first = benched_copy(tiny_exported)
    code, _, err = call("frontier", first, benched_run, "--output", folder)
    assert code == 2 and err.count("\n") == 1 and message in err
    assert not folder.exists()


def test_a_run_without_a_bench_report_is_an_error(
    call: Call, tiny_run: Path, tmp_path: Path
) -> None:
    code, _, err = call("frontier", tiny_run, "--output", tmp_path / "frontier")
    assert code == 2 and "has no bench report; `lxcompress bench " in err
