"""The page: safe, well-formed, and readable in light and dark, whatever the sections say."""

from benched import HOSTILE
from report_page import Page, contrast, palettes

from benchmarks.report.html import figure, page
from benchmarks.report.sections import Section, Table, machine_table

SAFE = "a sentence"


def page_of(text: str) -> str:
    """A page with `text` in every place that takes text."""
    table = Table(text, [text, text], [[text, text]], [text])
    sections = [Section("Summary", [text]), Section("Size of files", [text], [table], ["plot"])]
    drawings = ['<svg class="wide"></svg>']
    return page(
        text,
        text,
        sections,
        lambda name: figure(f"{name} {text}", drawings, {"mask": text}),
        command=text,
        version=text,
        finished=text,
    )


def test_hostile_text_is_shown_as_it_is() -> None:
    hostile, safe = Page(page_of(HOSTILE)), Page(page_of(SAFE))
    assert hostile.tags == safe.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in safe.attributes]
    assert hostile.text.count("<script>alert(1)</script>") == safe.text.count("a sentence")


def test_sections_are_linked_and_labelled() -> None:
    attributes = Page(page_of(SAFE)).attributes
    assert ("href", "#size-of-files") in attributes
    assert ("id", "size-of-files") in attributes
    assert ("aria-labelledby", "size-of-files") in attributes
    assert ("aria-label", "Summary") in attributes


def test_the_subject_of_a_summary_is_marked() -> None:
    assert "<li><strong>Size</strong> small: very</li>" in page_of("Size: small: very")


def test_numbers_are_not_separated_from_their_units() -> None:
    assert "<li>in 12&nbsp;ms and 1.5&nbsp;MB</li>" in page_of("in 12 ms and 1.5 MB")
    assert "+0.23&nbsp;points" in page_of("+0.23 points, p = 0.16")
    assert "p&nbsp;=&nbsp;0.16" in page_of("+0.23 points, p = 0.16")


def test_text_columns_are_aligned_to_the_left() -> None:
    table = Table("Sizes", ["file", "MB", "loader"], [["a", "1.5", "stock"]], ["loader"])
    text = page("", "", [Section("", []), Section("", [], [table])], str, **FOOTER)
    assert '<td><span>1.5</span></td><td class="text"><span>stock</span></td>' in text


FOOTER = {"command": "bench", "version": "0.1.0", "finished": "2026-11-22"}


def test_a_figure_without_a_legend() -> None:
    assert figure("A & B", ["<svg></svg>"]) == (
        "<figure><figcaption>A &amp; B</figcaption><svg></svg></figure>"
    )


def test_contrast_in_light_and_dark() -> None:
    for palette in palettes():
        for ground in ("page", "card"):
            for text in ("ink", "muted", "link"):
                assert contrast(palette[text], palette[ground]) >= 4.5, text
            for mark in ("mask", "values", "unpruned", "container", "dense", "ticket", "control"):
                assert contrast(palette[mark], palette[ground]) >= 3, mark


def test_machine_table() -> None:
    environment = {
        "versions": {"lxcompress": "0.1.0", "torch": "2.13.0"},
        "system": "Linux",
        "processor": "AMD EPYC",
        "cores": 2,
        "torch_threads": 1,
        "memory_bytes": None,
        "device": "cuda",
        "gpu": "NVIDIA H100",
    }
    rows = {row[0]: row[1] for row in machine_table([("run", "tiny")], environment).rows}
    assert rows["run"] == "tiny" and rows["device"] == "NVIDIA H100"
    assert rows["processor"] == "AMD EPYC, 2 cores" and rows["memory"] == "unknown"
    assert rows["versions"] == "lxcompress 0.1.0, torch 2.13.0"
    known = machine_table([], {**environment, "memory_bytes": 25_000_000_000})
    assert ("memory", "25,000 MB") in known.rows
