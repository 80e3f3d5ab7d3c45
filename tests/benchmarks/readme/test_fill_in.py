"""The figures in the README and in docs/ are those of the result files."""

import re

import pytest

from benchmarks.readme.blocks import BLOCKS
from benchmarks.readme.fill_in import ROOT, documents, fill_in
from lxcompress.errors import ConfigError


def test_every_block_is_as_the_result_files_say() -> None:
    names = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        assert fill_in(text, path.name) == text, f"run python -m benchmarks.readme.fill_in: {path}"
        names += re.findall(r"<!-- measured: (\w+) -->", text)
        assert text.count("<!-- measured: ") == text.count("<!-- end -->")
    assert sorted(names) == sorted(BLOCKS)


def test_documents_are_the_readme_and_the_pages_in_docs() -> None:
    assert documents()[0] == ROOT / "README.md"
    assert documents()[1:] == sorted((ROOT / "docs").glob("*.md"))


def test_text_around_blocks_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLOCKS, "one", lambda: "1\n")
    monkeypatch.setitem(BLOCKS, "two", lambda: r"\g<0>" + "\n")
    text = "a\n<!-- measured: one -->\nold\n<!-- end -->\nb\n<!-- measured: two -->\n<!-- end -->"
    assert fill_in(text) == text.replace("old", "1").replace("two -->\n", "two -->\n\\g<0>\n")
    assert fill_in("no block <!-- here -->\n") == "no block <!-- here -->\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "\n<!-- measured: tickets -->\n<!-- end -->",
            "line 2: no block is named tickets; known: ",
        ),
        (
            "<!-- measured: main-job -->\n<!-- end -->",
            "line 1: no block is named main-job; known: ",
        ),
        ("<!-- measured: speed -->\n| old |\n", "README.md: block speed has no `<!-- end -->`"),
        (
            "<!-- measured: speed -->\n<!-- measured: protocol -->\n<!-- end -->",
            "line 2: block speed has no `<!-- end -->` before `<!-- measured: protocol -->`",
        ),
        ("<!-- end -->", "line 1: no block is open before `<!-- end -->`"),
    ],
)
def test_unknown_and_unclosed_blocks_are_errors(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as problem:
        fill_in(text)
    assert message in str(problem.value)
