"""ShapesVQA as a dataset folder: its files, and the same files from the same seed."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from lxcompress.data.dataset_config import DATASET_NAME
from lxcompress.data.shapes.dataset import ensure_shapes, make_shapes, shapes_folder
from lxcompress.data.shapes.scenes import (
    PICTURE_SIZE,
    Scene,
)
from lxcompress.errors import ConfigError

SMALL = {"train_images": 6, "val_images": 3, "test_images": 2, "questions_per_image": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shapes") / "data"
    make_shapes(output, **SMALL, seed=3)
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


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
