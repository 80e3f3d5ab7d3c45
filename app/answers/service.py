"""Answer a question about a picture, or say why it cannot be answered."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.answers.describe_regions import describe_attention
from app.answers.known_inputs import KnownInputs, truncated_end, unknown_words, untruncated
from app.answers.models import Answer, Model, Models
from app.answers.region_cache import DetectedRegions, RegionCache
from app.answers.speedup import Speedups
from app.answers.stages import Stage, drain
from lxcompress.errors import DataError
from lxcompress.vision.region_names import region_names

MAX_CHARACTERS = 300
_MAX_NAMED_WORDS = 5  # in the note on unknown words
_MAX_ANSWERING = 4  # questions at the same time; each takes all threads of a model


@dataclass(frozen=True, eq=False)
class Reply:
    """The reply to a question: the answer, or an objection.

    objection: why an answer would be a guess; `main` and `dense` are None then.
    main: the ticket's answer, or that of a model alone.
    dense: the answer of the ticket's dense model; None for a model alone.
    notes: reasons to doubt answers that are given.

    All texts are plain text and may contain what the user typed.
    """

    question: str
    detected: DetectedRegions
    objection: str | None
    main: Answer | None = None
    dense: Answer | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def agree(self) -> bool | None:
        """Whether both models give the same answer; None if there are no two answers."""
        if self.main is None or self.dense is None:
            return None
        return self.main.text == self.dense.text

    @property
    def looked_at(self) -> list[str]:
        """The regions of most attention, described; empty without an answer."""
        if self.main is None:
            return []
        return describe_attention(self.detected.regions, self.main.attention)


class Service:
    """Everything that the page and its API need, in memory; reads no file of the model any more.

    name: of the model, as it was given.

    Safe for use by several threads.
    """

    def __init__(self, name: str, models: Models, regions: RegionCache, known: KnownInputs) -> None:
        self.name, self.models, self.regions, self.known = name, models, regions, known
        self.speedups = Speedups()
        self._untruncated = untruncated(models.main.tokenizer)
        self._answering = threading.BoundedSemaphore(_MAX_ANSWERING)

    def detect_in_stages(
        self, picture: Path | None
    ) -> Generator[Stage, None, tuple[DetectedRegions, str | None]]:
        """Yield the current stage, several times a second, while there is none to return yet.

        Returns:
            The regions of a picture file, and the objection to the picture, if any.

        Raises:
            DataError: there is no picture, or it cannot be read; without the file's name.
        """
        if picture is None:
            raise DataError("there is no picture yet; choose one")
        try:
            detected = yield from self.regions.detect_in_stages(picture)
        except DataError as problem:
            if not picture.exists():
                raise DataError("the picture has been deleted; choose it again") from None
            raise DataError(str(problem).removesuffix(f": {picture}")) from None
        return detected, self.known.find_objection(detected.preview, detected.regions)

    def ask(self, picture: Path | None, question: str | None) -> Reply:
        """Return the answer, beside the dense model's where there is one.

        Raises:
            DataError: the picture or the question is missing or cannot be used.
        """
        return drain(self.ask_in_stages(picture, question))

    def ask_in_stages(
        self, picture: Path | None, question: str | None
    ) -> Generator[Stage, None, Reply]:
        """Yield the current stage, several times a second, then return as `ask`."""
        text = clean_question(question)
        detected, objection = yield from self.detect_in_stages(picture)
        if objection is not None:
            return Reply(text, detected, objection)
        if self.regions.is_slow:
            yield Stage.ANSWERING
        with self._answering:
            main, dense = self.models.answer(text, detected.regions)
        if dense is not None:
            self.speedups.add(
                dense_milliseconds=dense.milliseconds, ticket_milliseconds=main.milliseconds
            )
        return Reply(text, detected, None, main, dense, self._notes(text))

    def close(self) -> None:
        """Take no more pictures."""
        self.regions.close()

    def _notes(self, question: str) -> list[str]:
        notes = []
        words = unknown_words(self._untruncated, question)
        if words:
            named = ", ".join(f"“{word}”" for word in words[:_MAX_NAMED_WORDS])
            rest = len(words) - _MAX_NAMED_WORDS
            more = f" and {rest} more" if rest > 0 else ""
            where = "the training questions" if self.known.data else "the model’s vocabulary"
            notes.append(f"Not in {where}: {named}{more}. The answer may be a guess.")
        end = truncated_end(self.models.main.tokenizer, question)
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
    region_names: what the detector found in each, or null; looked_at: the regions of most
    attention, described; detection_milliseconds; objection: why there is no answer; notes: reasons
    to doubt it. Of a model alone, `model` stands for `agree`, `ticket` and `dense`.
    """
    main, dense = service.models.main, service.models.dense
    answers: dict[str, Any] = {"model": _answer_to_json(reply.main, main)}
    if dense is not None:
        answers = {
            "agree": reply.agree,
            "ticket": _answer_to_json(reply.main, main),
            "dense": _answer_to_json(reply.dense, dense),
        }
    return {
        "question": reply.question,
        "answer": reply.main.text if reply.main else None,
        **answers,
        "regions": reply.detected.regions.boxes.tolist(),
        "region_names": region_names(reply.detected.regions),
        "looked_at": reply.looked_at,
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
