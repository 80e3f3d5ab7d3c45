"""From a question and a picture to a reply, its JSON, or an error."""

import json
from pathlib import Path

import pytest

from app.answers.service import MAX_CHARACTERS, Service, clean_question, reply_to_json
from app.page import cards
from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.errors import DataError


def test_agreement_on_the_page_and_in_json(service: Service, tmp_path: Path) -> None:
    seen = set()
    for number in range(20):
        picture = tmp_path / f"{number}.png"
        render(make_scene(0, "demo", number)).save(picture)
        reply = service.ask(picture, "is there a red circle?")
        assert reply.main and reply.dense
        assert reply.agree == (reply.main.text == reply.dense.text)
        seen.add(reply.agree)
        text = cards.render_answer(reply, service.known)
        assert ("gives the same answer" in text) == reply.agree
        reply_json = json.loads(json.dumps(reply_to_json(reply, service)))
        assert reply_json["answer"] == reply.main.text and reply_json["agree"] == reply.agree
        assert len(reply_json["ticket"]["attention"]) == len(reply_json["regions"])
        assert reply_json["region_names"] == [None] * len(reply_json["regions"])
        assert 1 <= len(reply_json["looked_at"]) <= 3
        assert service.models.dense
        assert reply_json["dense"]["bytes"] == service.models.dense.bytes
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (None, "no question yet"),
        ("", "no question yet"),
        (" \n\t ", "no question yet"),
        ("x" * 5000, "5,000 characters; write one of at most 300"),
    ],
)
def test_empty_and_long_questions_are_rejected(question: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        clean_question(question)
    assert clean_question("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS


def test_missing_and_unreadable_pictures_are_rejected(service: Service, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("hello")
    for path, message in (
        (None, "there is no picture yet; choose one"),
        (text, "not a picture that can be read (PNG, JPEG, …)"),
        (tmp_path / "gone.png", "the picture has been deleted; choose it again"),
    ):
        with pytest.raises(DataError) as error:
            service.ask(path, "is there a circle?")
        assert str(error.value) == message  # without the file's name


def test_unknown_words_and_truncation_are_noted(service: Service, scene: Path) -> None:
    (note,) = service.ask(scene, "is there a <b>dog</b>?").notes
    assert "“dog”" in note and "guess" in note
    reply = service.ask(scene, "is there a red circle " * 8)
    assert "did not read" in reply.notes[-1]
