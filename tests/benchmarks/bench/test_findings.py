"""The sentences of a report follow from its figures, whatever these are."""

from typing import Any

import pytest
from benched import Change, changed, controlled, structured

from benchmarks.bench import tables


def speedup(low: float, middle: float, high: float) -> Change:
    """Of every ticket at every batch size."""

    def change(figures: dict[str, Any]) -> None:
        for batch in figures["latency"]:
            for ratio in batch["ratios"]:
                if ratio["isolates"] in ("sparsity", "structure"):
                    ratio["times_as_fast"] = {"low": low, "estimate": middle, "high": high}

    return change


def difference(low: float, middle: float, high: float) -> Change:
    def change(figures: dict[str, Any]) -> None:
        for comparison in figures["accuracy"]["comparisons"]:
            overall = comparison["by_type"]["overall"]
            overall["difference"] = {"low": low, "estimate": middle, "high": high}

    return change


def test_size(figures: dict[str, Any]) -> None:
    def sizes(figures: dict[str, Any]) -> None:
        for file in figures["size"]["files"]:
            if file["variant"] == "sparse-int8":
                file |= {"bytes": 1, "of_dense_fp32": 0.19, "of_dense_same_precision": 0.7}

    findings = changed(figures, sizes).findings
    assert findings["summary"][1] == (
        "Size: The int8 ticket file has 19.0% of the size of the dense fp32 file, the dense int8 "
        "file 27.1%. Sparsity makes the int8 file 30.0% smaller."
    )
    (fp32,) = [text for text in findings["size"] if text.startswith("The fp32 ticket file")]
    assert "sparsity alone makes it" in fp32


@pytest.mark.parametrize(
    ("interval", "says", "says_not"),
    [
        ((0.97, 0.99, 1.02), "unstructured sparsity does not speed up", "faster than"),
        ((1.003, 1.01, 1.014), "unstructured sparsity does not speed up", "faster than"),
        ((0.5, 1.1, 1.9), "interval is wide", "as fast as the dense"),
        ((1.2, 1.3, 1.4), "measured faster than the dense", "as fast as the dense"),
        ((0.7, 0.8, 0.9), "measured slower than the dense", "as fast as the dense"),
    ],
)
def test_speed(
    figures: dict[str, Any], interval: tuple[float, float, float], says: str, says_not: str
) -> None:
    findings = changed(figures, speedup(*interval)).findings
    (speed,) = [text for text in findings["summary"] if text.startswith("Speed: ")]
    assert says in speed
    assert says_not not in speed
    low, middle, high = interval
    assert f"(speedup {middle:.2f}, 95% interval {low:.2f}–{high:.2f}; batch 1)" in speed
    everything = " ".join(findings["speed"])
    different = high < 0.97 or low > 1.03
    assert ("does not speed up dense kernels" in everything) == (says_not == "faster than")
    assert ("is not attributed to sparsity" in speed) == different
    assert ("is not attributed to sparsity" in everything) == different


FEWER = "its file has fewer heads and neurons, and 40% of the multiply-adds."


@pytest.mark.parametrize(
    ("interval", "verdict", "reason", "on_all"),
    [
        (
            (0.99, 1.0, 1.01),
            "is as fast as the dense {} file",
            f"although {FEWER}",
            "fewer heads and neurons, but are only as fast as",
        ),
        (
            (1.8, 1.9, 2.0),
            "is faster than the dense {} file",
            f": {FEWER}",
            "fewer heads and neurons, and are faster than",
        ),
        (
            (0.7, 0.8, 0.9),
            "measured slower than the dense {} file",
            f"although {FEWER}",
            "slower than the dense files of the same precision, although they have fewer heads",
        ),
        ((0.5, 1.1, 1.9), "No significant difference", "interval is wide", "intervals are wide"),
    ],
)
def test_speed_of_a_structured_ticket(
    figures: dict[str, Any],
    interval: tuple[float, float, float],
    verdict: str,
    reason: str,
    on_all: str,
) -> None:
    report = changed(figures, structured, speedup(*interval))
    file = min(report.size.tickets, key=lambda ticket: ticket.bytes)
    (speed,) = [text for text in report.findings["summary"] if text.startswith("Speed: ")]
    assert verdict.format(file.precision) in speed and reason in speed
    assert "same shapes" not in speed and "unstructured" not in speed
    about = [text for text in report.findings["speed"] if "ONNX Runtime fp32" in text]
    assert len(about) == 2 and all(on_all in text for text in about)
    assert not any("same shapes" in text or "nstructured" in text for text in about)
    # PyTorch computes with the zeros: whatever it measured is not a gain of the structure.
    assert not any("PyTorch" in text for text in about if "fewer heads" in text)


@pytest.mark.parametrize(
    ("change", "kind"), [(lambda figures: None, "sparsity"), (structured, "structure")]
)
def test_attribution_of_speed(figures: dict[str, Any], change: Change, kind: str) -> None:
    factors = {"runtime": 2.0, "precision": 3.0, kind: 1.5, "all": 9.0}

    def factor(figures: dict[str, Any]) -> None:
        for ratio in figures["latency"][0]["ratios"]:
            value = factors.get(ratio["isolates"], 1.0)
            ratio["times_as_fast"] = {"low": value - 0.05, "estimate": value, "high": value + 0.05}

    def smallest(figures: dict[str, Any]) -> None:
        for file in figures["size"]["files"]:
            if file["variant"] == "sparse-int8":
                file["bytes"] = 1

    summary = changed(figures, smallest, change, factor).findings["summary"]
    (text,) = [text for text in summary if text.startswith("Attribution of speed: ")]
    assert text == (
        "Attribution of speed: The int8 ticket in ONNX Runtime against the dense fp32 model in "
        "PyTorch eager: speedup 9.00, 95% interval 8.95–9.05 (batch 1). The factors are runtime "
        f"and graph 2.00, precision 3.00 and {kind} 1.50."
    )
    factors[kind] = 1.0
    summary = changed(figures, smallest, change, factor).findings["summary"]
    assert f"precision 3.00 and {kind} 1.00 (no gain)." in " ".join(summary)


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (1, "and 1.95 (1.90–2.00) is measured here."),
        (4, "and nothing is measured here; that takes files in fp32 and --batch-size 4."),
    ],
)
def test_requested_speedup(figures: dict[str, Any], batch: int, says: str) -> None:
    def request(figures: dict[str, Any]) -> None:
        figures["speedup"] = {
            "target": 2.0,
            "predicted": 2.01,
            "precision": "fp32",
            "batch": batch,
            "tokens": 9,
            "regions": 4,
            "machine": {},
        }

    report = changed(figures, structured, speedup(1.9, 1.95, 2.0), request)
    (text,) = [it for it in report.findings["summary"] if it.startswith("Requested speedup: ")]
    assert text == (
        f"Requested speedup: the target is 2.00 in fp32 at batch {batch}, 2.01 was predicted, "
        f"{says}"
    )
    without = changed(figures, structured).findings["summary"]
    assert not any(it.startswith("Requested speedup: ") for it in without)


def test_structure_and_multiply_adds(figures: dict[str, Any]) -> None:
    findings = changed(figures, structured).findings
    assert findings["structure"] == [
        "The ticket's files have 7 of the 10 heads (70.0%) and 10 of the 192 neurons (5.2%) of the "
        "dense model.",
        "Sublayers without any: language layer 0, feed-forward; language layer 1, feed-forward.",
    ]
    assert "40.0% of the" in findings["speed"][0]
    unstructured = changed(figures).findings
    assert unstructured["structure"] == []
    assert "as many multiply-adds as the dense model's" in unstructured["speed"][0]


def test_dense_control(figures: dict[str, Any]) -> None:
    report = changed(figures, controlled)
    sentence = report.findings["accuracy"][-1]
    assert sentence == report.findings["summary"][-1]
    assert sentence.startswith(
        "Dense control: trained for 8 epochs, as long as the ticket, the dense model "
        "changes by +5.00 points (+4.00 to +6.00): what longer training alone gains. The ticket "
        "against this control: −0.50 points (−1.00 to +0.50), McNemar's p "
    )
    assert sentence.endswith("no significant difference over 120 questions.")
    table = tables.by_type(report)
    assert table.caption.startswith("Effect of pruning and of longer training by answer type")
    assert [row[0] for row in table.rows][-2:] == [
        "PyTorch eager, dense control fp32 − dense fp32",
        "PyTorch eager, ticket fp32 − dense control fp32",
    ]
    without = changed(figures)
    assert tables.by_type(without).caption.startswith("Effect of pruning by answer type")
    assert not any("control" in text for text in without.findings["accuracy"])


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((-0.1, 0.1, 0.3), "gains nothing significant"),
        ((-0.3, -0.2, -0.1), "longer training alone is a loss"),
    ],
)
def test_longer_training_that_gains_nothing(
    figures: dict[str, Any], interval: tuple[float, float, float], verdict: str
) -> None:
    def trained(figures: dict[str, Any]) -> None:
        for comparison in figures["accuracy"]["comparisons"]:
            if comparison["isolates"] == "training":
                ends = dict(zip(("low", "estimate", "high"), interval, strict=True))
                comparison["by_type"]["overall"]["difference"] = ends

    assert verdict in changed(figures, controlled, trained).findings["accuracy"][-1]


def test_a_control_without_answers(figures: dict[str, Any]) -> None:
    def epochs(figures: dict[str, Any]) -> None:
        figures["dense_control"] = {"accuracy": {"overall": 60.0}, "epochs": 8}

    sentence = changed(figures, epochs).findings["accuracy"][-1]
    assert "reaches 60.00%. Its answers are not in the run's predictions/" in sentence


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ((-0.4, 0.2, 0.8), "no significant difference over 120 questions"),
        ((0.1, 0.5, 0.9), "the ticket is better"),
        ((-0.9, -0.5, -0.1), "the ticket is worse"),
    ],
)
def test_accuracy(figures: dict[str, Any], interval: tuple[float, float, float], says: str) -> None:
    findings = changed(figures, difference(*interval)).findings
    (accuracy,) = [text for text in findings["summary"] if text.startswith("Accuracy: ")]
    assert says in accuracy
    assert all(says in text for text in findings["accuracy"] if not text.startswith("By answer"))


def test_no_question_is_answered_correctly(figures: dict[str, Any]) -> None:
    def wrong(figures: dict[str, Any]) -> None:
        for comparison in figures["accuracy"]["comparisons"]:
            overall = comparison["by_type"]["overall"]
            overall["difference"] = {"low": 0.0, "estimate": 0.0, "high": 0.0}
            overall["mcnemar"] |= {"both": 0, "only_of": 0, "only_against": 0, "neither": 120}

    sentences = changed(figures, wrong).findings["accuracy"]
    assert all(
        text.endswith("neither answers any of 120 questions correctly: not informative.")
        for text in sentences
        if not text.startswith("By answer type")
    )
    assert not any("no significant difference" in text for text in sentences)


@pytest.mark.parametrize(
    ("share", "says"), [(0.9999, "less than 0.1% smaller"), (0.95, "most 5.0%")]
)
def test_entropy_bound(figures: dict[str, Any], share: float, says: str) -> None:
    def bound(figures: dict[str, Any]) -> None:
        for file in figures["size"]["files"]:
            file["entropy_bound"] = round(share * file["formula"])

    assert says in " ".join(changed(figures, bound).findings["size"])


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        ((0.1, 0.3), "The times of 4 loads of each overlap."),
        ((0.7, 0.9), "Decoding costs 600 ms."),
        ((0.01, 0.03), "The ticket loads 180 ms faster."),
    ],
)
def test_loading(figures: dict[str, Any], seconds: tuple[float, float], says: str) -> None:
    def loads(figures: dict[str, Any]) -> None:
        for it in figures["loading"]:
            first, last = seconds if it["model"] == "ticket" else (0.15, 0.25)
            samples = [first, first, last, last]
            it["seconds"] |= {"samples": samples, "median": (first + last) / 2}

    sentences = changed(figures, loads).findings["loading"]
    assert len(sentences) == 6  # three precisions, two loaders
    assert all(text.endswith(says) for text in sentences)
