"""Opening datasets: layouts, lazy reading, detection once, mistakes in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from dataset_files import write_json, write_official, write_regions, write_samples
from PIL import Image
from shared import SHARED

from lxcompress.data.dataset import Dataset, RegionFormat, Split, open_dataset
from lxcompress.data.regions.detection import detect_folder
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError, Interrupted
from lxcompress.vision import detectors as detector_module
from lxcompress.vision.regions import Regions

EASY_VQA = SHARED / "easy-vqa"


class StubDetector:
    """One region per picture, whose features are the picture's size; counts its calls."""

    name, feature_size, max_regions = "pixel", 2, 1

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        self.seen += len(pictures)
        whole = np.array([[0, 0, 1, 1]], np.float32)
        return [Regions(np.array([picture.size], np.float32), whole) for picture in pictures]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubDetector:
    detector = StubDetector()
    monkeypatch.setattr(detector_module, "get_detector", lambda name, weights=None: detector)
    return detector


def write_yaml(folder: Path, **content: Any) -> Path:
    (folder / "dataset.yaml").write_text(yaml.safe_dump({"name": "test", **content}))
    return folder


def write_pictures(folder: Path, ids: Sequence[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in ids:
        Image.new("RGB", (20 + number, 10)).save(folder / f"COCO_train2014_{number:012d}.png")
    return folder


def official(folder: Path, split: str, ids: Sequence[int], **more: Any) -> dict[str, Any]:
    paths = write_official(folder, split, ids)
    return {key: path.name for key, path in paths.items()} | more


def prepared(folder: Path) -> Split:
    """The validation split, with its missing regions made."""
    dataset = open_dataset(folder)
    dataset.prepare_regions("val")
    return dataset.split("val")


def test_official_layout(tmp_path: Path) -> None:
    write_regions(tmp_path / "regions" / "train", map(str, range(12)))
    train = official(tmp_path, "train", range(12), regions="regions/train")
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


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1"])
    val = official(tmp_path, "val", [1], regions="r")
    write_json(tmp_path / "answers.json", ["yes"])
    absent = {"questions": "absent.json", "regions": "absent"}
    dataset = open_dataset(write_yaml(tmp_path, train=absent, val=val, answers="answers.json"))
    assert dataset.split("val").questions and dataset.answers == ["yes"]
    assert dataset.split("val") is dataset.split("val")
    with pytest.raises(DataError, match=r"absent\.json"):
        dataset.split("train")


def test_a_test_split_has_no_answers(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1"])
    part = official(tmp_path, "test", [1], regions="r")
    del part["annotations"]
    dataset = open_dataset(write_yaml(tmp_path, test=part))
    assert dataset.split("test").questions[0].answers is None
    with pytest.raises(DataError, match="neither answers: nor a train split"):
        _ = dataset.answers


REGIONS = {"questions": "q.json", "regions": "r"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "not valid YAML"),
        ("- a\n- b\n", "not a dataset file"),
        ("", "not a dataset file"),
        ({"train": REGIONS}, "name: Field required"),
        ({"name": "a"}, "at least one of train:, val:, test:"),
        ({"name": "a", "train": REGIONS, "vall": REGIONS}, "vall: Extra inputs"),
        ({"name": "a", "train": {**REGIONS, "region": "r"}}, r"train\.region: Extra inputs"),
        ({"name": "a", "train": {"regions": "r"}}, "train: give either questions:"),
        ({"name": "a", "train": {**REGIONS, "samples": "s"}}, "train: give either questions:"),
        (
            {"name": "a", "train": {"samples": "s", "annotations": "a", "regions": "r"}},
            "annotations: belong to questions:",
        ),
        ({"name": "a", "train": {"questions": "q.json"}}, "give regions:, or images:"),
        ({"name": "a", "val": {"samples": "s", "images": "i"}}, "detector: must be given"),
        ({"name": "a", "train": REGIONS, "min_occurrences": 0}, "min_occurrences: .*greater"),
    ],
)
def test_mistakes_in_the_yaml_file(tmp_path: Path, content: Any, message: str) -> None:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"{message}.*dataset\.yaml") as caught:
        open_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_dataset_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dataset\.yaml in"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="dataset not found"):
        open_dataset(str(tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"yes": 0}, "a JSON list of texts"),
        (["yes", 1], "a JSON list of texts"),
        ([], "is empty"),
        (["yes", "no", "yes"], "'yes' is in the list twice"),
    ],
)
def test_mistakes_in_the_answer_list(tmp_path: Path, content: Any, message: str) -> None:
    write_json(tmp_path / "answers.json", content)
    dataset = open_dataset(write_yaml(tmp_path, train=REGIONS, answers="answers.json"))
    with pytest.raises(DataError, match=message):
        _ = dataset.answers


def test_regions_of_other_pictures_or_another_detector(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1", "2"])
    part = official(tmp_path, "val", [1, 42, 43], regions="r")
    with pytest.raises(DataError, match=r"4 of 6 val questions .* e\.g\. image 42.*other pictures"):
        open_dataset(write_yaml(tmp_path, val=part)).split("val")
    part = official(tmp_path, "val", [1], regions="r")
    with pytest.raises(DataError, match=r"regions are by 'pixel', but dataset\.yaml says .* butd"):
        open_dataset(write_yaml(tmp_path, val=part, detector="butd")).split("val")


def test_regions_are_made_once_and_only_for_the_questions(
    tmp_path: Path, stub: StubDetector, capfd: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", range(1, 6))
    part = official(tmp_path, "val", [1, 3], images="pictures")
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

    official(tmp_path, "val", [1, 3, 5])
    more = prepared(folder)
    assert more.regions.image_ids == ["1", "3", "5"] and stub.seen == 3

    official(tmp_path, "val", [1, 9])
    with pytest.raises(DataError, match=r"1 of 2 pictures, e\.g\. '9', are not in"):
        prepared(folder)


def test_what_can_be_checked_is_checked_before_the_detector_runs(
    tmp_path: Path, stub: StubDetector
) -> None:
    write_pictures(tmp_path / "pictures", range(1, 6))
    train = official(tmp_path, "train", [1, 3], images="pictures")
    official(tmp_path, "val", [2, 9])
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
    part = official(tmp_path, "val", [1], images="pictures")
    folder = write_yaml(tmp_path, val=part, detector="pixel")
    expected = RegionFormat("pixel", feature_size=2, max_regions=1)
    assert open_dataset(folder).region_format("val") == expected and stub.seen == 0
    prepared(folder)
    assert open_dataset(folder).region_format("val") == expected and stub.seen == 1


def test_detection_keeps_what_was_done(
    tmp_path: Path, stub: StubDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, output = write_pictures(tmp_path / "p", range(1, 6)), tmp_path / "r"
    (pictures / "notes.txt").write_text("no picture")
    bad = pictures / "COCO_train2014_000000000004.png"
    good = bad.read_bytes()
    bad.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=bad.name):
        detect_folder(pictures, output, stub, batch_size=1)
    assert stub.seen == 3
    bad.write_bytes(good)

    with monkeypatch.context() as patch:
        patch.setattr(stub, "detect", interrupt)
        with pytest.raises(Interrupted, match="3 of 5 pictures"):
            detect_folder(pictures, output, stub, batch_size=1)
    store = detect_folder(pictures, output, stub, batch_size=1)
    assert stub.seen == 5 and store.image_ids == ["1", "2", "3", "4", "5"]

    write_pictures(pictures, [6])
    assert len(detect_folder(pictures, output, stub)) == 6 and stub.seen == 6
    assert len(RegionStore(output)) == 6


def interrupt(pictures: Sequence[Image.Image]) -> list[Regions]:
    raise KeyboardInterrupt


def test_folders_without_usable_pictures(tmp_path: Path, stub: StubDetector) -> None:
    with pytest.raises(DataError, match="folder of pictures not found"):
        detect_folder(tmp_path / "absent", tmp_path / "r", stub)
    (tmp_path / "p").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        detect_folder(tmp_path / "p", tmp_path / "r", stub)
    for suffix in ("png", "jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / "p" / f"7.{suffix}")
    with pytest.raises(DataError, match="two pictures have the id '7'"):
        detect_folder(tmp_path / "p", tmp_path / "r", stub)


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1", "2"])
    train = official(tmp_path, "train", [1, 2], regions="r")
    folder = write_yaml(tmp_path, train=train, min_occurrences=1)
    seen = {open_dataset(folder).fingerprint}
    assert {open_dataset(folder).fingerprint} == seen

    write_regions(tmp_path / "other", ["1", "2"], feature_size=9)
    write_yaml(tmp_path, train={**train, "regions": "other"}, min_occurrences=1)
    seen.add(open_dataset(folder).fingerprint)
    write_yaml(tmp_path, train=train, min_occurrences=2)
    seen.add(open_dataset(folder).fingerprint)
    write_official(tmp_path, "train", [1, 2], answer="no")
    seen.add(open_dataset(folder).fingerprint)
    assert len(seen) == 4


def test_the_word_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lxcompress.data.shapes import dataset

    write_yaml(tmp_path, train=REGIONS)
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
