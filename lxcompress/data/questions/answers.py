"""What a model learns to answer: soft scores, answer lists, and the targets of questions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lxcompress.data.questions.normalization import clean_answer, normalize_answer
from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError


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
    spelling, because unanimous answers are officially compared without normalisation. GQA's
    answers are never normalised.

    Raises DataError when no question has answers, or no answer is frequent enough.
    """
    occurrences: Counter[str] = Counter()
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    answered = 0
    for question in questions:
        if not question.is_answered:
            continue
        answered += 1
        if question.answer is not None:
            spellings[question.answer][question.answer] += 1
            occurrences[question.answer] += 1
        for text in question.answers or question.scores or ():
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

    `index` is `label_index(labels)`. LXMERT's scores are used where the question has them, else 1
    for a single correct answer, else `soft_scores` of the human answers. Answers that are not in
    the list are left out, so that the target may be empty. Raises DataError for a question without
    answers.
    """
    scores = question.scores
    if question.answer is not None:
        scores = {question.answer: 1.0}
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
