"""The sweep's tables, figure, words and files say what its figures say, and no more."""

import io
import json
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benched import HOSTILE
from PIL import Image
from report_page import Page, palettes
from shared import SHARED
from swept import QUESTIONS, changed, swept

from benchmarks.readme import blocks
from benchmarks.readme.fill_in import fill_in
from benchmarks.report.markdown import table_markdown
from benchmarks.report.sections import Table
from benchmarks.report.svg import COLOURS
from benchmarks.sweep import figure1, findings, tables
from benchmarks.sweep.published import published
from benchmarks.sweep.report import html, load, markdown, read, write
from benchmarks.sweep.schema import Report
from lxcompress.errors import RunError
from lxcompress.system.files import write_json

LOST = (("low", 0.5, 0), ("low", 0.5, 1), ("low", 0.5, 2), ("high", 0.5, 1))


def rows(table: Table) -> dict[tuple[str, str], list[str]]:
    """By name and sparsity."""
    assert all(len(row) == len(table.columns) for row in table.rows)
    return {(row[0], row[1]): list(row[2:]) for row in table.rows}


def test_table_1_is_mean_and_sample_deviation() -> None:
    report = swept()
    found = rows(tables.table1(report))
    for kind, cell in zip(tables.KINDS, found["low-magnitude", "50%"][1:], strict=True):
        values = np.array([it.retrained[kind] for it in report.select("low", 0.5)], float)
        assert cell == f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    dense = np.array([it.accuracy["number"] for it in report.dense], float)
    assert found["dense", "0%"][3] == f"{dense.mean():.2f} ± {dense.std(ddof=1):.2f}"
    assert found["dense", "0%"][0] == "shapes-vqa, val"


def test_one_seed_has_no_deviation() -> None:
    report = swept(seeds=(0,))
    found = rows(tables.table1(report))
    value = report.select("random", 0.5)[0].retrained["overall"]
    assert found["random", "50%"][1] == f"{value:.2f}"
    assert "std" not in tables.table1(report).columns[0]


def test_published_rows_are_marked_and_true() -> None:
    table = tables.table1(swept())
    theirs = [row for row in table.rows if "VQA v2" in row[2]]
    assert len(theirs) == 10 and all(row[0].startswith("published: ") for row in theirs)
    assert next(
        list(row[:4]) for row in theirs if row[0].endswith("low-magnitude") and "std" in row[2]
    ) == ["published: low-magnitude", "50%", "VQA v2, test-std", "70.87 ± 1.51"]
    assert [row[3:] for row in theirs if "DistillVLM" in row[0]][0] == ["69.60", "–", "–", "–"]
    few = tables.table1(swept(), ["test-dev"])
    assert len(few.rows) == len(table.rows) - 5


def test_published_facts_are_those_of_the_reference() -> None:
    path = SHARED / "reference" / "published.json"
    if not path.exists():
        pytest.skip("no shared reference here")
    reference = json.loads(path.read_text())
    found = published()
    assert found.note == reference["note"]
    for ours, theirs in zip(found.paper.table1, reference["paper"]["table1"], strict=True):
        dumped = ours.model_dump(by_alias=True)
        for split in ("test-dev", "test-std"):
            for kind, value in theirs[split].items():
                mean, std = value if isinstance(value, list) else (value, None)
                assert dumped[split].pop(kind) == {"mean": mean, "std": std}
            assert dumped[split] == {}
    runs = reference["authors_minival"]["runs"]
    assert [run.model_dump() for run in found.authors_minival.runs] == runs
    assert found.authors_minival.dense == reference["authors_minival"]["dense"]


@pytest.mark.parametrize(
    ("sparsities", "near"), [((0.2, 0.9), "20%"), ((0.4, 0.6), "40%"), ((0.125, 0.7), "70%")]
)
def test_table_1_without_half(sparsities: tuple[float, ...], near: str) -> None:
    found = rows(tables.table1(swept(sparsities=sparsities, seeds=(0,))))
    assert ("high-magnitude", near) in found


def test_missing_cells_are_dashes() -> None:
    report = swept(without=LOST)
    first = rows(tables.table1(report))
    assert first["low-magnitude", "50%"][1:] == ["–"] * 4
    assert first["high-magnitude (2 seeds)", "50%"][1] != "–"
    every = rows(tables.every_sparsity(report))
    assert len(every) == 15
    assert every["low", "50%"] == ["–"] * 6
    assert len(tables.against_dense(report).rows) == 14
    failed = tables.failed(report).rows
    assert [row[0] for row in failed] == [
        *("low-50-seed0", "low-50-seed1", "low-50-seed2", "high-50-seed1")
    ]
    assert findings.summary(report)[-1].startswith("Missing: 4 runs could not be finished")
    assert "Some cells are missing: low-magnitude, high-magnitude." in figure1.caption(report)


def test_against_dense_shows_what_was_compared() -> None:
    report = swept()
    (it,) = [it for it in report.against_dense if (it.subnetwork, it.sparsity) == ("random", 0.5)]
    text, p, kept = rows(tables.against_dense(report))["random", "50%"]
    assert text.startswith(f"−{-it.difference.estimate:.2f} points (−{-it.difference.low:.2f} to ")
    assert p == "< 0.001" and it.p < 0.001
    assert it.kept and kept == f"{100 * it.kept:.1f}%"


def test_protocol_says_that_zeros_grew_back() -> None:
    report = swept(beside=True)
    table = tables.protocol(report)
    assert table.columns[2].startswith("mask enforced, scope global")
    assert table.columns[4].startswith("mask not enforced, scope layer")
    ours, _, theirs, accuracy = rows(table)["low-magnitude", "50%"]
    assert (ours, theirs) == ("50.00%", "0.05%")
    assert report.beside
    retrained = [it.retrained["overall"] or 0 for it in report.beside.select("low", 0.5)]
    assert accuracy.startswith(f"{statistics.mean(retrained):.2f} ± ")
    kept, lost = findings.grown(report)
    assert kept == (
        "With mask enforced, scope global, all of 45 networks ended with the zeros that were "
        "asked for."
    )
    assert "zeros grew back while retraining in 45 of 45 networks: 10% to 90%" in lost
    assert "0.01% to 0.09% were zero at the end" in lost


def test_protocol_without_another_sweep() -> None:
    assert findings.grown(swept()) == []
    (lost,) = findings.grown(swept(enforce=False))
    assert lost.startswith("With mask not enforced, scope layer, zeros grew back")
    assert len(tables.protocol(swept(enforce=False)).columns) == 4
    twice = changed(swept(), lambda it: it.update(beside=json.loads(json.dumps(it))))
    assert len(set(tables.protocol(twice).columns)) == 5  # "accuracy, %" twice


def said(report: Report, subject: str) -> str:
    (found,) = [text for text in findings.summary(report) if text.startswith(subject)]
    return found


def test_words_of_what_is_kept_and_where_it_falls() -> None:
    def low(figures: dict[str, Any]) -> None:
        for it in figures["against_dense"]:
            if it["subnetwork"] == "low":
                worse = it["sparsity"] in (0.1, 0.9)
                it |= {
                    "p": 0.01 if worse else 0.3,
                    "kept": 0.99,
                    "difference": {"estimate": -1, "low": -2, "high": -0.5 if worse else 0.5},
                }

    report = changed(swept(), low)
    half = said(report, "Low-magnitude at 50%: ")
    assert "Keeps 99.0% of dense accuracy, " in half
    assert "difference is −1.00 points (−2.00 to +0.50), adjusted p = 0.30." in half
    assert "Low-magnitude at 70% keeps" in said(report, "Highest sparsity without significant loss")
    assert said(report, "Low-magnitude against dense: ").startswith(
        "Low-magnitude against dense: Significantly below at 90%, and at 10%. At 90% the difference"
    )
    assert "below at 30% and at every higher" in said(swept(), "High-magnitude against dense")


@pytest.mark.parametrize(
    ("worse", "sparsities", "says"),
    [
        ((), (0.3, 0.5), "Not significantly below at any sparsity measured, up to 50%. At 50%"),
        ((), (0.5,), "Not significantly below at 50%. At 50%"),
        ((0.3,), (0.3, 0.5), "Significantly below at 30%, but not at the highest, 50%."),
        ((0.5,), (0.3, 0.5), "Significantly below at 50%. At 50%"),
    ],
)
def test_words_of_significance(
    worse: tuple[float, ...], sparsities: tuple[float, ...], says: str
) -> None:
    def judge(figures: dict[str, Any]) -> None:
        for it in figures["against_dense"]:
            below = it["sparsity"] in worse
            it["p"] = 0.001 if below else 0.2
            it["difference"] = {"estimate": -1, "low": -2, "high": -0.5 if below else 0.5}

    report = changed(swept(sparsities=sparsities, subnetworks=("random",)), judge)
    assert says in said(report, "Random against dense")


def test_words_of_the_order() -> None:
    measured = said(swept(), "Order at 50%")
    assert re.match(r"Order at 50%: Low-magnitude [\d.]+, random [\d.]+, high-magn", measured)
    assert "each above the next in 3 of 3 seeds" in measured
    assert "another order" in measured and "high-magnitude 59.35, random 54.86." in measured

    def exchange(figures: dict[str, Any]) -> None:
        names = {"high": "random", "random": "high", "low": "low"}
        for cell in figures["cells"]:
            cell["subnetwork"] = names[cell["subnetwork"]]

    assert "the same order" in said(changed(swept(), exchange), "Order at 50%")

    def one_seed_differs(figures: dict[str, Any]) -> None:
        for cell in figures["cells"]:
            if cell["seed"] == 2 and cell["subnetwork"] == "high":
                cell["retrained"]["overall"] = 60.0

    assert "in 2 of 3 seeds" in said(changed(swept(), one_seed_differs), "Order at 50%")
    assert not any("Order" in text for text in findings.summary(swept(subnetworks=("low",))))


@pytest.mark.parametrize("form", ["file", "narrow"])
def test_curves_are_means_and_bands_extremes(form: str) -> None:
    report = swept(without=LOST)
    panels = figure1.draw(report, form, figure1.LIGHT, {}).axes
    titles = ["low-magnitude (the ticket)", "high-magnitude", "random"]
    assert [axes.get_title(loc="left") for axes in panels] == titles
    for axes, subnetwork in zip(panels, report.subnetworks, strict=True):
        dense, *lines = axes.get_lines()
        overall = [it.accuracy["overall"] or 0 for it in report.dense]
        assert dense.get_ydata()[0] == pytest.approx(np.mean(overall))
        for line, stage in zip(lines, figure1.STAGES, strict=True):
            for percent, drawn in zip(line.get_xdata(), line.get_ydata(), strict=True):
                cells = report.select(subnetwork, percent / 100)
                values = [getattr(cell, stage)["overall"] for cell in cells]
                assert drawn == pytest.approx(np.mean(values)) if values else np.isnan(drawn)
        band = axes.collections[0].get_paths()[0].vertices  # retrained
        values = [it.retrained["overall"] or 0 for it in report.select(subnetwork, 0.1)]
        heights = [y for x, y in band if x == pytest.approx(10)]
        assert (min(heights), max(heights)) == pytest.approx((min(values), max(values)))
        assert axes.get_xlim() == (0, 100) and axes.get_ylim()[0] == 0


def test_figure_as_a_file() -> None:
    picture = Image.open(io.BytesIO(figure1.png(swept())))
    assert len(figure1.png(swept())) < 150_000
    assert 900 <= picture.width <= 1100
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert figure1.svg(swept()) == figure1.svg(swept())
    assert figure1.LIGHT.items() <= palettes()[0].items()


def test_figure_of_little() -> None:
    for report in (
        swept(sparsities=(0.5,), seeds=(0,)),
        swept(subnetworks=("random",)),
        changed(swept(), lambda it: it.update(cells=[], against_dense=[], dense=[])),
    ):
        assert figure1.svg(report).count("<svg") == 1
        assert figure1.inline(report, "narrow").count("<svg") == 1
    assert "bands" not in figure1.caption(swept(sparsities=(0.5,), seeds=(0,)))


# Of linear RGB: Machado, Oliveira & Fernandes, IEEE TVCG 15, 2009, severity 1.
_BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216]]
    + [[-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413]]
    + [[-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602]]
    + [[0.004733, 0.691367, 0.303900]],
}


def _lab(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """CIE 1976 L*a*b* of a colour as somebody sees it."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.maximum(to_xyz @ seen / (0.9505, 1, 1.089), 0.009))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("matrix", [np.eye(3).tolist(), *_BLINDNESS.values()])
def test_curves_differ_for_colour_blind_people(matrix: list[list[float]]) -> None:
    names = ["ink", *(colour for colour, _, _ in figure1.STAGES.values())]
    for palette in palettes():
        seen = [_lab(palette[name], matrix) for name in names]
        for at, first in enumerate(seen):
            for second in seen[at + 1 :]:
                assert np.linalg.norm(first - second) > 15


def test_files_and_back(tmp_path: Path) -> None:
    report = swept(without=LOST, beside=True)
    write(report, tmp_path / "sweep")
    assert {path.name for path in (tmp_path / "sweep").iterdir()} == {
        *("report.json", "report.md", "report.html", "table1.md", "figure1.png", "figure1.svg")
    }
    assert load(tmp_path / "sweep") == report
    table = (tmp_path / "sweep" / "table1.md").read_text()
    assert table == table_markdown(tables.table1(report))
    text = (tmp_path / "sweep" / "report.md").read_text()
    assert table in text and "](figure1.png)" in text
    columns = 0
    for line in text.splitlines():
        columns = (columns or line.count("|")) if line.startswith("|") else 0
        assert line.count("|") == columns


def test_nothing_is_written_by_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(report: Report) -> bytes:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(figure1, "png", broken)
    with pytest.raises(RuntimeError, match="no fonts"):
        write(swept(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_page_is_sound_and_loads_nothing() -> None:
    text = html(swept(without=LOST, beside=True))
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src"):
            assert value == "data:," or value[1:] in ids
    assert "http" not in text and "@import" not in text
    for heading in ("Table 1", "Zeros after retraining", "What failed", "Made by lxcompress sweep"):
        assert heading in page.text
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)
        assert set(re.findall(r"var\(--(\w+)\)", drawing)) <= {*COLOURS, "font"}


def test_hostile_names() -> None:
    def rename(figures: dict[str, Any]) -> None:
        figures["dataset"]["name"] = figures["command"] = figures["metric"] = HOSTILE
        figures["failures"] = [{"cell": HOSTILE, "message": HOSTILE}]
        figures["settings"]["scope"] = HOSTILE

    def fail(figures: dict[str, Any]) -> None:
        figures["failures"] = [{"cell": "low-50-seed0", "message": "out of memory"}]

    plain, hostile = changed(swept(beside=True), fail), changed(swept(beside=True), rename)
    before, page = Page(html(plain)), Page(html(hostile))
    assert page.tags == before.tags
    assert len(page.attributes) == len(before.attributes)
    told, text = markdown(plain), markdown(hostile)
    assert text.count("\n") == told.count("\n") and text.count("|") == told.count("|")
    assert not re.search(r"<script|<img|\]\(http|http://", text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no sweep report in .*; `lxcompress sweep` makes one"),
        ("{", "not valid JSON"),
        ("[]", "no sweep report of schema lxcompress-sweep/1"),
        ('{"schema": "lxcompress-bench/1"}', "schema: 'lxcompress-bench/1'"),
        ('{"schema": "lxcompress-sweep/1"}', "is damaged at command: Field required"),
    ],
)
def test_what_is_no_report(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(RunError, match=says) as problem:
        load(tmp_path)
    assert "\n" not in str(problem.value)


def test_readme_has_table_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "sweep.json", swept().model_dump(mode="json", by_alias=True))
    assert read(tmp_path / "sweep.json") == swept()
    monkeypatch.setattr(blocks, "RESULTS", tmp_path)
    text = fill_in("<!-- measured: sweep -->\nold\n<!-- end -->\n")
    assert table_markdown(tables.table1(swept(), ["test-dev"])) in text
    assert f"{QUESTIONS} validation questions of shapes-vqa" in text
    assert "Measured by `lxcompress sweep --output runs/sweep` on AMD EPYC, 2 cores" in text
    assert "old" not in text
