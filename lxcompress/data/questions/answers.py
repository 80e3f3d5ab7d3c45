"""Answers: the official normalisation, soft scores, answer lists, and training targets.

Rules: VQA v2's official evaluation (GT-Vision-Lab/VQA, vqaEval.py, March 2021), quirks included.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError

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


def soft_scores(answers: Sequence[str]) -> dict[str, float]:
    """Soft scores {normalised answer: 0–1} of a question's human answers, in order of appearance.

    The score of an answer given by n of N annotators is min(1, n / 3), averaged over the N ways to
    leave one annotator out; for ten annotators 0.3, 0.6, 0.9, and 1 from n = 4.
    """
    annotators = len(answers)
    scores = {}
    for answer, n in Counter(map(normalize_answer, answers)).items():
        # Leaving out one of the n leaves n - 1; leaving out one of the others leaves n.
        thirds = n * min(3, n - 1) + (annotators - n) * min(3, n)
        scores[answer] = thirds / (3 * annotators)
    return scores


def answer_list(questions: Iterable[Question], min_occurrences: int = 9) -> list[str]:
    """The answers that a model learns to choose from, most frequent first, then by text.

    An answer is listed if its normalised form is the most common answer to at least
    `min_occurrences` questions (Teney et al. 2018: 9 on VQA v2). The most common answer is the
    mode of a question's human answers, the first given in a tie; with LXMERT's labels, the one
    with the highest score, the first in the file in a tie. It is listed in its most frequent
    spelling, because unanimous answers are officially compared without normalisation.

    Raises DataError when no question has answers, or no answer is frequent enough.
    """
    occurrences: Counter[str] = Counter()
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    answered = 0
    for question in questions:
        given = question.answers if question.answers is not None else question.scores
        if given is None:
            continue
        answered += 1
        for text in given:
            spellings[normalize_answer(text)][clean_answer(text)] += 1
        if question.answers is not None:
            occurrences[_mode(question.answers)] += 1
        elif question.scores:
            occurrences[
                normalize_answer(max(question.scores, key=question.scores.__getitem__))
            ] += 1
    if not answered:
        raise DataError(
            "no question has answers to build an answer list from: give annotations with the "
            "training questions"
        )
    kept = [(count, answer) for answer, count in occurrences.items() if count >= min_occurrences]
    if not kept:
        most = max(occurrences.values(), default=0)
        raise DataError(
            f"none of the answers to {answered} questions is the most common one at least "
            f"{min_occurrences} times (at most {most}): lower --min-occurrences"
        )
    kept.sort(key=lambda entry: (-entry[0], entry[1]))
    return [min(spellings[answer].items(), key=lambda e: (-e[1], e[0]))[0] for _, answer in kept]


def _mode(answers: Sequence[str]) -> str:
    return Counter(map(normalize_answer, answers)).most_common(1)[0][0]


def label_index(labels: Sequence[str]) -> dict[str, int]:
    """{text: index} of an answer list, by each label's exact text and by its normalised form.

    Where these collide, an exact text has precedence, then the earlier label.
    """
    index: dict[str, int] = {}
    for spelling in (str, normalize_answer):
        for position, label in enumerate(labels):
            index.setdefault(spelling(label), position)
    return index


def target_scores(question: Question, index: Mapping[str, int]) -> list[tuple[int, float]]:
    """The soft target of a question: [(label index, score in (0, 1])], sorted by index.

    `index` is `label_index(labels)`. LXMERT's scores are used where the question has them, else
    `soft_scores` of its human answers. Answers that are not in the list are left out, so that the
    target may be empty. Raises DataError for a question without answers.
    """
    scores = question.scores
    if scores is None:
        if question.answers is None:
            raise DataError(
                f"question {question.question_id!r} has no answers to learn from: "
                "give annotations with the training questions"
            )
        scores = soft_scores(question.answers)
    target: dict[int, float] = {}
    for answer, score in scores.items():
        position = index.get(answer)
        if position is None:
            position = index.get(normalize_answer(answer))
        if position is not None and score > 0:
            target[position] = max(score, target.get(position, 0.0))
    return sorted(target.items())
