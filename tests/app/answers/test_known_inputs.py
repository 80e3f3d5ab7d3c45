"""Which pictures and words are out of distribution."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shared import SHARED
from tokenizers import Tokenizer

from app.answers.known_inputs import (
    KnownInputs,
    flat_colour_share,
    truncated_end,
    unknown_words,
    untruncated,
)
from app.answers.service import Service
from app.page import html
from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Regions


def known_inputs(detector: str = "pixel") -> KnownInputs:
    return KnownInputs("shapes-vqa", detector, ("yes", "no"), ())


def objection(picture: Image.Image) -> str | None:
    (regions,) = PixelDetector().detect([picture])
    return known_inputs().find_objection(picture, regions)


def test_scenes_are_in_distribution() -> None:
    for number in range(300):
        picture = render(make_scene(0, "demo", number))
        assert objection(picture) is None, number
    for size in ((48, 48), (400, 300), (1000, 1000)):
        assert objection(picture.resize(size)) is None


@pytest.mark.skipif(not (SHARED / "easy-vqa").exists(), reason="needs ../shared/easy-vqa")
def test_drawings_of_easy_vqa_are_in_distribution() -> None:
    pictures = sorted((SHARED / "easy-vqa").rglob("*.png"))[::10]
    assert len(pictures) >= 400
    for path in pictures:
        assert objection(open_picture(path)) is None, path


@pytest.mark.skipif(not (SHARED / "coco-sample").exists(), reason="needs ../shared/coco-sample")
def test_photographs_are_out_of_distribution() -> None:
    pictures = sorted((SHARED / "coco-sample").glob("*.jpg"))
    assert len(pictures) == 10
    for path in pictures:
        for side in (64, 640):  # thumbnails as well
            picture = open_picture(path)
            picture.thumbnail((side, side))
            assert "photograph" in (objection(picture) or ""), (path, side)


def test_noise_gradients_and_blank_pictures_are_out_of_distribution() -> None:
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (100, 100, 3), np.uint8))
    ramp = np.linspace(0, 255, 100).astype(np.uint8)
    gradient = Image.fromarray(np.stack([np.tile(ramp, (100, 1))] * 3, axis=2))
    for picture in (noise, gradient):
        assert "photograph" in (objection(picture) or "")
    blank = Image.new("RGB", (40, 30), "teal")
    assert objection(blank) == "Nothing in this picture stands out from its background."


def test_other_detectors_accept_any_picture() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8))
    (regions,) = PixelDetector().detect([noise])
    assert known_inputs("butd").find_objection(noise, regions) is None


def test_flat_colour_share_of_a_drawn_picture() -> None:
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste((255, 0, 0), (10, 10, 30, 60))  # a region: 10% of the picture
    picture.paste((0, 0, 0), (80, 0, 100, 20))  # 4% that nothing explains
    features = np.zeros((1, 107), np.float32)
    features[0, 64:67] = (1, -1, -1)  # red
    regions = Regions(features, np.array([[0.1, 0.1, 0.3, 0.6]], np.float32))
    assert flat_colour_share(picture, regions) == pytest.approx(0.96)
    features[0, 64:67] = (-1, 1, -1)  # green is not what is there
    assert flat_colour_share(picture, regions) == pytest.approx(0.86)


def test_unknown_words_and_truncation(tiny_exported: Path) -> None:
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
        assert sorted(unknown_words(untruncated(small), question)) == sorted(words), question
    assert truncated_end(small, "is there a red circle?") == ""
    long = "is there a red circle " * 10  # 20 pieces are read, [CLS] and [SEP] among them
    assert truncated_end(small, long) == " ".join(long.split()[18:])


def test_words_split_into_longer_pieces_are_known() -> None:
    """BERT splits words that it knows well; only single letters mean an unknown word."""
    from tokenizers import models, normalizers, pre_tokenizers

    pieces = ["[UNK]", "snow", "##board", "##er", "z", "##q", "what"]
    model = models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert unknown_words(tokenizer, "What snowboarder zq z?") == ["zq"]


def test_answers_and_words_of_the_run_are_listed(service: Service) -> None:
    known = service.known
    assert known.data == "shapes-vqa" and known.detector == "pixel"
    assert "red" in known.words and "[UNK]" not in known.words and "##a" not in known.words
    text = html.render_known_inputs(known)
    assert "red" in text and "zebra" in text or "yes" in text
    many = {f"word{number}": number for number in range(300)}
    from tokenizers import models

    large = Tokenizer(models.WordLevel(many, unk_token="word0"))
    assert KnownInputs.from_vocabulary("vqa-v2", "butd", ["yes"], large).words == ()
