"""ShapesVQA: the files, their repeatability, the balance, and every answer by a second reading."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lxcompress.data.dataset_config import DATASET_NAME
from lxcompress.data.shapes.dataset import ANSWERS, ensure_shapes, make_shapes, shapes_folder
from lxcompress.data.shapes.questions import QuestionWriter
from lxcompress.data.shapes.scenes import (
    COLORS,
    KINDS,
    PICTURE_SIZE,
    SIZES,
    Scene,
    Shape,
    make_scene,
)
from lxcompress.data.shapes.templates import CLEAR, TEMPLATES, VOCABULARY
from lxcompress.errors import ConfigError

SMALL = {"train_images": 6, "val_images": 3, "test_images": 2, "questions_per_image": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shapes") / "data"
    make_shapes(output, **SMALL, seed=3)
    return output


@pytest.fixture(scope="module")
def asked() -> list[tuple[Scene, list]]:
    """600 scenes with their questions, as one split has them."""
    writer = QuestionWriter()
    scenes = [make_scene(0, "train", index) for index in range(600)]
    return [(s, writer.write(s, 8, random.Random(i))) for i, s in enumerate(scenes)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- The folder -------------------------------------------------------------------------------


def test_same_seed_same_bytes_other_seed_other_scenes(folder: Path, tmp_path: Path) -> None:
    make_shapes(tmp_path / "again", **SMALL, seed=3)
    make_shapes(tmp_path / "other", **SMALL, seed=4)
    first, again, other = (contents(f) for f in (folder, tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert first.keys() == other.keys()
    pictures = [name for name in first if name.endswith(".png")]
    assert len(pictures) == 11
    assert all(first[name] != other[name] for name in pictures)


def test_a_larger_split_begins_with_the_smaller_one(folder: Path, tmp_path: Path) -> None:
    make_shapes(tmp_path / "more", train_images=9, val_images=3, questions_per_image=5, seed=3)
    first, more = contents(folder), contents(tmp_path / "more")
    pictures = [n for n in first if n.endswith(".png") and "test" not in n]
    assert all(more[name] == first[name] for name in pictures)
    few = json.loads(first["train_annotations.json"])["annotations"]
    many = json.loads(more["train_annotations.json"])["annotations"]
    assert many[: len(few)] == few


def test_splits_share_no_scene_and_no_id(folder: Path) -> None:
    files = contents(folder)
    pictures = [data for name, data in files.items() if name.endswith(".png")]
    assert len(set(pictures)) == len(pictures)
    questions = [
        question
        for split in ("train", "val", "test")
        for question in json.loads(files[f"{split}_questions.json"])["questions"]
    ]
    assert len(questions) == 55 == len({question["question_id"] for question in questions})
    assert len({question["image_id"] for question in questions}) == 11


def test_files_follow_the_vqa_v2_schema(folder: Path) -> None:
    dataset = yaml.safe_load((folder / "dataset.yaml").read_text())
    assert dataset["name"] == "shapes-vqa"
    assert dataset["detector"] == "pixel"
    assert dataset["test"].keys() == {"questions", "images"}
    for split in ("train", "val"):
        parts = dataset[split]
        questions = json.loads((folder / parts["questions"]).read_text())
        annotations = json.loads((folder / parts["annotations"]).read_text())
        head = {"info", "license", "data_subtype", "data_type"}
        assert questions.keys() == head | {"task_type", "questions"}
        assert annotations.keys() == head | {"annotations"}
        both = zip(questions["questions"], annotations["annotations"], strict=True)
        for question, annotation in both:
            assert question.keys() == {"image_id", "question", "question_id"}
            assert question["question_id"] == annotation["question_id"]
            assert question["image_id"] == annotation["image_id"]
            name = f"shapes_{split}_{question['image_id']:012d}.png"
            with Image.open(folder / parts["images"] / name) as picture:
                assert (picture.size, picture.mode) == ((PICTURE_SIZE, PICTURE_SIZE), "RGB")
            assert question["question"].startswith(annotation["question_type"] + " ")
            assert annotation["answer_type"] in {"yes/no", "number", "other"}
            answers = annotation["answers"]
            assert [answer["answer_id"] for answer in answers] == list(range(1, 11))
            assert {answer["answer"] for answer in answers} == {
                annotation["multiple_choice_answer"]
            }
            assert {answer["answer_confidence"] for answer in answers} == {"yes"}


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="already exists"):
        make_shapes(tmp_path, **SMALL)
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize(
    "sizes", [{"train_images": 0}, {"val_images": 10**7}, {"questions_per_image": 0}]
)
def test_sizes_out_of_range(sizes: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be"):
        make_shapes(tmp_path / "new", **sizes)
    assert not any(tmp_path.iterdir())


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(scene: Scene) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lxcompress.data.shapes.dataset.render", fail)
    with pytest.raises(KeyboardInterrupt):
        make_shapes(tmp_path / "new", **SMALL)
    assert not any(tmp_path.iterdir())


def test_the_default_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "cache"))
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        folder.mkdir(parents=True)
        (folder / DATASET_NAME).touch()

    monkeypatch.setattr("lxcompress.data.shapes.dataset.make_shapes", make)
    assert ensure_shapes() == ensure_shapes() == shapes_folder()
    assert made == [shapes_folder()]
    assert made[0].parent == tmp_path / "cache"


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigError, match="LXCOMPRESS_CACHE"):
        ensure_shapes()


# -- Scenes -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["train", "val"]), st.integers(0, 10**6))
def test_shapes_lie_inside_and_apart(seed: int, split: str, index: int) -> None:
    scene = make_scene(seed, split, index)
    assert scene == make_scene(seed, split, index)
    assert 2 <= len(scene.shapes) <= 6
    for number, shape in enumerate(scene.shapes):
        left, top, right, bottom = shape.box
        assert 0 < left < right < 1
        assert 0 < top < bottom < 1
        for other in scene.shapes[:number]:
            a, b = shape.box, other.box
            gap = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
            assert gap * PICTURE_SIZE >= 3.99


# -- Questions --------------------------------------------------------------------------------


def test_answer_types_have_their_shares(asked: list) -> None:
    types = Counter(q.answer_type for _, questions in asked for q in questions)
    total = types.total()
    assert total == 600 * 8
    assert types["yes/no"] / total == pytest.approx(0.4, abs=0.005)
    assert types["number"] / total == pytest.approx(0.2, abs=0.005)


def test_answers_are_balanced(asked: list) -> None:
    by_template: dict[str, Counter[str]] = {name: Counter() for name in TEMPLATES}
    for _, questions in asked:
        for question in questions:
            by_template[question.template][question.answer] += 1
    for name, answers in by_template.items():
        assert answers.total() > 30, name
        if TEMPLATES[name].answer_type == "yes/no":
            assert abs(answers["yes"] - answers["no"]) <= 1, name
        else:
            assert max(answers.values()) / answers.total() < 0.62, name
    # The best that a model blind to the picture can do from the kind of question.
    blind = sum(max(answers.values()) for answers in by_template.values())
    assert blind / sum(answers.total() for answers in by_template.values()) < 0.45


def test_no_question_twice_about_a_picture(asked: list) -> None:
    for _, questions in asked:
        assert len({question.text for question in questions}) == len(questions)


def test_vocabulary_is_exactly_what_occurs(asked: list) -> None:
    words = {w for _, qs in asked for q in qs for w in q.text.removesuffix("?").split()}
    assert words == set(VOCABULARY)
    assert len(VOCABULARY) < 80
    assert {q.answer for _, qs in asked for q in qs} <= set(ANSWERS)
    assert all(q.text == q.text.lower() and q.text.endswith("?") for _, qs in asked for q in qs)


def test_answers_agree_with_a_second_reading(asked: list) -> None:
    for scene, questions in asked:
        for question in questions:
            assert answer(question.text, scene.shapes) == question.answer, (question, scene)


# A reader of questions that shares no code with their writer. It also insists that "the ..." fits
# one shape only, and that positions are plain.

_RELATION = "(left of|right of|above|below)"
_EXTREME = "(leftmost|rightmost|topmost|bottommost)"


def choose(words: str, shapes: tuple[Shape, ...]) -> list[Shape]:
    for word in words.split():
        singular = word.removesuffix("s")
        if word in SIZES:
            shapes = tuple(s for s in shapes if s.size == word)
        elif word in COLORS:
            shapes = tuple(s for s in shapes if s.color == word)
        elif singular in KINDS:
            shapes = tuple(s for s in shapes if s.kind == singular)
        else:
            assert singular in {"shape", "thing"}, word
    return list(shapes)


def the(words: str, shapes: tuple[Shape, ...]) -> Shape:
    (only,) = choose(words, shapes)
    return only


def lies(shape: Shape, relation: str, other: Shape) -> bool:
    along = shape.x - other.x if relation in {"left of", "right of"} else shape.y - other.y
    assert abs(along) >= CLEAR, "too close to tell"
    return along < 0 if relation in {"left of", "above"} else along > 0


def lying(parts: tuple[str, ...], shapes: tuple[Shape, ...]) -> list[Shape]:
    words, relation, reference = parts
    other = the(reference, shapes)
    return [s for s in choose(words, shapes) if s is not other and lies(s, relation, other)]


def outermost(extreme: str, shapes: tuple[Shape, ...]) -> Shape:
    ranked = sorted(shapes, key=lambda s: s.x if extreme in {"leftmost", "rightmost"} else s.y)
    if extreme in {"rightmost", "bottommost"}:
        ranked.reverse()
    first, second = ranked[:2]
    across = (first.x - second.x) if extreme in {"leftmost", "rightmost"} else (first.y - second.y)
    assert abs(across) >= CLEAR
    return first


def answer(text: str, shapes: tuple[Shape, ...]) -> str:
    def match(pattern: str) -> tuple[str, ...] | None:
        found = re.fullmatch(pattern, text)
        return found.groups() if found else None

    yes = {True: "yes", False: "no"}
    attribute = {"color": "color", "shape": "kind", "size": "size"}
    if parts := match(r"are there more (.+) than (.+)\?"):
        return yes[len(choose(parts[0], shapes)) > len(choose(parts[1], shapes))]
    if parts := match(rf"is there a (.+) {_RELATION} the (.+)\?"):
        return yes[bool(lying(parts, shapes))]
    if parts := match(r"is there a (.+)\?"):
        return yes[bool(choose(parts[0], shapes))]
    if parts := match(rf"is the (.+) {_RELATION} the (.+)\?"):
        return yes[lies(the(parts[0], shapes), parts[1], the(parts[2], shapes))]
    if parts := match(r"is the (.+?)(?: a)? (\w+)\?"):
        shape = the(parts[0], shapes)
        return yes[parts[1] in {shape.kind, shape.color, shape.size}]
    if parts := match(r"how many (.+) are there\?"):
        return str(len(choose(parts[0], shapes)))
    if parts := match(rf"how many (.+) are {_RELATION} the (.+)\?"):
        return str(len(lying(parts, shapes)))
    if parts := match(rf"what (color|shape|size) is the {_EXTREME} (?:shape|thing)\?"):
        return getattr(outermost(parts[1], shapes), attribute[parts[0]])
    if parts := match(rf"what (color|shape|size) is the (.+) {_RELATION} the (.+)\?"):
        (only,) = lying(parts[1:], shapes)
        return getattr(only, attribute[parts[0]])
    if parts := match(r"what (color|shape|size) is the (.+)\?"):
        return getattr(the(parts[1], shapes), attribute[parts[0]])
    raise AssertionError(f"cannot read {text!r}")
