"""The tables of a sweep's report agree with its figures."""

import json
import statistics

import numpy as np
import pytest
from simulated_sweep import FOUR_FAILED, changed, simulated_report

from benchmarks.report.sections import Table
from benchmarks.sweep import tables


def rows(table: Table) -> dict[tuple[str, str], list[str]]:
    """The rows of a table by name and sparsity."""
    assert all(len(row) == len(table.columns) for row in table.rows)
    return {(row[0], row[1]): list(row[2:]) for row in table.rows}


def test_table_1_gives_mean_and_sample_standard_deviation() -> None:
    report = simulated_report()
    found = rows(tables.table1(report))
    for kind, cell in zip(tables.ANSWER_TYPES, found["low-magnitude", "50%"][1:], strict=True):
        values = np.array([cell.retrained[kind] for cell in report.select("low", 0.5)], float)
        assert cell == f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    dense = np.array([model.accuracy["number"] for model in report.dense], float)
    assert found["dense", "0%"][3] == f"{dense.mean():.2f} ± {dense.std(ddof=1):.2f}"
    assert found["dense", "0%"][0] == "shapes-vqa, val"


def test_one_seed_has_no_standard_deviation() -> None:
    report = simulated_report(seeds=(0,))
    found = rows(tables.table1(report))
    value = report.select("random", 0.5)[0].retrained["overall"]
    assert found["random", "50%"][1] == f"{value:.2f}"
    assert "std" not in tables.table1(report).columns[0]


def test_published_rows_are_marked_and_correct() -> None:
    table = tables.table1(simulated_report())
    theirs = [row for row in table.rows if "VQA v2" in row[2]]
    assert len(theirs) == 10 and all(row[0].startswith("published: ") for row in theirs)
    assert next(
        list(row[:4]) for row in theirs if row[0].endswith("low-magnitude") and "std" in row[2]
    ) == ["published: low-magnitude", "50%", "VQA v2, test-std", "70.87 ± 1.51"]
    assert [row[3:] for row in theirs if "DistillVLM" in row[0]][0] == ["69.60", "–", "–", "–"]
    few = tables.table1(simulated_report(), ["test-dev"])
    assert len(few.rows) == len(table.rows) - 5


@pytest.mark.parametrize(
    ("sparsities", "nearest"), [((0.2, 0.9), "20%"), ((0.4, 0.6), "40%"), ((0.125, 0.7), "70%")]
)
def test_table_1_has_the_sparsity_nearest_to_the_papers(
    sparsities: tuple[float, ...], nearest: str
) -> None:
    found = rows(tables.table1(simulated_report(sparsities=sparsities, seeds=(0,))))
    assert ("high-magnitude", nearest) in found


def test_missing_cells_are_dashes() -> None:
    report = simulated_report(without=FOUR_FAILED)
    first = rows(tables.table1(report))
    assert first["low-magnitude", "50%"][1:] == ["–"] * 4
    assert first["high-magnitude (2 seeds)", "50%"][1] != "–"
    every = rows(tables.all_sparsities(report))
    assert len(every) == 15
    assert every["low", "50%"] == ["–"] * 6
    assert len(tables.differences(report).rows) == 14
    failed = tables.failed(report).rows
    assert [row[0] for row in failed] == [
        *("low-50-seed0", "low-50-seed1", "low-50-seed2", "high-50-seed1")
    ]


def test_differences_from_dense_are_shown_with_interval_and_p() -> None:
    report = simulated_report()
    (found,) = [it for it in report.comparisons("random") if it.sparsity == 0.5]
    text, p, kept = rows(tables.differences(report))["random", "50%"]
    difference = found.difference
    assert text.startswith(f"−{-difference.estimate:.2f} points (−{-difference.low:.2f} to ")
    assert p == "< 0.001" and found.p < 0.001
    assert found.kept and kept == f"{100 * found.kept:.1f}%"


def test_a_control_is_a_row_of_its_own_and_a_base_of_comparison() -> None:
    report = simulated_report(control=True)
    found = rows(tables.table1(report))
    control = [cell.control for cell in report.select("low", 0.5)]
    values = np.array([it.accuracy["overall"] for it in control if it], float)
    assert len(values) == 3
    expected = f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    assert found["dense, trained as long", "0%"][1] == expected
    assert "low-Taylor" in [row[0] for row in tables.table1(report).rows]
    against = rows(tables.differences(report, control=True))["random", "50%"]
    (comparison,) = [it for it in report.comparisons("random", control=True) if it.sparsity == 0.5]
    retrained = [cell.retrained["overall"] or 0 for cell in report.select("random", 0.5)]
    difference = statistics.mean(retrained) - values.mean()
    assert comparison.difference.estimate == pytest.approx(difference)
    assert against[0].startswith(f"−{-comparison.difference.estimate:.2f} points")
    # Whole heads and neurons do not end exactly at the target.
    every = tables.all_sparsities(report)
    assert list(every.columns[1:3]) == ["target sparsity", "sparsity"]
    assert rows(every)["low", "50%"][0] == "50.40%"
    assert not tables.differences(simulated_report(), control=True).rows


def test_protocol_shows_the_sparsity_after_retraining() -> None:
    report = simulated_report(beside=True)
    table = tables.protocol(report)
    assert table.columns[2].startswith("mask enforced, scope global")
    assert table.columns[4].startswith("mask not enforced, scope layer")
    ours, _, theirs, accuracy = rows(table)["low-magnitude", "50%"]
    assert (ours, theirs) == ("50.00%", "0.05%")
    assert report.beside
    retrained = [cell.retrained["overall"] or 0 for cell in report.beside.select("low", 0.5)]
    assert accuracy.startswith(f"{statistics.mean(retrained):.2f} ± ")


def test_protocol_without_another_sweep_has_its_own_columns_only() -> None:
    assert len(tables.protocol(simulated_report(enforce=False)).columns) == 4


def test_protocol_of_two_sweeps_of_one_procedure_tells_them_apart() -> None:
    twice = changed(
        simulated_report(), lambda figures: figures.update(beside=json.loads(json.dumps(figures)))
    )
    assert len(set(tables.protocol(twice).columns)) == 5  # "accuracy, %" twice
