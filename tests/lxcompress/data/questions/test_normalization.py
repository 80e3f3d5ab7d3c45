"""Normalisation of answers, against an independent implementation of the official rules."""

import hashlib

import pytest
from hypothesis import example, given, settings
from official_normalization import answer_texts, literal_normalize

from lxcompress.data.questions.normalization import CONTRACTIONS, normalize_answer


@settings(deadline=None)
@given(answer_texts)
@example("." * 40)
@example("1,2,-3 a-b")
def test_normalisation_follows_the_rules(text: str) -> None:
    assert normalize_answer(text) == literal_normalize(text)


@settings(deadline=None)
@given(answer_texts.filter(lambda text: text.count(".") <= 32))
def test_normalisation_is_idempotent(text: str) -> None:
    once = normalize_answer(text)
    assert normalize_answer(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", "yes"),
        ("  yes \n", "yes"),
        ("the dog", "dog"),
        ("a", ""),
        ("None", "0"),
        ("two dogs", "2 dogs"),
        ("ten", "10"),
        ("eleven", "eleven"),
        ("t-shirt", "t shirt"),  # no space touches "-": it becomes one
        ("t- shirt", "t shirt"),
        ("red -blue", "red blue"),
        ("semi-truck - red", "semitruck red"),  # one "-" touches a space: all are removed
        ("1,000", "1000"),
        ("1,000 t-shirts", "1000 tshirts"),  # digit,digit anywhere: every mark is removed
        ("1, 2", "1 2"),
        ("1.5", "1.5"),
        ("5.", "5"),
        ("u.s.a.", "usa"),
        ("v.2", "v.2"),
        ("$4.00", "$4.00"),
        ("12:30", "12:30"),
        ("at&t", "at&t"),
        ("dont know", "don't know"),
        ("DONT", "don't"),
        ("don't", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("yall'd've", "y'all'd've"),
        ("ow's'at", "'ow's'at"),
        ("somebody'd", "somebodyd"),
        ("let's", "let's"),
        ("im", "im"),  # the official key is "Im", which no lower-cased word equals
        ("", ""),
        ("." * 33, "."),  # only the first 32 periods are removed
    ],
)
def test_normalisation_by_hand(text: str, expected: str) -> None:
    assert normalize_answer(text) == expected
    assert literal_normalize(text) == expected


def test_contractions_are_the_official_ones() -> None:
    # Digest of the entries of vqaEval.py's table that can have an effect: keys in lower case that
    # do not map to themselves. (The file itself is not copied here.)
    lines = "\n".join(sorted(f"{key} {form}" for key, form in CONTRACTIONS.items()))
    assert len(CONTRACTIONS) == 114
    assert hashlib.sha256(lines.encode()).hexdigest() == (
        "f2c800b1132e79302dd72686ce8bba16120f1873f98a85561222e89317336e7a"
    )
