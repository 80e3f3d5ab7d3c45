"""The functions behind the page's events, and what each returns to its components."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from app.answers.service import Reply, Service, reply_to_json
from app.page import html
from app.page.draw_regions import draw_regions
from app.page.examples import Example
from lxcompress.errors import DataError

Shown = tuple[str, np.ndarray]
"""The page's state: path of the picture that was asked about, and the answer's attention."""

Output = tuple[Any, ...]
"""Values of the components: answer, probabilities, regions, their visibility, `Shown` or None."""


class PageCallbacks:
    """Answer the page's events. Errors in what the user gave are shown on the page.

    Arguments come from the browser without preprocessing, so they may be of any type.
    """

    def __init__(self, service: Service, uploads: Path) -> None:
        self.service, self.uploads = service, uploads.resolve()

    def answer(self, picture: Any, question: Any, count: Any) -> Output:
        """Answer a question about an uploaded picture, and draw `count` regions."""
        try:
            path = self._uploaded_file(picture)
            return self._show(path, self.service.ask(path, _as_question(question)), count)
        except DataError as problem:
            return _show_card(html.render_error(str(problem)))

    def check_picture(self, picture: Any) -> Output:
        """Show what is wrong with a new picture, if anything, and cache its regions."""
        if picture is None:
            return _show_card(html.PLACEHOLDER)
        try:
            _, objection = self.service.detect(self._uploaded_file(picture))
        except DataError as problem:
            return _show_card(html.render_error(str(problem)))
        if objection is not None:
            return _show_card(html.render_objection(objection, self.service.known))
        return _show_card(html.PLACEHOLDER)

    def redraw_regions(self, shown: Shown | None, count: Any) -> Image.Image | None:
        """Draw another number of regions on the picture that is shown."""
        if shown is None:
            return None
        path, attention = shown
        try:
            detected, _ = self.service.detect(Path(path))
        except DataError as problem:
            raise _gradio_error(problem) from None
        return draw_regions(detected.preview, detected.regions.boxes, attention, _as_count(count))

    def answer_example(self, example: Example) -> Callable[[Any], tuple[Any, ...]]:
        """Return the callback that fills in an example and answers it."""

        def fill_in(count: Any) -> tuple[Any, ...]:
            reply = self.service.ask(example.picture, example.question)
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
        card = html.render_answer(reply, self.service.known)
        if reply.main is None:
            return _show_card(card)
        detected, attention = reply.detected, reply.main.attention
        drawn = draw_regions(detected.preview, detected.regions.boxes, attention, _as_count(count))
        probabilities = html.render_probabilities(reply, self.service)
        return card, probabilities, drawn, gr.update(visible=True), (str(path), attention)

    def _uploaded_file(self, picture: Any) -> Path | None:
        """The path of an uploaded file, None without one. DataError for any other file."""
        if picture is None:
            return None
        path = picture.get("path") if isinstance(picture, dict) else None
        if not isinstance(path, str):
            raise DataError("the picture must be a file")
        if "\0" in path:
            raise DataError("the picture must be uploaded first")
        file = Path(path).resolve()
        if not file.is_relative_to(self.uploads):
            raise DataError("the picture must be uploaded first")
        return file


def _show_card(card: str) -> Output:
    """Only the card in the answer's place; probabilities and regions are hidden."""
    return card, "", None, gr.update(visible=False), None


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
