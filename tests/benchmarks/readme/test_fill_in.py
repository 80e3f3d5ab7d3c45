"""The README's figures are those of the result files."""

from benchmarks.readme.fill_in import ROOT, fill_in


def test_measured_figures_are_as_measured() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_in(text) == text
    assert text.count("<!-- measured: ") == text.count("<!-- end -->") == 7
