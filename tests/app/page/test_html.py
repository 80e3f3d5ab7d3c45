"""No text of a user or a run becomes markup."""

import copy
from pathlib import Path

import numpy as np
import pytest

from app.answers.known_inputs import KnownInputs
from app.answers.models import Models
from app.answers.service import Service
from app.answers.speedup import Speedups
from app.answers.stages import Stage
from app.page import cards, html
from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import RegionObjects, Regions

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_no_text_becomes_markup(service: Service, scene: Path) -> None:
    reply = service.ask(scene, HOSTILE)
    hostile = KnownInputs(HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,))
    assert service.models.dense
    models = Models(copy.copy(service.models.main), copy.copy(service.models.dense))
    assert models.dense
    models.main.variant = models.dense.variant = models.main.precision = HOSTILE
    hostile_service = Service(HOSTILE, models, service.regions, hostile)
    alone = Service(HOSTILE, Models(models.main), service.regions, hostile)
    for text in (
        cards.render_answer(reply, hostile),
        html.render_probabilities(reply, service),
        cards.render_error(HOSTILE),
        cards.render_objection(HOSTILE, hostile),
        html.render_known_inputs(hostile),
        html.render_client_example(HOSTILE, service),
        html.render_header(hostile_service),
        html.render_header(alone),
        html.render_probabilities(reply, hostile_service),
        html.render_probabilities(reply, alone),
    ):
        assert "<script" not in text and "<img" not in text
    assert "&lt;script" in cards.render_answer(reply, hostile)


def test_the_page_does_not_show_where_a_model_lies(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "alice" / "model"
    folder.mkdir(parents=True)
    for where, name, shown in (
        (tmp_path, str(folder), "model"),
        (tmp_path, "alice/model", "model"),
        (tmp_path, "alice/model/", "model"),
        (folder, ".", "model"),
        (folder, "..", "alice"),
        (tmp_path, "unc-nlp/lxmert-vqa-uncased", "unc-nlp/lxmert-vqa-uncased"),
    ):
        monkeypatch.chdir(where)
        alone = Service(name, Models(service.models.main), service.regions, service.known)
        assert f"<b>{shown}</b>" in html.render_header(alone)


SHAPES = "has fewer heads and neurons"


@pytest.mark.parametrize(
    ("compact", "dense", "ratios", "says"),
    [
        (
            True,
            "int8",
            [1.9] * 8,
            f"{SHAPES} than the dense model and answers <b>1.9 times as fast",
        ),
        (True, "int8", [1.9] * 8, "over the 8 questions so far (both in int8, in ONNX Runtime)"),
        (True, "int8", [1.1, 0.9] * 4, f"{SHAPES} than the dense model, but was not measurably"),
        (True, "int8", [1.9] * 2, "shown from 6 questions on; there have been 2."),
        (True, "fp32", [1.9] * 8, "<code>--dense-variant int8</code> compares both"),
        (False, "fp32", [1.9] * 8, "The zeros only make the file smaller."),
        (False, "int8", [1.9] * 8, "zeros make its file smaller, not faster."),
    ],
)
def test_speed_is_attributed_to_fewer_heads_and_neurons_only(
    service: Service, scene: Path, compact: bool, dense: str, ratios: list[float], says: str
) -> None:
    assert service.models.dense
    models = Models(copy.copy(service.models.main), copy.copy(service.models.dense))
    assert models.dense
    models.main.compact, models.dense.precision = compact, dense
    other = Service("run", models, service.regions, service.known)
    reply = other.ask(scene, "is there a circle?")
    other.speedups = Speedups()  # of known times
    for ratio in ratios:
        other.speedups.add(dense_milliseconds=ratio, ticket_milliseconds=1)
    text = html.render_probabilities(reply, other)
    assert says in text
    assert ("times as fast" in text) == (compact and dense == "int8" and ratios == [1.9] * 8)


def test_the_stages_before_the_current_one_are_done() -> None:
    text = cards.render_stage(Stage.DETECTING, Stage.ANSWERING, 14.2)
    assert text.count("lx-done") == 1 and text.count("lx-current") == 1
    assert "the latest picture took 14 s" in text and "Waiting" not in text and "Answer" in text
    waiting = cards.render_stage(Stage.WAITING, Stage.DETECTING, None)
    assert '<li class="lx-current">Waiting for the pictures before this one' in waiting
    assert "Answer" not in waiting and "took" not in waiting


def test_what_the_detector_found_is_named_once_a_picture_is_ready() -> None:
    ids, sure = np.arange(3), np.full(3, 0.9, np.float32)
    boxes = np.zeros((3, 4), np.float32)
    regions = Regions(np.zeros((3, 1), np.float32), boxes, RegionObjects(ids, sure, ids, sure))
    (first, *_) = region_names(regions)
    assert first and first in cards.render_ready(regions)
    assert "Found" not in cards.render_ready(Regions(regions.features, boxes))
