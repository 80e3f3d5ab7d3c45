"""An independent implementation of the official answer normalisation, and texts to test with."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from lxcompress.data.questions.normalization import CONTRACTIONS

MARKS = [";", "/", "[", "]", '"', "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`"]
MARKS += [",", "?", "!"]

DIGITS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4"}
DIGITS |= {"five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}


def literal_normalize(text: str) -> str:
    """The official rules one after the other, literally."""
    text = text.replace("\n", " ")
    text = text.replace("\t", " ")
    original = text.strip()
    result = original
    for mark in MARKS:
        touches_space = (mark + " ") in original or (" " + mark) in original
        has_thousands = re.search(r"(\d)(,)(\d)", original) is not None
        result = result.replace(mark, "" if touches_space or has_thousands else " ")
    result = re.compile(r"(?!<=\d)(\.)(?!\d)").sub("", result, count=32)
    kept = []
    for word in result.lower().split():
        number = DIGITS.get(word, word)
        if number in ("a", "an", "the"):
            continue
        kept.append(number)
    for position in range(len(kept)):
        if kept[position] in CONTRACTIONS:
            kept[position] = CONTRACTIONS[kept[position]]
    return " ".join(kept)


pieces = st.one_of(
    st.sampled_from(
        ["1", "2,000", "3.5", "$4.00", "two", "None", "ten", "a", "The", "an", "dont", "couldnt've"]
    ),
    st.sampled_from(
        [",", ".", "...", "?", "-", "/", "'", " ", "  ", "\n", "\t", "\u00a0", "\u00b2"]
    ),
    st.text("aT1,.- '?\"x\u0663", max_size=6),
    st.text(max_size=3),
)


answer_texts = st.lists(pieces, max_size=8).map("".join)
