"""The sentences of a report follow from its figures, whatever these are."""

from typing import Any

import pytest
from benched import Change, changed


def speedup(low: float, middle: float, high: float) -> Change:
    """Of every ticket at every batch size."""

    def change(figures: dict[str, Any]) -> None:
        for batch in figures["latency"]:
            for ratio in batch["ratios"]:
                if ratio["isolates"] == "sparsity":
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


def compact(figures: dict[str, Any]) -> None:
    """As of a ticket that has lost heads and neurons."""
    for file in figures["size"]["files"]:
        if file["model"] == "ticket":
            file["encoding"] = "compact+bitmask"


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ((0.99, 1.0, 1.01), "although its file has fewer heads and neurons"),
        ((1.8, 1.9, 2.0), "is faster than the dense fp32 file"),
        ((0.7, 0.8, 0.9), "measured slower than the dense"),
    ],
)
def test_speed_of_a_compact_ticket(
    figures: dict[str, Any], interval: tuple[float, float, float], says: str
) -> None:
    findings = changed(figures, compact, speedup(*interval)).findings
    (speed,) = [text for text in findings["summary"] if text.startswith("Speed: ")]
    assert says.replace("fp32", "int8" if "dense int8" in speed else "fp32") in speed
    everything = " ".join(findings["speed"])
    faster = interval[0] > 1
    assert ("fewer heads and neurons, and are faster" in everything) == faster
    # PyTorch computes with the zeros: whatever it measured is not a gain of the structure.
    listed = [text for text in findings["speed"] if "fewer heads and neurons" in text]
    assert not any("PyTorch" in text for text in listed)


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
