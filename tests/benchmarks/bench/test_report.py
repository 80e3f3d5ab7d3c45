"""The words of a report follow from its figures, whatever these are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from benched import HOSTILE, Change, benched_copy, changed

from benchmarks.bench.report import markdown
from benchmarks.report.markdown import escape
from benchmarks.report.numbers import duration, megabytes, milliseconds, p_value, pair, signed


@pytest.fixture(scope="module")
def figures(tiny_exported: Path) -> dict[str, Any]:
    """The content of a report.json; not to be changed."""
    folder = benched_copy(tiny_exported)
    return json.loads((folder / "bench" / "report.json").read_text())


def ratio(low: float, middle: float, high: float) -> Change:
    """Of every ticket in every batch."""

    def change(figures: dict[str, Any]) -> None:
        for batch in figures["latency"]:
            for found in batch["ratios"]:
                if found["isolates"] == "sparsity":
                    found["times_as_fast"] = {"low": low, "estimate": middle, "high": high}

    return change


def difference(low: float, middle: float, high: float) -> Change:
    def change(figures: dict[str, Any]) -> None:
        for comparison in figures["accuracy"]["comparisons"]:
            overall = comparison["by_type"]["overall"]
            overall["difference"] = {"low": low, "estimate": middle, "high": high}

    return change


def test_words_of_size(figures: dict[str, Any]) -> None:
    def sizes(figures: dict[str, Any]) -> None:
        for file in figures["size"]["files"]:
            if file["variant"] == "sparse-int8":
                file |= {"bytes": 1, "of_dense_fp32": 0.19, "of_dense_same_precision": 0.7}

    said = changed(figures, sizes).findings
    assert said["summary"][1] == (
        "Size: The int8 ticket file is 19.0% of the dense fp32 file; the same precision without "
        "sparsity is 27.1%. Sparsity makes the int8 file 30.0% smaller."
    )
    (fp32,) = [sentence for sentence in said["size"] if sentence.startswith("The fp32 ticket")]
    assert "all of the difference is sparsity" in fp32


@pytest.mark.parametrize(
    ("interval", "says", "says_not"),
    [
        ((0.97, 0.99, 1.02), "sparsity of this kind does not make it faster", "faster than"),
        ((1.003, 1.01, 1.014), "sparsity of this kind does not make it faster", "faster than"),
        ((0.5, 1.1, 1.9), "interval is wide", "as fast as the dense"),
        ((1.2, 1.3, 1.4), "no gain is claimed", "as fast as the dense"),
        ((0.7, 0.8, 0.9), "it measured slower", "as fast as the dense"),
    ],
)
def test_words_of_speed(
    figures: dict[str, Any], interval: tuple[float, float, float], says: str, says_not: str
) -> None:
    said = changed(figures, ratio(*interval)).findings
    (speed,) = [text for text in said["summary"] if text.startswith("Speed: ")]
    assert says.casefold() in speed.casefold()
    assert says_not not in speed
    low, middle, high = interval
    assert f"(ratio {middle:.2f}, {low:.2f}–{high:.2f}; batch 1)" in speed
    everything = " ".join(said["speed"])
    assert ("does not make it faster" in everything) == (says_not == "faster than")
    assert ("no work saved by sparsity" in everything) == (high < 0.97 or low > 1.03)


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ((-0.4, 0.2, 0.8), "no difference that 120 questions can show"),
        ((0.1, 0.5, 0.9), "the ticket is better"),
        ((-0.9, -0.5, -0.1), "the ticket is worse"),
    ],
)
def test_words_of_accuracy(
    figures: dict[str, Any], interval: tuple[float, float, float], says: str
) -> None:
    said = changed(figures, difference(*interval)).findings
    (accuracy,) = [text for text in said["summary"] if text.startswith("Accuracy: ")]
    assert says in accuracy
    assert all(says in text for text in said["accuracy"] if not text.startswith("By type"))


def test_words_where_no_question_is_answered_right(figures: dict[str, Any]) -> None:
    def wrong(figures: dict[str, Any]) -> None:
        for comparison in figures["accuracy"]["comparisons"]:
            overall = comparison["by_type"]["overall"]
            overall["difference"] = {"low": 0.0, "estimate": 0.0, "high": 0.0}
            overall["mcnemar"] |= {"both": 0, "only_of": 0, "only_against": 0, "neither": 120}

    said = changed(figures, wrong).findings["accuracy"]
    assert all(
        text.endswith("neither answers any of 120 questions right; it tells nothing.")
        for text in said
        if not text.startswith("By type")
    )
    assert not any("no difference" in text for text in said)


@pytest.mark.parametrize(("share", "says"), [(0.9999, "even 0.1% smaller"), (0.95, "most 5.0%")])
def test_words_of_the_bound(figures: dict[str, Any], share: float, says: str) -> None:
    def bound(figures: dict[str, Any]) -> None:
        for file in figures["size"]["files"]:
            file["entropy_bound"] = round(share * file["formula"])

    assert says in " ".join(changed(figures, bound).findings["size"])


def test_figures_as_text() -> None:
    assert [signed(value) for value in (0.3, -0.3, 0.001, -0.001)] == [
        *("+0.30", "−0.30", "0.00", "0.00")
    ]
    assert [milliseconds(value) for value in (0.00123, 0.0123, 0.123, 12.3)] == [
        *("1.23 ms", "12.3 ms", "123 ms", "12,300 ms")
    ]
    assert [duration(value) for value in (0.419, 1.2345, 12.34)] == ["419 ms", "1.23 s", "12.3 s"]
    sizes = (1_234_567, 64_310_000, 829_000_000, 25_277_000_000)
    assert [megabytes(size) for size in sizes] == ["1.23 MB", "64.3 MB", "829 MB", "25,277 MB"]
    assert [p_value(p) for p in (0.0001, 0.012, 0.5)] == ["< 0.001", "= 0.012", "= 0.50"]
    names = ("ONNX Runtime ticket int8", "ONNX Runtime dense fp32")
    assert pair(*names) == ("ticket int8", "dense fp32", "ONNX Runtime")


def test_escape() -> None:
    assert "\n" not in escape("a\nb")
    assert not re.search(r"[|<>`*_\[\]]", escape(HOSTILE))


def test_markdown_tables_are_whole(figures: dict[str, Any]) -> None:
    columns = 0
    for line in markdown(changed(figures)).splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        columns = columns or line.count("|")
        assert line.count("|") == columns


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        ((0.1, 0.3), "The times of 4 loads each overlap."),
        ((0.7, 0.9), "Decoding costs 600 ms."),
        ((0.01, 0.03), "The ticket is ready 180 ms earlier."),
    ],
)
def test_words_of_loading(figures: dict[str, Any], seconds: tuple[float, float], says: str) -> None:
    def loads(figures: dict[str, Any]) -> None:
        for it in figures["loading"]:
            first, last = seconds if it["model"] == "ticket" else (0.15, 0.25)
            samples = [first, first, last, last]
            it["seconds"] |= {"samples": samples, "median": (first + last) / 2}

    said = changed(figures, loads).findings["loading"]
    assert len(said) == 6  # three precisions, by two loaders
    assert all(text.endswith(says) for text in said)
