"""The Gradio page: components, and which function answers which event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from app.answers.service import Reply, Service, as_json
from app.page import html
from app.page.draw_regions import draw_regions
from app.page.examples import Example
from lxcompress.errors import DataError

_AT_ONCE = 4  # requests that are worked on; the others wait
_SHOWN = 3  # regions, at first
_HOUR = 3600  # how long uploads and what a page shows are kept, in seconds
_SWEEP = 600

# What the picture of regions shows: the picture's file, and the attention.
_Shown = tuple[str, np.ndarray]


def build_page(
    service: Service, examples: Sequence[Example], uploads: Path, address: str
) -> gr.Blocks:
    """The page as Blocks, not yet launched.

    `uploads` is the only folder that pictures are taken from, besides those of `examples`;
    `address` is where the page will be, for the text that tells how to ask from Python.
    """
    desk = _Desk(service, uploads)
    with gr.Blocks(
        title="Ask a picture · lxcompress", analytics_enabled=False, delete_cache=(_SWEEP, _HOUR)
    ) as page:
        gr.HTML(html.head(service.knowledge, service))
        with gr.Row(equal_height=False, elem_classes="lx-main"):
            with gr.Column(scale=5, min_width=320, elem_classes="lx-asked"):
                picture = gr.Image(
                    label="Picture",
                    sources=["upload", "clipboard", "webcam"],
                    type="filepath",
                    height=300,
                    buttons=["fullscreen"],
                    webcam_options=gr.WebcamOptions(mirror=False),
                    elem_id="picture",
                )
                question = gr.Textbox(
                    label="Question",
                    placeholder=f"e.g. {examples[0].question}",
                    max_lines=3,
                    elem_id="question",
                )
                ask = gr.Button("Ask", variant="primary", elem_id="ask")
                gr.HTML('<p class="lx-label">Or take one of these:</p>', elem_classes="lx-later")
                with gr.Row(elem_classes=["lx-examples", "lx-later"]):
                    buttons = [_example_button(example) for example in examples]
            with gr.Column(scale=7, min_width=320, elem_classes="lx-told"):
                answer = gr.HTML(html.PLACEHOLDER, elem_id="answer")
                bars = gr.HTML(elem_id="bars")
                with gr.Column(visible=False) as seen:
                    gr.HTML(html.regions_heading())
                    regions = gr.Image(
                        label="Regions",
                        show_label=False,
                        interactive=False,
                        format="jpeg",  # 30 times as fast to write as WebP
                        height=380,
                        buttons=["fullscreen"],
                        elem_id="regions",
                        alt_text="The picture with the regions that the answer looked at most",
                    )
                    count = gr.Slider(
                        0,
                        service.regions.detector.max_regions,
                        value=_SHOWN,
                        step=1,
                        label="Regions shown",
                        elem_id="count",
                    )
        gr.HTML(html.about(service.knowledge) + html.usage(address))
        shown = gr.State(None, time_to_live=_HOUR)
        result = [answer, bars, regions, seen, shown]

        quiet: dict[str, Any] = {
            "api_visibility": "private",
            "preprocess": False,  # Gradio would open the picture by itself, with no limits
            "concurrency_id": "ask",
            "concurrency_limit": _AT_ONCE,
            "show_progress_on": [answer],
        }
        asked = [picture, question, count]
        gr.on([ask.click, question.submit], desk.answer, asked, result, **quiet)
        picture.input(desk.look, picture, result, **quiet)
        count.input(
            desk.draw, [shown, count], regions, show_progress="hidden",
            trigger_mode="always_last", api_visibility="private", preprocess=False,
        )  # fmt: skip
        for button, example in zip(buttons, examples, strict=True):
            button.click(desk.example(example), count, [picture, question, *result], **quiet)
        _add_api(desk, picture, question)
    page.queue(max_size=256, api_open=True)
    return page


def _add_api(desk: _Desk, picture: gr.Image, question: gr.Textbox) -> None:
    gr.Button(visible=False).click(
        desk.api,
        [picture, question],
        gr.JSON(visible=False, label="reply"),
        api_name="ask",
        api_description=as_json.__doc__,
        preprocess=False,
        concurrency_id="ask",
        concurrency_limit=_AT_ONCE,
    )


def _example_button(example: Example) -> gr.Button:
    # As a dictionary: a copy that Gradio makes of a path is deleted with the uploads.
    path = str(example.picture)
    icon = {
        "path": path,
        "url": f"/gradio_api/file={path}",
        "orig_name": example.picture.name,
        "meta": {"_type": "gradio.FileData"},
    }
    return gr.Button(example.question, icon=icon, size="sm")


class _Desk:
    """The functions behind the page's events. Each gives what is shown, problems included."""

    def __init__(self, service: Service, uploads: Path) -> None:
        self.service, self.uploads = service, uploads.resolve()

    def answer(self, picture: Any, question: Any, count: Any) -> tuple[Any, ...]:
        """Both answers, or what is wrong."""
        try:
            path = self._file(picture)
            return self._result(path, self.service.ask(path, _text(question)), count)
        except DataError as problem:
            return _nothing(html.problem(str(problem)))

    def look(self, picture: Any) -> tuple[Any, ...]:
        """What is wrong with a new picture, if anything; its regions are found meanwhile."""
        if picture is None:
            return self.nothing()
        try:
            _, objection = self.service.look(self._file(picture))
        except DataError as problem:
            return _nothing(html.problem(str(problem)))
        if objection is not None:
            return _nothing(html.objection(objection, self.service.knowledge))
        return self.nothing()

    def nothing(self) -> tuple[Any, ...]:
        """As at the start."""
        return _nothing(html.PLACEHOLDER)

    def draw(self, shown: _Shown | None, count: Any) -> Image.Image | None:
        """The picture again, with another number of regions."""
        if shown is None:
            return None
        path, attention = shown
        try:
            look, _ = self.service.look(Path(path))
        except DataError as problem:
            raise _error(problem) from None
        return draw_regions(look.preview, look.regions.boxes, attention, _number(count))

    def example(self, example: Example) -> Callable[[Any], tuple[Any, ...]]:
        """The function that fills in an example and answers it."""

        def fill(count: Any) -> tuple[Any, ...]:
            reply = self.service.ask(example.picture, example.question)
            return (
                str(example.picture),
                example.question,
                *self._result(example.picture, reply, count),
            )

        return fill

    def api(self, picture: Any, question: Any) -> dict[str, Any]:
        """As JSON, for other programs."""
        try:
            return as_json(self.service.ask(self._file(picture), _text(question)), self.service)
        except DataError as problem:
            raise _error(problem) from None

    def _result(self, path: Path | None, reply: Reply, count: Any) -> tuple[Any, ...]:
        said = html.answer(reply, self.service.knowledge)
        if reply.ticket is None:
            return _nothing(said)
        look, attention = reply.look, reply.ticket.attention
        drawn = draw_regions(look.preview, look.regions.boxes, attention, _number(count))
        bars = html.bars(reply, self.service)
        return said, bars, drawn, gr.update(visible=True), (str(path), attention)

    def _file(self, picture: Any) -> Path | None:
        """An uploaded file; None without one. DataError for any other file."""
        if picture is None:
            return None
        path = picture.get("path") if isinstance(picture, dict) else None
        if not isinstance(path, str):
            raise DataError("the picture must be a file")
        file = Path(path).resolve()
        if not file.is_relative_to(self.uploads):
            raise DataError("the picture must be uploaded first")
        return file


def _nothing(said: str) -> tuple[Any, ...]:
    return said, "", None, gr.update(visible=False), None


def _text(question: Any) -> str | None:
    if question is not None and not isinstance(question, str):
        raise DataError("the question must be a text")
    return question


def _number(count: Any) -> int:
    return int(count) if isinstance(count, int | float) and count > 0 else 0


def _error(problem: DataError) -> gr.Error:
    # Gradio shows an error's text as HTML.
    return gr.Error(escape(str(problem), quote=False), print_exception=False)
