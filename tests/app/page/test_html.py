"""No text of a user or a run becomes markup."""

from pathlib import Path

from app.answers.known_inputs import KnownInputs
from app.answers.service import Service
from app.page import html

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_no_text_becomes_markup(service: Service, scene: Path) -> None:
    reply = service.ask(scene, HOSTILE)
    hostile = KnownInputs(HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,))
    hostile_service = Service(service.pair, service.regions, hostile)
    for text in (
        html.render_answer(reply, hostile),
        html.render_probabilities(reply, service),
        html.render_error(HOSTILE),
        html.render_objection(HOSTILE, hostile),
        html.render_known_inputs(hostile),
        html.render_client_example(HOSTILE),
        html.render_header(hostile_service),
    ):
        assert "<script" not in text and "<img" not in text
    assert "&lt;script" in html.render_answer(reply, hostile)
