"""The form in which answers are compared, as in VQA v2's official evaluation, quirks included.

GT-Vision-Lab/VQA, vqaEval.py, March 2021.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_PUNCTUATION = frozenset(';/[]"{}()=+\\_-><@`,?!')
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
# Officially `(?!<=\d)(\.)(?!\d)`. The first group was meant as a look-behind; as written it says
# "the next characters are not '<=' and a digit", which holds before every period.
_PERIOD = re.compile(r"\.(?!\d)")
# The official code passes the flag re.UNICODE where re.sub expects the number of replacements.
_MOST_PERIODS = int(re.UNICODE)

_ARTICLES = frozenset({"a", "an", "the"})
_ONE_TO_TEN = "one two three four five six seven eight nine ten"
_NUMBER_WORDS = {"none": "0", "zero": "0"} | {
    word: str(number) for number, word in enumerate(_ONE_TO_TEN.split(), start=1)
}

# The right-hand sides of the official table. Its left-hand sides are these with one apostrophe
# left out ("couldn't've" from "couldnt've" and "couldn'tve"). Entries that change nothing
# ("let's", "she's") or can never match a lower-cased word ("Im", "Id've") are not needed.
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
    might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
    shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
    someone's something'd something'd've something'll that's there'd there'd've there're there's
    they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
    what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
    why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll
    you're you've
"""
CONTRACTIONS: Mapping[str, str] = {
    form[: match.start()] + form[match.end() :]: form
    for form in _CONTRACTED.split()
    for match in re.finditer("'", form)
} | {"somebody'd": "somebodyd"}  # the wrong way round in the official table, and so here


def clean_answer(text: str) -> str:
    """What the official code always does first: newlines and tabs become spaces; then strip."""
    return text.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(maxsize=1 << 17)
def normalize_answer(text: str) -> str:
    """The form in which VQA v2's official evaluation compares answers that are not unanimous.

    In this order: cleaning, punctuation, lower case, number words to digits, articles removed,
    contractions. Idempotent, except for texts of more than 32 periods.
    """
    text = clean_answer(text)
    joined_number = _DIGIT_COMMA_DIGIT.search(text)
    replacements = {
        ord(mark): "" if joined_number or f"{mark} " in text or f" {mark}" in text else " "
        for mark in _PUNCTUATION.intersection(text)
    }
    text = _PERIOD.sub("", text.translate(replacements), count=_MOST_PERIODS)
    words = (_NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
