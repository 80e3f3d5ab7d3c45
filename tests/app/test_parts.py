"""What the page is made of: each picture looked at once, what a model knows, drawing, refusals."""

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shared import SHARED
from tokenizers import Tokenizer

from app.answers.known_inputs import Knowledge, plain_share, unknown_words, words_cut_off
from app.answers.models import Model, Pair
from app.answers.open_run import Choice, missing_files, newest_run, open_service
from app.answers.region_cache import RegionCache
from app.answers.service import MAX_CHARACTERS, Service, as_json, check_question
from app.page import html
from app.page.draw_regions import draw_regions
from app.page.examples import make_examples
from app.page.upload_guard import MAX_UPLOAD, Guard
from app.server import find_port
from exporters.runtime.vqa_model import OnnxVqaModel, pad_regions
from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.errors import ConfigError, DataError, ModelError, RunError
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.system.files import read_json, write_json
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Regions

CHOICE = Choice.of("sparse-int8", "fp32", "cpu", 1, None)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that the model knows."""
    path = tmp_path_factory.mktemp("scene") / "scene.png"
    render(make_scene(0, "demo", 0)).save(path)
    return path


# -- Regions ------------------------------------------------------------------------------------


class Counting(PixelDetector):
    """Counts pictures, and takes its time."""

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        self.seen += len(pictures)
        time.sleep(0.05)
        return super().detect(pictures)


def test_one_look_at_each_picture(tmp_path: Path) -> None:
    detector = Counting()
    cache = RegionCache(detector, size=2)
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        render(make_scene(0, "demo", number)).save(paths[-1])
    same = Path(shutil.copy(paths[0], tmp_path / "copy.png"))

    threads = [threading.Thread(target=cache.look, args=[path]) for path in [paths[0], same] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert detector.seen == 1  # by content, and once for all who ask at a time
    (expected,) = PixelDetector().detect([open_picture(paths[0])])
    found = cache.look(paths[0])
    np.testing.assert_array_equal(found.regions.features, expected.features)
    np.testing.assert_array_equal(found.regions.boxes, expected.boxes)

    cache.look(paths[1])
    cache.look(paths[0])
    cache.look(paths[2])  # the one longest unused goes
    assert len(cache) == 2 and detector.seen == 3
    cache.look(paths[0])
    assert detector.seen == 3
    cache.look(paths[1])
    assert detector.seen == 4


def test_a_picture_that_is_none_is_not_kept(tmp_path: Path) -> None:
    cache = RegionCache(PixelDetector())
    path = tmp_path / "text.png"
    path.write_text("hello")
    for _ in range(2):
        with pytest.raises(DataError, match="not a picture"):
            cache.look(path)
    render(make_scene(0, "demo", 0)).save(path)
    assert len(cache.look(path).regions.boxes) and len(cache) == 1


def test_a_large_picture_is_not_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    render(make_scene(0, "demo", 0)).resize((3000, 1500)).save(path)
    assert RegionCache(PixelDetector()).look(path).preview.size == (768, 384)


# -- Answers ------------------------------------------------------------------------------------


def test_answers_of_both_models(tiny_exported: Path, service: Service, scene: Path) -> None:
    question = "how many red shapes are there?"
    reply = service.ask(scene, "  how many red\n shapes are there? ")
    assert reply.question == question and reply.objection is None and reply.notes == []
    (regions,) = PixelDetector().detect([open_picture(scene)])
    for answer, file in ((reply.ticket, "model_sparse_int8.onnx"), (reply.dense, "model.onnx")):
        assert answer
        model = OnnxVqaModel(tiny_exported / "onnx" / file, threads=1)
        (logits,) = model.logits(model.encode([question]) | pad_regions([regions]))
        order = np.argsort(-logits, kind="stable")[:5]
        assert [text for text, _ in answer.likeliest] == [model.labels[index] for index in order]
        chances = [probability for _, probability in answer.likeliest]
        np.testing.assert_allclose(chances, 1 / (1 + np.exp(-logits[order])), rtol=1e-5)
        assert answer.attention.shape == (len(regions.boxes),)
        assert answer.attention.sum() == pytest.approx(1, abs=1e-5)
        assert 0 < answer.milliseconds < 1000
        assert model.answer([question], [regions]) == [answer.text]
    assert (
        service.pair.ticket.bytes == (tiny_exported / "onnx/model_sparse_int8.onnx").stat().st_size
    )
    assert service.pair.ticket.sparsity == pytest.approx(0.5, abs=0.01)
    assert service.pair.dense.sparsity is None


def test_agreement_and_json(service: Service, tmp_path: Path) -> None:
    seen = set()
    for number in range(20):
        picture = tmp_path / f"{number}.png"
        render(make_scene(0, "demo", number)).save(picture)
        reply = service.ask(picture, "is there a red circle?")
        assert reply.ticket and reply.dense
        assert reply.agree == (reply.ticket.text == reply.dense.text)
        seen.add(reply.agree)
        text = html.answer(reply, service.knowledge)
        assert ("gives the same answer" in text) == reply.agree
        found = json.loads(json.dumps(as_json(reply, service)))
        assert found["answer"] == reply.ticket.text and found["agree"] == reply.agree
        assert len(found["ticket"]["attention"]) == len(found["regions"])
        assert found["dense"]["bytes"] == service.pair.dense.bytes
    assert seen == {True, False}


def test_files_of_different_runs(tiny_exported: Path, tmp_path: Path) -> None:
    onnx = tiny_exported / "onnx"
    pair = Pair(Model(onnx / "model_sparse.onnx", "cpu", 1), Model(onnx / "model.onnx", "cpu", 1))
    assert pair.ticket.labels == pair.dense.labels
    other = _with_labels(onnx / "model.onnx", tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="different answers"):
        Pair.open(onnx / "model_sparse.onnx", other, "cpu", 1)


def _with_labels(path: Path, target: Path) -> Path:
    import onnx

    model = onnx.load(path)
    (entry,) = (item for item in model.metadata_props if item.key == "labels")
    entry.value = json.dumps([f"{label}!" for label in json.loads(entry.value)])
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (None, "no question yet"),
        ("", "no question yet"),
        (" \n\t ", "no question yet"),
        ("x" * 5000, "5,000 characters; write one of at most 300"),
    ],
)
def test_questions_that_are_none(question: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_question(question)
    assert check_question("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS


def test_pictures_that_are_none(service: Service, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("hello")
    for path, message in (
        (None, "there is no picture yet; choose one"),
        (text, "not a picture that can be read (PNG, JPEG, ...)"),
        (tmp_path / "gone.png", "the picture is not kept any more; choose it again"),
    ):
        with pytest.raises(DataError) as told:
            service.ask(path, "is there a circle?")
        assert str(told.value) == message  # and nothing of the file's name


# -- What the model knows -----------------------------------------------------------------------


def knowledge(detector: str = "pixel") -> Knowledge:
    return Knowledge("shapes-vqa", detector, ("yes", "no"), ())


def objection(picture: Image.Image) -> str | None:
    (regions,) = PixelDetector().detect([picture])
    return knowledge().objection(picture, regions)


def test_no_scene_is_objected_to() -> None:
    for number in range(300):
        picture = render(make_scene(0, "demo", number))
        assert objection(picture) is None, number
    for size in ((48, 48), (400, 300), (1000, 1000)):
        assert objection(picture.resize(size)) is None


@pytest.mark.skipif(not (SHARED / "easy-vqa").exists(), reason="needs ../shared/easy-vqa")
def test_no_public_drawing_is_objected_to() -> None:
    pictures = sorted((SHARED / "easy-vqa").rglob("*.png"))[::10]
    assert len(pictures) >= 400
    for path in pictures:
        assert objection(open_picture(path)) is None, path


@pytest.mark.skipif(not (SHARED / "coco-sample").exists(), reason="needs ../shared/coco-sample")
def test_every_photograph_is_objected_to() -> None:
    pictures = sorted((SHARED / "coco-sample").glob("*.jpg"))
    assert len(pictures) == 10
    for path in pictures:
        for side in (64, 640):  # thumbnails as well
            picture = open_picture(path)
            picture.thumbnail((side, side))
            assert "photograph" in (objection(picture) or ""), (path, side)


def test_noise_gradients_and_blanks_are_objected_to() -> None:
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (100, 100, 3), np.uint8))
    ramp = np.linspace(0, 255, 100).astype(np.uint8)
    gradient = Image.fromarray(np.stack([np.tile(ramp, (100, 1))] * 3, axis=2))
    for picture in (noise, gradient):
        assert "photograph" in (objection(picture) or "")
    blank = Image.new("RGB", (40, 30), "teal")
    assert objection(blank) == "Nothing in this picture stands out from its ground."


def test_other_detectors_take_any_picture() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8))
    (regions,) = PixelDetector().detect([noise])
    assert knowledge("butd").objection(noise, regions) is None


def test_plain_share_by_hand() -> None:
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste((255, 0, 0), (10, 10, 30, 60))  # a region: 10% of the picture
    picture.paste((0, 0, 0), (80, 0, 100, 20))  # 4% that nothing explains
    features = np.zeros((1, 107), np.float32)
    features[0, 64:67] = (1, -1, -1)  # red
    regions = Regions(features, np.array([[0.1, 0.1, 0.3, 0.6]], np.float32))
    assert plain_share(picture, regions) == pytest.approx(0.96)
    features[0, 64:67] = (-1, 1, -1)  # green is not what is there
    assert plain_share(picture, regions) == pytest.approx(0.86)


def test_words_that_were_never_seen(tiny_exported: Path) -> None:
    small = load_tokenizer(tiny_exported / "ticket").backend_tokenizer
    small.enable_truncation(20)
    for question, words in (
        ("how many red shapes are there?", []),
        ("How MANY red?!", []),
        ("is there a dog?", ["dog"]),
        ("Is there a Dog, a dog or 日本?", ["Dog", "or", "dog", "日", "本"]),
        ("x" * 200, ["x" * 200]),
        ("<&>?", []),
        ("", []),
    ):
        assert sorted(unknown_words(small, question)) == sorted(words), question
    assert words_cut_off(small, "is there a red circle?") == ""
    long = "is there a red circle " * 10  # 20 pieces are read, [CLS] and [SEP] among them
    assert words_cut_off(small, long) == " ".join(long.split()[18:])


def test_pieces_of_a_full_vocabulary_are_no_strangers() -> None:
    """BERT cuts words that it knows well; only what it spells out is news to it."""
    from tokenizers import models, normalizers, pre_tokenizers

    pieces = ["[UNK]", "snow", "##board", "##er", "z", "##q", "what"]
    model = models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert unknown_words(tokenizer, "What snowboarder zq z?") == ["zq"]


def test_notes(service: Service, scene: Path) -> None:
    (note,) = service.ask(scene, "is there a <b>dog</b>?").notes
    assert "“dog”" in note and "guess" in note
    reply = service.ask(scene, "is there a red circle " * 8)
    assert "did not read" in reply.notes[-1]


def test_knowledge_in_words(service: Service) -> None:
    known = service.knowledge
    assert known.data == "shapes-vqa" and known.detector == "pixel"
    assert "red" in known.words and "[UNK]" not in known.words and "##a" not in known.words
    text = html.about(known)
    assert "red" in text and "zebra" in text or "yes" in text
    many = {f"word{number}": number for number in range(300)}
    from tokenizers import models

    large = Tokenizer(models.WordLevel(many, unk_token="word0"))
    assert Knowledge.of("vqa-v2", "butd", ["yes"], large).words == ()


# -- Markup -------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_no_text_becomes_markup(service: Service, scene: Path) -> None:
    reply = service.ask(scene, HOSTILE)
    hostile = Knowledge(HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,))
    for text in (
        html.answer(reply, hostile),
        html.bars(reply, service),
        html.problem(HOSTILE),
        html.objection(HOSTILE, hostile),
        html.about(hostile),
        html.usage(HOSTILE),
        html.head(hostile, service),
    ):
        assert "<script" not in text and "<img" not in text
    assert "&lt;script" in html.answer(reply, hostile)


# -- Drawing ------------------------------------------------------------------------------------


def test_drawing_by_hand() -> None:
    picture = Image.new("RGB", (640, 640), (200, 200, 200))
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.8, 0.8], [0.1, 0.6, 0.3, 0.8]], np.float32)
    attention = np.array([0.2, 0.7, 0.1])

    def inside(drawn: Image.Image) -> list[int]:
        middles = [(128, 128), (448, 448), (128, 448)]
        return [int(np.asarray(drawn)[y, x].mean()) for x, y in middles]

    assert inside(draw_regions(picture, boxes, attention, 0)) == [200, 200, 200]
    one = draw_regions(picture, boxes, attention, 1)
    assert inside(one) == [80, 200, 80]  # only the one that was looked at most is bright
    assert inside(draw_regions(picture, boxes, attention, 2)) == [200, 200, 80]
    assert inside(draw_regions(picture, boxes, attention, 9)) == [200, 200, 200]
    assert one.getpixel((640 * 6 // 10 - 4, 450)) != (80, 80, 80)  # its frame
    assert picture.getpixel((0, 0)) == (200, 200, 200)  # and the picture itself is as it was


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=1, max_size=8),
    st.integers(0, 12),
)
def test_drawing_of_any_boxes(
    size: tuple[int, int], corners: list[tuple[float, float, float, float]], count: int
) -> None:
    boxes = np.array(
        [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners], np.float32
    )
    attention = np.full(len(boxes), 1 / len(boxes), np.float32)
    drawn = draw_regions(Image.new("RGB", size), boxes, attention, count)
    assert drawn.mode == "RGB" and max(drawn.size) == max(640, *size) and min(drawn.size) >= 1


def test_examples_are_the_same_each_time(tmp_path: Path, service: Service) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = make_examples(tmp_path / "one"), make_examples(tmp_path / "two")
    assert len(first) == 4 and len({example.question for example in first}) == 4
    for one, other in zip(first, second, strict=True):
        assert one.question == other.question
        assert one.picture.read_bytes() == other.picture.read_bytes()
        reply = service.ask(one.picture, one.question)
        assert reply.objection is None and reply.ticket


# -- Which run ----------------------------------------------------------------------------------


def test_newest_run(tmp_path: Path) -> None:
    import os

    assert newest_run(tmp_path / "runs") is None
    for number, name in enumerate(("old", "newest", "unfinished", "no-run")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "no-run":
            (tmp_path / "runs" / name / "theta0").mkdir()
        if name != "unfinished":
            result = tmp_path / "runs" / name / "result.json"
            result.write_text("{}")
            os.utime(result, (1000 + number, 1000 + number))
    (tmp_path / "runs" / "file").write_text("")
    assert newest_run(tmp_path / "runs") == tmp_path / "runs" / "newest"


def test_missing_files(tiny_exported: Path, tiny_run: Path, tmp_path: Path) -> None:
    assert missing_files(tiny_exported, CHOICE) == []
    assert [variant.name for variant in missing_files(tiny_run, CHOICE)] == ["fp32", "sparse-int8"]
    with pytest.raises(RunError, match="no run directory"):
        missing_files(tmp_path, CHOICE)
    (tmp_path / "theta0").mkdir()
    with pytest.raises(RunError, match="no finished ticket.*--resume"):
        missing_files(tmp_path, CHOICE)


@pytest.mark.parametrize(
    ("ticket", "dense", "message"),
    [
        ("fp32", "fp32", "--variant fp32: choose sparse-fp32, sparse-fp16, sparse-int8"),
        ("sparse-int8", "sparse-fp16", "--dense-variant sparse-fp16: choose fp32, fp16, int8"),
        ("small", "fp32", "--variant small"),
    ],
)
def test_variants_of_the_wrong_kind(ticket: str, dense: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Choice.of(ticket, dense, "cpu", None, None)


def test_detector_of_the_run(tiny_exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("onnx", "theta0"):
        (folder / name).symlink_to(tiny_exported / name)
    result = read_json(tiny_exported / "result.json", "result")
    result["dataset"]["detector"] = None
    write_json(folder / "result.json", result)
    with pytest.raises(ConfigError, match="do not say what made their regions"):
        open_service(folder, CHOICE)
    result["dataset"]["detector"] = "unheard-of"
    write_json(folder / "result.json", result)
    with pytest.raises(ConfigError, match="unheard-of"):
        open_service(folder, CHOICE)


def test_detector_that_does_not_fit(tiny_exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PixelDetector, "feature_size", 2048)
    with pytest.raises(ModelError, match="takes regions of 107 numbers.*gives 2048"):
        open_service(tiny_exported, CHOICE)


def test_ports() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port} is in use on 127.0.0.1"):
            find_port(port)
    assert find_port(port) == port
    assert 7860 <= find_port(None) < 7960


# -- Guard --------------------------------------------------------------------------------------


def through_guard(
    path: str, body: list[bytes], content_type: str = "application/json", length: int | None = None
) -> tuple[int, bytes | None]:
    """Status, and what the app behind received (None where it was not asked)."""
    received: list[bytes] = []
    asked = False
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked = True
        more = True
        while more:
            message = await receive()
            received.append(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    parts = list(body)

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", content_type.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    asyncio.run(Guard(app)(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], b"".join(received) if asked and sent[0]["status"] == 200 else None


FORM = "multipart/form-data; boundary=x"


def test_guard_passes_what_is_right() -> None:
    body = json.dumps({"data": [{"path": "/tmp/x.png"}, "is http://x a circle?", 3]}).encode()
    assert through_guard("/run/ask", [body]) == (200, body)
    assert through_guard("/run/ask", [body[:9], body[9:]]) == (200, body)
    assert through_guard("/gradio_api/file=/tmp/x.png", [b""]) == (200, b"")
    large = b"x" * MAX_UPLOAD
    assert through_guard("/upload", [large[:100], large[100:]], FORM) == (200, large)
    assert through_guard("/run/ask", [b"no JSON"]) == (200, b"no JSON")


@pytest.mark.parametrize(
    "data",
    [
        {"path": "http://127.0.0.1/x.png", "meta": {"_type": "gradio.FileData"}},
        {"path": "https://example.com/x.png"},
        {"path": "file:///etc/passwd"},
        [[{"deep": {"path": "HTTP://x"}}]],
        {"value": {"path": "ftp://x"}},
    ],
)
def test_guard_refuses_addresses(data: Any) -> None:
    assert through_guard("/run/ask", [json.dumps({"data": [data]}).encode()]) == (400, None)
    body = json.dumps(data).encode()
    assert through_guard("/run/ask", [body], "text/plain") == (400, None)


def test_guard_refuses_the_rest() -> None:
    for path in ("/gradio_api/file=http://x/y", "/gradio_api/proxy=https://x", "/file/http://x"):
        assert through_guard(path, [b""]) == (403, None)
    assert through_guard("/run/ask", [b"["] * 3, length=2**20 + 1) == (413, None)
    assert through_guard("/run/ask", [b"x" * 2**20, b"x"]) == (413, None)
    assert through_guard("/upload", [b"x" * MAX_UPLOAD, b"x" * 2**17], FORM) == (413, None)
    assert through_guard("/upload", [b""], FORM, 50_000_000) == (413, None)
    assert through_guard("/run/ask", [b"[" * 500_000]) == (400, None)
