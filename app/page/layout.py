"""The Gradio page: its components, and which callback answers which event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.answers.service import Service, reply_to_json
from app.page import cards, html
from app.page.callbacks import PageCallbacks
from app.page.examples import Example

# Requests at the same time; the others wait in the queue. The region cache lets fewer of them wait
# for the detector, so that some remain free.
_CONCURRENCY = 32
_REDRAW_CONCURRENCY = 4  # requests of the slider, which never wait for the detector
_MAX_QUEUE = 256
_INITIAL_REGIONS = 3
_PHOTO_QUESTION = "what color is the bus?"
_RETENTION = 3600  # s, of uploads and of a session's state
_CLEANUP_INTERVAL = 600  # s


def build_page(
    service: Service, examples: Sequence[Example], uploads: Path, address: str
) -> gr.Blocks:
    """Return the page as Blocks, not launched yet.

    Args:
        uploads: the only folder, besides that of `examples`, from which pictures are read.
        address: where the page will be served, for its example of the Python client.
    """
    callbacks = PageCallbacks(service, uploads)
    with gr.Blocks(
        title="Ask a picture · lxcompress",
        analytics_enabled=False,
        delete_cache=(_CLEANUP_INTERVAL, _RETENTION),
    ) as page:
        gr.HTML(html.render_header(service))
        with gr.Row(equal_height=False, elem_classes="lx-main"):
            with gr.Column(scale=5, min_width=320, elem_classes="lx-input"):
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
                    placeholder=f"e.g. {examples[0].question if examples else _PHOTO_QUESTION}",
                    max_lines=3,
                    elem_id="question",
                )
                ask = gr.Button("Ask", variant="primary", elem_id="ask")
                gr.HTML(html.render_speech())
                buttons = []
                if examples:
                    gr.HTML('<p class="lx-label">Or try an example:</p>', elem_classes="lx-below")
                    with gr.Row(elem_classes=["lx-examples", "lx-below"]):
                        buttons = [_example_button(example) for example in examples]
            with gr.Column(scale=7, min_width=320, elem_classes="lx-output"):
                answer = gr.HTML(cards.PLACEHOLDER, elem_id="answer")
                probabilities = gr.HTML(elem_id="probabilities")
                with gr.Column(visible=False) as regions_column:
                    gr.HTML(html.render_regions_heading(service))
                    regions = gr.Image(
                        label="Regions",
                        show_label=False,
                        interactive=False,
                        format="jpeg",  # encodes 30 times as fast as WebP
                        height=380,
                        buttons=["fullscreen"],
                        elem_id="regions",
                        alt_text="The picture with the regions that got the most attention",
                    )
                    count = gr.Slider(
                        0,
                        service.regions.detector.max_regions,
                        value=_INITIAL_REGIONS,
                        step=1,
                        label="Regions shown",
                        elem_id="count",
                    )
        gr.HTML(
            html.render_known_inputs(service.known) + html.render_client_example(address, service)
        )
        shown = gr.State(None, time_to_live=_RETENTION)

        inputs = [picture, question, count]
        outputs = [answer, probabilities, regions, regions_column, shown]
        options: dict[str, Any] = {
            "api_visibility": "private",
            "preprocess": False,  # Gradio would open the picture itself, without size limits
            "concurrency_id": "ask",
            "concurrency_limit": _CONCURRENCY,
            "show_progress_on": [answer],
        }
        # Also while an earlier one is answered; of several, the callbacks show the latest.
        options["trigger_mode"] = "multiple"
        picture.input(callbacks.check_picture, picture, outputs, **options)
        gr.on([ask.click, question.submit], callbacks.answer, inputs, outputs, **options)
        count.input(
            callbacks.redraw_regions, [shown, count], regions, show_progress="hidden",
            trigger_mode="always_last", api_visibility="private", preprocess=False,
            concurrency_id="redraw", concurrency_limit=_REDRAW_CONCURRENCY,
        )  # fmt: skip
        for button, example in zip(buttons, examples, strict=True):
            fill_in = callbacks.answer_example(example)
            button.click(fill_in, count, [picture, question, *outputs], **options)
        _add_api(callbacks, picture, question)
    page.queue(max_size=_MAX_QUEUE, api_open=True)
    return page


def _add_api(callbacks: PageCallbacks, picture: gr.Image, question: gr.Textbox) -> None:
    """Add the endpoint /ask, which no visible component triggers."""
    gr.Button(visible=False).click(
        callbacks.answer_json,
        [picture, question],
        gr.JSON(visible=False, label="reply"),
        api_name="ask",
        api_description=reply_to_json.__doc__,
        preprocess=False,
        concurrency_id="ask",
        concurrency_limit=_CONCURRENCY,
    )


def _example_button(example: Example) -> gr.Button:
    # A dictionary: given a path, Gradio would copy the file into the uploads and delete it later.
    path = str(example.picture)
    icon = {
        "path": path,
        "url": f"/gradio_api/file={path}",
        "orig_name": example.picture.name,
        "meta": {"_type": "gradio.FileData"},
    }
    return gr.Button(example.question, icon=icon, size="sm")
