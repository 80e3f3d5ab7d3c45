"""Texts that cannot be encoded are found, and paths can always be printed."""

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from lxcompress.system.text import find_lone_surrogate, is_utf8, printable_path


@given(st.text(st.one_of(st.characters(codec=None), st.sampled_from("\ud83d\ude00\\u"))))
def test_a_lone_surrogate_is_found_exactly_where_a_text_cannot_be_encoded(text: str) -> None:
    # A high and a low half that follow one another are one character in JSON.
    assert (find_lone_surrogate(json.dumps(text)) is None) == is_utf8(json.loads(json.dumps(text)))


def test_the_place_of_a_lone_surrogate() -> None:
    text = '["\\ud83d\\ude00 whole",\n  "half \\ud83d"]'
    found = find_lone_surrogate(text)
    assert found is not None
    line, column = text.splitlines()[1], 9
    assert line[column - 1 :].startswith("\\ud83d")
    assert f"\\ud83d) at line 2, column {column}, after …" in found


@given(st.binary(min_size=1))
def test_any_path_can_be_printed(name: bytes) -> None:
    assert is_utf8(printable_path(os.fsdecode(name)))


def test_bytes_of_another_encoding_are_shown() -> None:
    assert printable_path(os.fsdecode(b"img/caf\xe9.png")) == r"img/caf\xe9.png"
    assert printable_path("café.png") == "café.png"
