"""The sentences of a sweep's report agree with its figures."""

import re
from typing import Any

import pytest
from simulated_sweep import FOUR_FAILED, changed, simulated_report

from benchmarks.sweep import findings
from benchmarks.sweep.schema import Report


def finding(report: Report, subject: str) -> str:
    """The only sentence of the summary about a subject."""
    (found,) = [text for text in findings.summary(report) if text.startswith(subject)]
    return found


def test_retained_accuracy_and_significant_losses_of_the_winning_ticket() -> None:
    def low(figures: dict[str, Any]) -> None:
        for comparison in figures["against_dense"]:
            if comparison["subnetwork"] == "low":
                worse = comparison["sparsity"] in (0.1, 0.9)
                comparison |= {
                    "p": 0.01 if worse else 0.3,
                    "kept": 0.99,
                    "difference": {"estimate": -1, "low": -2, "high": -0.5 if worse else 0.5},
                }

    report = changed(simulated_report(), low)
    half = finding(report, "Low-magnitude at 50%: ")
    assert "Retains 99.0% of dense accuracy, " in half
    assert "difference is −1.00 points (−2.00 to +0.50), adjusted p = 0.30." in half
    highest = finding(report, "Highest sparsity without significant loss")
    assert "Low-magnitude at 70% retains" in highest
    assert finding(report, "Low-magnitude against dense: ").startswith(
        "Low-magnitude against dense: Significantly below at 90%, and at 10%. At 90% the difference"
    )
    high = finding(simulated_report(), "High-magnitude against dense")
    assert "below at 30% and at every higher" in high


@pytest.mark.parametrize(
    ("worse", "sparsities", "text"),
    [
        ((), (0.3, 0.5), "Not significantly below at any measured sparsity, up to 50%. At 50%"),
        ((), (0.5,), "Not significantly below at 50%. At 50%"),
        ((0.3,), (0.3, 0.5), "Significantly below at 30%, but not at the highest, 50%."),
        ((0.5,), (0.3, 0.5), "Significantly below at 50%. At 50%"),
    ],
)
def test_sparsities_of_significant_losses(
    worse: tuple[float, ...], sparsities: tuple[float, ...], text: str
) -> None:
    def judge(figures: dict[str, Any]) -> None:
        for comparison in figures["against_dense"]:
            below = comparison["sparsity"] in worse
            comparison["p"] = 0.001 if below else 0.2
            comparison["difference"] = {"estimate": -1, "low": -2, "high": -0.5 if below else 0.5}

    report = changed(simulated_report(sparsities=sparsities, subnetworks=("random",)), judge)
    assert text in finding(report, "Random against dense")


def test_tickets_are_compared_with_the_control() -> None:
    report = simulated_report(control=True)
    half = finding(report, "Low-Taylor at 50% against the control: ")
    assert "of the control's accuracy" in half and "(mean of 3 seeds)" in half
    assert "below at" in finding(report, "High-Taylor against the control: ")
    assert "as many epochs in all" in " ".join(findings.method(report))
    without = findings.summary(simulated_report()) + findings.method(simulated_report())
    assert not any("the control" in text or "epochs in all" in text for text in without)


def test_ranking_is_compared_with_the_papers() -> None:
    measured = finding(simulated_report(), "Ranking at 50%")
    assert re.match(r"Ranking at 50%: Low-magnitude [\d.]+, random [\d.]+, high-magn", measured)
    assert "it holds in 3 of 3 seeds" in measured
    assert "another ranking" in measured and "high-magnitude 59.35, random 54.86." in measured

    def exchange(figures: dict[str, Any]) -> None:
        names = {"high": "random", "random": "high", "low": "low"}
        for cell in figures["cells"]:
            cell["subnetwork"] = names[cell["subnetwork"]]

    assert "the same ranking" in finding(changed(simulated_report(), exchange), "Ranking at 50%")

    def one_seed_differs(figures: dict[str, Any]) -> None:
        for cell in figures["cells"]:
            if cell["seed"] == 2 and cell["subnetwork"] == "high":
                cell["retrained"]["overall"] = 60.0

    assert "in 2 of 3 seeds" in finding(
        changed(simulated_report(), one_seed_differs), "Ranking at 50%"
    )
    one = simulated_report(subnetworks=("low",))
    assert not any("Ranking" in text for text in findings.summary(one))


def test_regrown_weights_are_reported_beside_an_enforced_mask() -> None:
    enforced, regrown = findings.regrowth(simulated_report(beside=True))
    assert enforced == (
        "With mask enforced, scope global, all 45 networks ended at the target sparsity."
    )
    assert "pruned weights regrew while retraining in 45 of 45 networks: " in regrown
    assert "the target was 10% to 90% of the prunable weights" in regrown
    assert "0.01% to 0.09% were zero after retraining" in regrown


def test_regrown_weights_are_reported_of_a_single_sweep() -> None:
    assert findings.regrowth(simulated_report()) == []
    (regrown,) = findings.regrowth(simulated_report(enforce=False))
    assert regrown.startswith("With mask not enforced, scope layer, pruned weights regrew")


def test_failed_runs_are_counted() -> None:
    report = simulated_report(without=FOUR_FAILED)
    assert findings.summary(report)[-1].startswith("Failed: 4 runs did not finish")
