"""`data check`: every kind of damage is reported, and nothing for an intact dataset."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from dataset_files import write_json, write_official, write_regions
from PIL import Image
from typer.testing import CliRunner

from lxcompress.cli.data import app
from lxcompress.data.check import check_dataset

SHARD = Path("regions") / "train" / "regions-00000.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An intact dataset: pictures 1-5 in train, 11-12 in val, with their regions."""
    content: dict[str, object] = {"name": "test", "detector": "pixel"}
    for split, images in (("train", range(1, 6)), ("val", range(11, 13))):
        write_regions(tmp_path / "regions" / split, map(str, images), size=(30, 40))
        (tmp_path / "images" / split).mkdir(parents=True)
        for image in images:
            Image.new("RGB", (40, 30)).save(tmp_path / "images" / split / f"{image}.png")
        files = write_official(tmp_path, split, images)
        parts = {"regions": f"regions/{split}", "images": f"images/{split}"}
        content[split] = {key: path.name for key, path in files.items()} | parts
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    path = folder / "dataset.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def only(folder: Path) -> str:
    problems = check_dataset(folder).problems
    assert len(problems) == 1, problems
    assert "\n" not in problems[0]
    return problems[0]


def test_an_intact_dataset(folder: Path) -> None:
    findings = check_dataset(folder)
    assert findings.problems == findings.notes == []
    assert [(split.name, split.questions, split.pictures) for split in findings.splits] == [
        ("train", 10, 5),
        ("val", 4, 2),
    ]
    assert findings.splits[0].regions == "5 x 4 x 8 by pixel"
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 0 and "no problems" in result.output


def test_all_problems_are_reported(folder: Path) -> None:
    (folder / "train_questions.json").unlink()
    (folder / "val_annotations.json").unlink()
    edit(folder, lambda content: content["val"].update(regions="elsewhere"))
    problems = check_dataset(folder).problems
    assert any("train_questions.json" in problem for problem in problems)
    assert any("val_annotations.json" in problem for problem in problems)
    assert any("elsewhere" in problem for problem in problems)
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 2
    assert result.output.count("problem: ") == len(problems)


def test_no_dataset(tmp_path: Path) -> None:
    assert "no dataset.yaml" in only(tmp_path)


def test_annotations_of_other_questions(folder: Path) -> None:
    path = folder / "train_annotations.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["question_id"] = 999
    write_json(path, content)
    assert "question ids" in only(folder) and only(folder).startswith("train: ")


def test_pictures_without_regions(folder: Path) -> None:
    write_official(folder, "train", range(1, 8))
    assert "train: 2 of 7 pictures have no regions, e.g. image 6" in only(folder)


def test_regions_of_the_wrong_pictures(folder: Path) -> None:
    Image.new("RGB", (30, 40)).save(folder / "images" / "train" / "2.png")
    assert "regions for the wrong picture; e.g. image 2 is 40 x 30" in only(folder)


def test_the_orientation_of_a_photograph_is_taken_into_account(folder: Path) -> None:
    (folder / "images" / "train" / "2.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 40)).save(folder / "images" / "train" / "2.jpg", exif=exif)
    assert check_dataset(folder).problems == []


def test_a_broken_picture(folder: Path) -> None:
    (folder / "images" / "train" / "2.png").write_bytes(b"broken")
    assert "not a picture that can be read" in only(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_damaged_values(folder: Path, value: float) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    data[-2:] = np.float16(value).tobytes()
    (folder / SHARD).write_bytes(data)
    problems = check_dataset(folder).problems
    assert "regions of 1 pictures have NaN" in problems[0] and "image 3" in problems[0]
    assert "has changed since it was written" in problems[1]


def test_a_changed_and_a_truncated_shard(folder: Path) -> None:
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:-2] + np.float16(1.5).tobytes())
    assert "has changed since it was written" in only(folder)
    (folder / SHARD).write_bytes(data[:-2])
    assert "cut off" in only(folder)


def test_splits_by_different_detectors(folder: Path) -> None:
    write_regions(folder / "other", ["11", "12"], detector="butd", feature_size=9, size=(30, 40))
    edit(folder, lambda content: content["val"].update(regions="other"))
    problems = check_dataset(folder).problems
    assert problems == [
        "feature sizes differ between splits: train 8, val 9",
        "val: regions by 'butd', but the dataset says 'pixel'",
    ]


def test_notes_are_not_problems(folder: Path) -> None:
    write_official(folder, "val", [1, 11], answer="unheard of")
    write_regions(folder / "both", ["1", "11"])
    edit(folder, lambda content: content["val"].update(regions="both"))
    findings = check_dataset(folder)
    assert findings.problems == []
    assert findings.notes == [
        "val: 100.0% of the questions have no answer in the list of 1",
        "train and val share 1 pictures, e.g. image 1: "
        "accuracy on the second is not accuracy on unseen pictures",
    ]


def test_splits_that_both_count_from_one_share_no_pictures(folder: Path) -> None:
    write_official(folder, "val", [1])
    write_regions(folder / "other", ["1"], size=(40, 40))
    edit(folder, lambda content: content["val"].update(regions="other"))
    shared = "train and val share 1 pictures"
    assert any(note.startswith(shared) for note in check_dataset(folder).notes)
    Image.new("RGB", (40, 40)).save(folder / "images" / "val" / "1.png")
    findings = check_dataset(folder)
    assert findings.notes == findings.problems == []


def test_regions_that_are_still_to_be_made(folder: Path) -> None:
    edit(folder, lambda content: content["val"].pop("regions"))
    findings = check_dataset(folder)
    assert findings.problems == []
    assert findings.notes == ["val: its regions will be made on first use"]
    (folder / "images" / "val" / "11.png").unlink()
    assert "val: 1 of 2 pictures are not there, e.g. image 11" in only(folder)


def test_questions_without_text(folder: Path) -> None:
    path = folder / "val_questions.json"
    content = json.loads(path.read_text())
    content["questions"][0]["question"] = " "
    write_json(path, content)
    findings = check_dataset(folder)
    assert findings.problems == []
    assert findings.notes == ["val: 1 of 4 questions have no text"]


def test_regions_by_different_settings_of_the_detector_are_noted(folder: Path) -> None:
    path = folder / "dataset.yaml"
    path.write_text(path.read_text().replace("detector: pixel", "detector: butd"))
    for split, images, source in (
        ("train", range(1, 6), "weights sha256:0123, screened"),
        ("val", range(11, 13), "weights sha256:0123"),
    ):
        shutil.rmtree(folder / "regions" / split)
        write_regions(folder / "regions" / split, map(str, images), detector="butd", source=source)
    findings = check_dataset(folder)
    assert findings.problems == []
    assert findings.notes == [
        "regions were made in different ways: weights sha256:0123; weights sha256:0123, screened"
    ]
