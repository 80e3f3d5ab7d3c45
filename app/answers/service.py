"""Answer a question about a picture with both models, or say why it cannot be answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.answers.known_inputs import KnownInputs, truncated_end, unknown_words, untruncated
from app.answers.models import Answer, Model, ModelPair
from app.answers.region_cache import DetectedRegions, RegionCache
from app.answers.speedup import Speedups
from lxcompress.errors import DataError

MAX_CHARACTERS = 300
_MAX_NAMED_WORDS = 5  # in the note on unknown words


@dataclass(frozen=True, eq=False)
class Reply:
    """The reply to a question: both answers, or an objection.

    objection: why an answer would be a guess; `ticket` and `dense` are None then.
    notes: reasons to doubt answers that are given.

    All texts are plain text and may contain what the user typed.
    """

    question: str
    detected: DetectedRegions
    objection: str | None
    ticket: Answer | None = None
    dense: Answer | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def agree(self) -> bool | None:
        """Whether both models give the same answer; None if there are no answers."""
        if self.ticket is None or self.dense is None:
            return None
        return self.ticket.text == self.dense.text


class Service:
    """Everything that the page and its API need, in memory; reads nothing from the run any more.

    Safe for use by several threads.
    """

    def __init__(self, pair: ModelPair, regions: RegionCache, known: KnownInputs) -> None:
        self.pair, self.regions, self.known = pair, regions, known
        self.speedups = Speedups()
        self._untruncated = untruncated(pair.ticket.tokenizer)

    def detect(self, picture: Path | None) -> tuple[DetectedRegions, str | None]:
        """Return the regions of a picture file, and the objection to the picture, if any.

        Raises:
            DataError: there is no picture, or it cannot be read; without the file's name.
        """
        if picture is None:
            raise DataError("there is no picture yet; choose one")
        try:
            detected = self.regions.detect(picture)
        except DataError as problem:
            if not picture.exists():
                raise DataError("the picture has been deleted; choose it again") from None
            raise DataError(str(problem).removesuffix(f": {picture}")) from None
        return detected, self.known.find_objection(detected.preview, detected.regions)

    def ask(self, picture: Path | None, question: str | None) -> Reply:
        """Return both models' answers.

        Raises:
            DataError: the picture or the question is missing or cannot be used.
        """
        text = clean_question(question)
        detected, objection = self.detect(picture)
        if objection is not None:
            return Reply(text, detected, objection)
        ticket, dense = self.pair.answer(text, detected.regions)
        self.speedups.add(
            dense_milliseconds=dense.milliseconds, ticket_milliseconds=ticket.milliseconds
        )
        return Reply(text, detected, None, ticket, dense, self._notes(text))

    def _notes(self, question: str) -> list[str]:
        notes = []
        tokenizer = self.pair.ticket.tokenizer
        words = unknown_words(self._untruncated, question)
        if words:
            named = ", ".join(f"“{word}”" for word in words[:_MAX_NAMED_WORDS])
            rest = len(words) - _MAX_NAMED_WORDS
            more = f" and {rest} more" if rest > 0 else ""
            notes.append(
                f"Not in the training questions: {named}{more}. The answer may be a guess."
            )
        end = truncated_end(tokenizer, question)
        if end:
            notes.append(f"The question is too long for the model, which did not read “{end}”.")
        return notes


def clean_question(question: str | None) -> str:
    """Return the question with surrounding and repeated white space removed.

    Raises:
        DataError: it is empty or longer than `MAX_CHARACTERS`.
    """
    text = " ".join((question or "").split())
    if not text:
        raise DataError("there is no question yet; write one")
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"the question has {len(text):,} characters; write one of at most {MAX_CHARACTERS}"
        )
    return text


def reply_to_json(reply: Reply, service: Service) -> dict[str, Any]:
    """The reply of the API.

    answer: the ticket's answer, null if there is an objection; agree: whether the dense model
    gives the same; ticket and dense: `likeliest` (answer and probability), `attention` (share of
    each region), `milliseconds`, `bytes`, `variant`; regions: boxes, xyxy in 0-1 of the picture;
    detection_milliseconds; objection: why there is no answer; notes: reasons to doubt it.
    """
    return {
        "question": reply.question,
        "answer": reply.ticket.text if reply.ticket else None,
        "agree": reply.agree,
        "ticket": _answer_to_json(reply.ticket, service.pair.ticket),
        "dense": _answer_to_json(reply.dense, service.pair.dense),
        "regions": reply.detected.regions.boxes.tolist(),
        "detection_milliseconds": reply.detected.milliseconds,
        "objection": reply.objection,
        "notes": reply.notes,
    }


def _answer_to_json(answer: Answer | None, model: Model) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "likeliest": [
            {"answer": text, "probability": probability} for text, probability in answer.likeliest
        ],
        "attention": answer.attention.tolist(),
        "milliseconds": answer.milliseconds,
        "bytes": model.bytes,
        "variant": model.variant,
    }
