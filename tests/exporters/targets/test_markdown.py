"""Any text as inert Markdown; templates are filled in completely."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from exporters.targets.markdown import escape_markdown, fill_template
from lxcompress.system.text import one_line

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("|`*_<>[]()#\n&;\\$~!:/w."))
def test_any_text_renders_as_itself(text: str) -> None:
    inline = PARSER.parse(f"a {escape_markdown(text)} b")[1]
    assert {token.type for token in inline.children or []} <= {"text", "text_special"}
    rendered = "".join(token.content for token in inline.children or [])
    assert rendered == f"a {one_line(text) or 'unnamed'} b"


def test_a_template_is_filled_in_completely(tmp_path: Path) -> None:
    path = tmp_path / "template.md"
    path.write_text("# $name\n\n$$PWD ${count} réponses\n", encoding="utf-8")
    assert fill_template(path, name="a $b", count=3) == "# a $b\n\n$PWD 3 réponses\n"
    with pytest.raises(KeyError, match="count"):
        fill_template(path, name="a")
