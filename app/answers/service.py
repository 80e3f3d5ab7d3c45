"""A question and a picture in, both models' answers out, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.answers.known_inputs import Knowledge, unknown_words, words_cut_off
from app.answers.models import Answer, Model, Pair
from app.answers.region_cache import Look, RegionCache
from lxcompress.errors import DataError

MAX_CHARACTERS = 300
_MOST_TOLD = 5  # words that a note names


@dataclass(frozen=True, eq=False)
class Reply:
    """What is said to a question.

    `objection` tells why an answer would be a guess; there are no answers then. `notes` are
    reservations about answers that are there. All texts are plain, and may hold the user's words.
    """

    question: str
    look: Look
    objection: str | None
    ticket: Answer | None = None
    dense: Answer | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def agree(self) -> bool | None:
        """Whether both models give the same answer; None where there is none."""
        if self.ticket is None or self.dense is None:
            return None
        return self.ticket.text == self.dense.text


class Service:
    """What the page and its API ask; threads share it. Nothing is read from the run any more."""

    def __init__(self, pair: Pair, regions: RegionCache, knowledge: Knowledge) -> None:
        self.pair, self.regions, self.knowledge = pair, regions, knowledge

    def look(self, picture: Path | None) -> tuple[Look, str | None]:
        """What is seen in a picture file, and the objection to it, if any.

        Raises DataError, without the file's name, when it is no picture that can be read.
        """
        if picture is None:
            raise DataError("there is no picture yet; choose one")
        try:
            look = self.regions.look(picture)
        except DataError as problem:
            if not picture.exists():
                raise DataError("the picture is not kept any more; choose it again") from None
            raise DataError(str(problem).removesuffix(f": {picture}")) from None
        return look, self.knowledge.objection(look.preview, look.regions)

    def ask(self, picture: Path | None, question: str | None) -> Reply:
        """Both models' answers. Raises DataError for a picture or question that is none."""
        asked = check_question(question)
        look, objection = self.look(picture)
        if objection is not None:
            return Reply(asked, look, objection)
        ticket, dense = self.pair.answer(asked, look.regions)
        return Reply(asked, look, None, ticket, dense, self._notes(asked))

    def _notes(self, question: str) -> list[str]:
        notes = []
        tokenizer = self.pair.ticket.tokenizer
        words = unknown_words(tokenizer, question)
        if words:
            named = ", ".join(f"“{word}”" for word in words[:_MOST_TOLD])
            more = f" and {len(words) - _MOST_TOLD} more" if len(words) > _MOST_TOLD else ""
            notes.append(
                f"The model never saw {named}{more} in training, so its answer may be a guess."
            )
        end = words_cut_off(tokenizer, question)
        if end:
            notes.append(
                f"The question is longer than the model can read; it did not read “{end}”."
            )
        return notes


def check_question(question: str | None) -> str:
    """The question without space around it. Raises DataError when it is empty or too long."""
    asked = " ".join((question or "").split())
    if not asked:
        raise DataError("there is no question yet; write one")
    if len(asked) > MAX_CHARACTERS:
        raise DataError(
            f"the question has {len(asked):,} characters; write one of at most {MAX_CHARACTERS}"
        )
    return asked


def as_json(reply: Reply, service: Service) -> dict[str, Any]:
    """What the API gives.

    answer: the ticket's, null with an objection; agree; ticket and dense: `likeliest` (answer and
    probability), `attention` (a share for each region), `milliseconds`, `bytes`, `variant`;
    regions: boxes, xyxy in 0-1 of the picture; detection_milliseconds; objection; notes.
    """
    return {
        "question": reply.question,
        "answer": reply.ticket.text if reply.ticket else None,
        "agree": reply.agree,
        "ticket": _model_json(reply.ticket, service.pair.ticket),
        "dense": _model_json(reply.dense, service.pair.dense),
        "regions": reply.look.regions.boxes.tolist(),
        "detection_milliseconds": reply.look.milliseconds,
        "objection": reply.objection,
        "notes": reply.notes,
    }


def _model_json(answer: Answer | None, model: Model) -> dict[str, Any] | None:
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
