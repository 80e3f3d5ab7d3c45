"""The measured blocks of the README and of docs/."""

from pathlib import Path

import pytest
from simulated_sweep import QUESTIONS, simulated_report

from benchmarks.readme.blocks import parts
from benchmarks.readme.fill_in import fill_in
from benchmarks.report.markdown import table_markdown
from benchmarks.sweep import tables
from benchmarks.sweep.report import read
from lxcompress.system.files import write_json


def test_the_block_of_the_sweep_is_table_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "sweep.json", simulated_report().model_dump(mode="json", by_alias=True))
    assert read(tmp_path / "sweep.json") == simulated_report()
    monkeypatch.setattr(parts, "RESULTS", tmp_path)
    text = fill_in("<!-- measured: sweep -->\nprevious text\n<!-- end -->\n")
    assert table_markdown(tables.table1(simulated_report(), ["test-dev"])) in text
    assert f"{QUESTIONS} validation questions of shapes-vqa" in text
    assert "Measured by `lxcompress sweep --output runs/sweep` on AMD EPYC, 2 cores" in text
    assert "previous text" not in text


def test_the_block_of_structured_tickets_has_a_row_for_each_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"pattern": "structured", "criterion": "taylor", "rewind": "lr"}
    report = simulated_report()
    report = report.model_copy(update={"settings": report.settings | settings})
    rewound = report.model_copy(update={"settings": report.settings | {"rewind": "weights"}})
    report = report.model_copy(update={"beside": rewound})
    path = tmp_path / "sweep_structured.json"
    write_json(path, report.model_dump(mode="json", by_alias=True))
    monkeypatch.setattr(parts, "RESULTS", tmp_path)
    text = fill_in("<!-- measured: structured_sweep -->\n<!-- end -->\n")
    low = report.select("low", report.sparsities[0])
    row = f"{tables.final_sparsity(low)} | {tables.overall([cell.retrained for cell in low])}"
    assert f"| low-Taylor, `--rewind lr` | {row}" in text
    assert f"| low-Taylor, `--rewind weights` | {row}" in text
    cells = len(report.subnetworks) * len(report.sparsities)
    assert text.count("`--rewind weights`") == text.count("`--rewind lr`") == cells
