"""The functions behind the page's events, called with what a client may send."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app.answers import region_cache
from app.answers.region_cache import RegionCache
from app.answers.service import Service
from app.answers.stages import Stage
from app.page import layout
from app.page.callbacks import PageCallbacks, _as_count
from app.page.examples import Example
from app.page.latest_events import LatestEvents
from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.errors import DataError, ModelError
from lxcompress.vision.pixel import PixelDetector


@pytest.mark.parametrize(
    ("count", "expected"),
    [(3, 3), (2.7, 2), (0, 0), (-1, 0), (float("inf"), 0), (float("nan"), 0), ("3", 0), (None, 0)],
)
def test_a_number_of_regions_may_be_anything(count: Any, expected: int) -> None:
    assert _as_count(count) == expected


@pytest.mark.parametrize("path", ["/etc/passwd", "a\0b", "../x.png", 5, None])
def test_only_uploaded_files_are_opened(service: Service, tmp_path: Path, path: Any) -> None:
    callbacks = PageCallbacks(service, tmp_path)
    with pytest.raises(DataError, match=r"the picture must be (a file|uploaded first)"):
        callbacks._uploaded_file({"path": path})


def test_of_several_events_the_latest_is_shown(service: Service, tmp_path: Path) -> None:
    callbacks = PageCallbacks(service, tmp_path)
    render(make_scene(0, "demo", 0)).save(tmp_path / "scene.png")
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photograph.png")
    scene, photograph = ({"path": str(tmp_path / name)} for name in ("scene.png", "photograph.png"))
    ours, other = gr.Request(session_hash="ours"), gr.Request(session_hash="other")

    def cards(events: Any) -> list[str]:
        return [output[0] for output in events]

    first = callbacks.check_picture(photograph, ours)
    assert "appears here" in next(first)[0]
    assert "No answer for this picture" in cards(callbacks.check_picture(photograph, other))[-1]
    second = callbacks.check_picture(scene, ours)
    next(second)
    assert cards(first) == []  # its objection is to a picture that was replaced
    answer = callbacks.answer(scene, "is there a circle?", 3, ours)
    assert "is there a circle?" in next(answer)[0]
    assert cards(second) == []
    photo = callbacks.check_picture(photograph, ours)
    next(photo)
    assert callbacks._events.begin_question("other", None)()
    assert "No answer" in cards(photo)[-1]


def test_a_question_is_shown_until_the_next_one_or_another_picture() -> None:
    events = LatestEvents()
    first = events.begin_question("ours", "a.png")
    picture = events.begin_picture("ours", "a.png")  # chosen before the question, arrived later
    assert first() and not picture()  # its empty card would replace the answer
    second = events.begin_question("ours", "a.png")
    assert (first(), picture(), second()) == (False, False, True)
    assert events.begin_picture("other", "b.png")() and second()
    other = events.begin_picture("ours", "b.png")
    assert (second(), other()) == (False, True)
    third = events.begin_question("ours", "b.png")
    removed = events.begin_picture("ours", None)
    assert (third(), removed()) == (False, True)


def test_an_answer_about_a_replaced_picture_is_not_shown(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.regions, "is_slow", True)  # so that stages are shown
    callbacks = PageCallbacks(service, tmp_path)
    pictures = [{"path": str(tmp_path / f"{number}.png")} for number in range(2)]
    for number, picture in enumerate(pictures):
        render(make_scene(0, "demo", number)).save(picture["path"])
    ours = gr.Request(session_hash="ours")
    answer = callbacks.answer(pictures[0], "is there a circle?", 3, ours)
    assert "Opening the picture" in next(answer)[0]
    assert list(callbacks.check_picture(pictures[1], ours)) and list(answer) == []


def test_requests_for_cached_pictures_get_in_while_others_wait(
    service: Service, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 < region_cache._MAX_WAITING < layout._CONCURRENCY
    example = Example(scene, "is there a circle?")
    fill_in = PageCallbacks(service, scene.parent).answer_example(example)
    service.ask(scene, example.question)
    monkeypatch.setattr(region_cache, "_MAX_WAITING", 0)
    monkeypatch.setattr(service.regions, "is_slow", True)
    assert fill_in(3, gr.Request())[:2] == (str(scene), example.question)
    full = RegionCache(PixelDetector())
    full.is_slow = True
    monkeypatch.setattr(service, "regions", full)
    with pytest.raises(gr.Error, match="other requests wait for the detector"):
        fill_in(3, gr.Request())


def test_redrawing_regions_detects_none(
    service: Service, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = PageCallbacks(service, tmp_path)
    reply = service.ask(scene, "is there a circle?")
    assert reply.main
    shown = (str(scene), reply.main.attention)
    assert isinstance(callbacks.redraw_regions(shown, 2), Image.Image)
    monkeypatch.setattr(service, "regions", RegionCache(PixelDetector()))  # all are evicted
    assert callbacks.redraw_regions(shown, 2) == gr.skip() and len(service.regions) == 0
    assert callbacks.redraw_regions((str(tmp_path / "gone.png"), shown[1]), 2) == gr.skip()


def test_a_failure_replaces_the_stage_that_it_happened_in(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(picture: Path | None, question: str | None) -> Iterator[Stage]:
        yield Stage.DETECTING
        raise ModelError("the weights in /secret/place are damaged")

    monkeypatch.setattr(service, "ask_in_stages", fail)
    callbacks = PageCallbacks(service, tmp_path)
    answer = callbacks.answer({"path": str(tmp_path / "a.png")}, "how many?", 3, gr.Request())
    assert "Detecting regions" in next(answer)[0]
    text = next(answer)[0]
    assert "The model or its detector failed" in text and "secret" not in text
    with pytest.raises(ModelError, match="are damaged"):  # for the log
        next(answer)
