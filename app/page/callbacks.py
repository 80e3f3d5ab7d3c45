"""The functions behind the page's events, and what each returns to its components."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import numpy as np
from PIL import Image

from app.answers.service import Reply, Service, reply_to_json
from app.answers.stages import Stage
from app.page import cards, html
from app.page.draw_regions import draw_regions
from app.page.examples import Example
from app.page.latest_events import LatestEvents
from lxcompress.errors import DataError

Shown = tuple[str, np.ndarray]
"""The page's state: path of the picture that was asked about, and the answer's attention."""

Output = tuple[Any, ...]
"""Values of the components: answer, probabilities, regions, their visibility, `Shown` or None."""


Result = TypeVar("Result")

_FAILURE = "the model or its detector failed; the demo’s own output says why"


class PageCallbacks:
    """Answer the page's events. Errors in what the user gave are shown on the page.

    Those that may take seconds yield the stages that they are in, and at the end what they found.

    Arguments come from the browser without preprocessing, so they may be of any type.
    """

    def __init__(self, service: Service, uploads: Path) -> None:
        self.service, self.uploads = service, uploads.resolve()
        self._events = LatestEvents()

    def answer(
        self, picture: Any, question: Any, count: Any, request: gr.Request
    ) -> Iterator[Output]:
        """Answer a question about an uploaded picture, and draw `count` regions."""
        may_be_shown = self._events.begin_question(request.session_hash, _as_path(picture))
        yield from _while(may_be_shown, self._answer(picture, question, count))

    def check_picture(self, picture: Any, request: gr.Request) -> Iterator[Output]:
        """Show what is wrong with a new picture, if anything, and cache its regions."""
        may_be_shown = self._events.begin_picture(request.session_hash, _as_path(picture))
        yield from _while(may_be_shown, self._check_picture(picture))

    def _answer(self, picture: Any, question: Any, count: Any) -> Iterator[Output | None]:
        try:
            path = self._uploaded_file(picture)
            stages = self.service.ask_in_stages(path, _as_question(question))
            reply = yield from self._show_stages(stages, Stage.ANSWERING)
            yield self._show(path, reply, count)
        except DataError as problem:
            yield _show_card(cards.render_error(str(problem)))

    def _check_picture(self, picture: Any) -> Iterator[Output | None]:
        yield _show_card(cards.PLACEHOLDER)  # at once, so that it does not replace an answer
        if picture is None:
            return
        try:
            stages = self.service.detect_in_stages(self._uploaded_file(picture))
            detected, objection = yield from self._show_stages(stages, Stage.DETECTING)
        except DataError as problem:
            yield _show_card(cards.render_error(str(problem)))
            return
        if objection is not None:
            yield _show_card(cards.render_objection(objection, self.service.known))
        elif self.service.regions.is_slow:
            yield _show_card(cards.render_ready(detected.regions))

    def redraw_regions(
        self, shown: Shown | None, count: Any
    ) -> Image.Image | dict[str, Any] | None:
        """Draw another number of regions on the picture that is shown, if it is still cached."""
        if shown is None:
            return None
        path, attention = shown
        try:
            detected = self.service.regions.find(Path(path))
        except DataError:  # the file has been deleted
            detected = None
        if detected is None:
            return gr.skip()
        return draw_regions(detected.preview, detected.regions, attention, _as_count(count))

    def answer_example(self, example: Example) -> Callable[[Any, gr.Request], tuple[Any, ...]]:
        """Return the callback that fills in an example and answers it."""

        def fill_in(count: Any, request: gr.Request) -> tuple[Any, ...]:
            self._events.begin_question(request.session_hash, str(example.picture))
            try:
                reply = self.service.ask(example.picture, example.question)
            except DataError as problem:  # too many requests wait for the detector
                raise _gradio_error(problem) from None
            shown = self._show(example.picture, reply, count)
            return str(example.picture), example.question, *shown

        return fill_in

    def answer_json(self, picture: Any, question: Any) -> dict[str, Any]:
        """Answer a question through the API."""
        try:
            reply = self.service.ask(self._uploaded_file(picture), _as_question(question))
        except DataError as problem:
            raise _gradio_error(problem) from None
        return reply_to_json(reply, self.service)

    def _show(self, path: Path | None, reply: Reply, count: Any) -> Output:
        card = cards.render_answer(reply, self.service.known)
        if reply.main is None:
            return _show_card(card)
        detected, attention = reply.detected, reply.main.attention
        drawn = draw_regions(detected.preview, detected.regions, attention, _as_count(count))
        probabilities = html.render_probabilities(reply, self.service)
        return card, probabilities, drawn, gr.update(visible=True), (str(path), attention)

    def _show_stages(
        self, stages: Generator[Stage, None, Result], last: Stage
    ) -> Generator[Output | None, None, Result]:
        """Yield a card for each stage, and None while a stage lasts."""
        shown = None
        while True:
            try:
                stage = next(stages)
            except StopIteration as done:
                result: Result = done.value
                return result
            seconds = self.service.regions.latest_seconds
            is_new, shown = stage != shown, stage
            yield _show_card(cards.render_stage(stage, last, seconds)) if is_new else None

    def _uploaded_file(self, picture: Any) -> Path | None:
        """The path of an uploaded file, None without one. DataError for any other file."""
        if picture is None:
            return None
        path = _as_path(picture)
        if path is None:
            raise DataError("the picture must be a file")
        if "\0" in path:
            raise DataError("the picture must be uploaded first")
        file = Path(path).resolve()
        if not file.is_relative_to(self.uploads):
            raise DataError("the picture must be uploaded first")
        return file


def _while(may_be_shown: Callable[[], bool], outputs: Iterator[Output | None]) -> Iterator[Output]:
    """Pass on the outputs but None until they may be shown no longer; then take no more."""
    try:
        for output in outputs:
            if not may_be_shown():
                return
            if output is not None:
                yield output
    except Exception:  # in place of the stage that it failed in, which would stay there
        yield _show_card(cards.render_error(_FAILURE))
        raise


def _show_card(card: str) -> Output:
    """Only the card in the answer's place; probabilities and regions are hidden."""
    return card, "", None, gr.update(visible=False), None


def _as_path(picture: Any) -> str | None:
    path = picture.get("path") if isinstance(picture, dict) else None
    return path if isinstance(path, str) else None


def _as_question(question: Any) -> str | None:
    if question is not None and not isinstance(question, str):
        raise DataError("the question must be text")
    return question


def _as_count(count: Any) -> int:
    is_number = isinstance(count, int | float) and math.isfinite(count)
    return int(count) if is_number and count > 0 else 0


def _gradio_error(problem: DataError) -> gr.Error:
    # Gradio shows an error's text as HTML.
    return gr.Error(escape(str(problem), quote=False), print_exception=False)
