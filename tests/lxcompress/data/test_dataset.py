"""Opening datasets: layouts, reading on first use, and regions that are made once."""

from pathlib import Path

import pytest
from dataset_files import (
    split_files,
    write_json,
    write_pictures,
    write_regions,
    write_samples,
    write_yaml,
)
from shared import SHARED
from stub_detector import StubDetector

from lxcompress.data.dataset import Dataset, RegionFormat, Split, open_dataset
from lxcompress.errors import DataError
from lxcompress.vision import detectors as detector_module

EASY_VQA = SHARED / "easy-vqa"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubDetector:
    detector = StubDetector()
    monkeypatch.setattr(detector_module, "get_detector", lambda name, weights=None: detector)
    return detector


def prepared(folder: Path) -> Split:
    """The validation split, with its missing regions made."""
    dataset = open_dataset(folder)
    dataset.prepare_regions("val")
    return dataset.split("val")


def test_official_layout(tmp_path: Path) -> None:
    write_regions(tmp_path / "regions" / "train", map(str, range(12)))
    train = split_files(tmp_path, "train", range(12), regions="regions/train")
    dataset = open_dataset(write_yaml(tmp_path, train=train))
    assert dataset.name == "test" and dataset.folder == tmp_path
    assert dataset.splits == ["train"]
    train_split = dataset.split("train")
    assert len(train_split.questions) == 24 and len(train_split.regions) == 12
    assert train_split.questions[0].answers == ("yes",) * 10
    assert dataset.answers == ["yes"]


def test_lxmert_layout_with_pictures_from_two_folders(tmp_path: Path) -> None:
    write_regions(tmp_path / "train2014", ["1", "2"], detector="butd")
    write_regions(tmp_path / "val2014", ["3"], detector="butd")
    write_samples(tmp_path / "train.json", [f"COCO_train2014_{n:012d}" for n in (1, 2)])
    write_samples(tmp_path / "nominival.json", ["COCO_val2014_000000000003"], first_id=10)
    write_json(tmp_path / "label2ans.json", ["", "cat", "dog"])
    train = {"samples": ["train.json", "nominival.json"], "regions": ["train2014", "val2014"]}
    path = write_yaml(tmp_path, train=train, answers="label2ans.json", detector="butd")
    dataset = open_dataset(path / "dataset.yaml")
    questions = dataset.split("train").questions
    assert [question.image_id for question in questions] == ["1", "2", "3"]
    assert dataset.answers == ["", "cat", "dog"]


def test_only_what_is_used_is_read(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1"])
    val = split_files(tmp_path, "val", [1], regions="r")
    write_json(tmp_path / "answers.json", ["yes"])
    absent = {"questions": "absent.json", "regions": "absent"}
    dataset = open_dataset(write_yaml(tmp_path, train=absent, val=val, answers="answers.json"))
    assert dataset.split("val").questions and dataset.answers == ["yes"]
    assert dataset.split("val") is dataset.split("val")
    with pytest.raises(DataError, match=r"absent\.json"):
        dataset.split("train")


def test_a_test_split_has_no_answers(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1"])
    part = split_files(tmp_path, "test", [1], regions="r")
    del part["annotations"]
    dataset = open_dataset(write_yaml(tmp_path, test=part))
    assert dataset.split("test").questions[0].answers is None
    with pytest.raises(DataError, match="neither answers: nor a train split"):
        _ = dataset.answers


def test_a_missing_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dataset\.yaml in"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="dataset not found"):
        open_dataset(str(tmp_path / "elsewhere"))


def test_regions_of_other_pictures_or_another_detector(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1", "2"])
    part = split_files(tmp_path, "val", [1, 42, 43], regions="r")
    with pytest.raises(DataError, match=r"4 of 6 val questions .* e\.g\. image 42.*other pictures"):
        open_dataset(write_yaml(tmp_path, val=part)).split("val")
    part = split_files(tmp_path, "val", [1], regions="r")
    with pytest.raises(DataError, match=r"regions are by 'pixel', but dataset\.yaml says .* butd"):
        open_dataset(write_yaml(tmp_path, val=part, detector="butd")).split("val")


def test_regions_are_made_once_and_only_for_the_questions(
    tmp_path: Path, stub: StubDetector, capfd: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", range(1, 6))
    part = split_files(tmp_path, "val", [1, 3], images="pictures")
    folder = write_yaml(tmp_path, val=part, detector="pixel")
    fingerprint = open_dataset(folder).fingerprint
    assert stub.seen == 0

    with pytest.raises(DataError, match="folder of regions not found"):
        open_dataset(folder).split("val")
    assert stub.seen == 0, "opening makes nothing"

    val = prepared(folder)
    assert val.regions.image_ids == ["1", "3"] and stub.seen == 2
    assert val.regions.image_size("3") == (10, 23)
    assert val.regions.gather(["3"]).features[0].tolist() == [[23, 10]]
    assert (tmp_path / "regions" / "val-pixel" / "index.json").exists()
    assert capfd.readouterr().err.startswith("making the regions of 2 val pictures")

    assert prepared(folder).regions.image_ids == ["1", "3"] and stub.seen == 2
    assert open_dataset(folder).split("val").regions.image_ids == ["1", "3"]
    assert capfd.readouterr().err == ""
    assert open_dataset(folder).fingerprint == fingerprint

    split_files(tmp_path, "val", [1, 3, 5])
    more = prepared(folder)
    assert more.regions.image_ids == ["1", "3", "5"] and stub.seen == 3

    split_files(tmp_path, "val", [1, 9])
    with pytest.raises(DataError, match=r"1 of 2 pictures, e\.g\. '9', are not in"):
        prepared(folder)


def test_what_can_be_checked_is_checked_before_the_detector_runs(
    tmp_path: Path, stub: StubDetector
) -> None:
    write_pictures(tmp_path / "pictures", range(1, 6))
    train = split_files(tmp_path, "train", [1, 3], images="pictures")
    split_files(tmp_path, "val", [2, 9])
    val = {key: value.replace("train", "val") for key, value in train.items()}
    for part, message in (
        (val, r"1 of 2 pictures, e\.g\. '9', are not in"),
        ({**val, "regions": "absent"}, "folder of regions not found"),
    ):
        dataset = open_dataset(write_yaml(tmp_path, train=train, val=part, detector="pixel"))
        with pytest.raises(DataError, match=message):
            dataset.prepare_regions("train", "val")
        assert stub.seen == 0
    with pytest.raises(DataError, match=r"test has no `test:` split: .*dataset\.yaml"):
        dataset.prepare_regions("train", "test")
    assert stub.seen == 0 and not (tmp_path / "regions").exists()


def test_the_format_of_regions_that_are_yet_to_be_made(tmp_path: Path, stub: StubDetector) -> None:
    write_pictures(tmp_path / "pictures", [1])
    part = split_files(tmp_path, "val", [1], images="pictures")
    folder = write_yaml(tmp_path, val=part, detector="pixel")
    expected = RegionFormat("pixel", feature_size=2, max_regions=1)
    assert open_dataset(folder).region_format("val") == expected and stub.seen == 0
    prepared(folder)
    assert open_dataset(folder).region_format("val") == expected and stub.seen == 1


def test_shapes_is_the_embedded_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lxcompress.data.shapes import dataset

    write_yaml(tmp_path, train={"questions": "q.json", "regions": "r"})
    monkeypatch.setattr(dataset, "ensure_shapes", lambda: tmp_path)
    assert isinstance(open_dataset("shapes"), Dataset)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="dataset not found"):
        open_dataset("./shapes")


@pytest.mark.skipif(not EASY_VQA.exists(), reason="easy-VQA is not here")
def test_a_public_dataset(tmp_path: Path, stub: StubDetector) -> None:
    part = {
        "questions": str(EASY_VQA / "v2_OpenEnded_mscoco_val2014_questions.json"),
        "annotations": str(EASY_VQA / "v2_mscoco_val2014_annotations.json"),
        "images": str(EASY_VQA / "val2014"),
    }
    val = prepared(write_yaml(tmp_path, val=part, detector="pixel"))
    assert len(val.questions) == 9673
    assert len(val.regions) == stub.seen == 1000
