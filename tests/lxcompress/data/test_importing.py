"""Making dataset folders from files elsewhere, by function and by command."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from dataset_files import write_json, write_official, write_regions, write_samples
from PIL import Image
from typer.testing import CliRunner

from lxcompress.cli.data import app
from lxcompress.data.dataset import Split, open_dataset
from lxcompress.data.dataset_config import SplitName
from lxcompress.data.importing import import_dataset
from lxcompress.data.split_source import SplitSource
from lxcompress.errors import ConfigError, DataError


@pytest.fixture
def sources(tmp_path: Path) -> dict[SplitName, SplitSource]:
    folder = tmp_path / "sources"
    images = [1, 2, 3, 4, 5]
    regions = write_regions(folder / "regions", map(str, images))
    files = write_official(folder, "train", images)
    return {"train": SplitSource(files["questions"], files["annotations"], regions=(regions,))}


def test_official_files(tmp_path: Path, sources: dict[SplitName, SplitSource]) -> None:
    output = tmp_path / "out" / "data"
    import_dataset(output, sources, name="mine")
    assert sorted(path.name for path in output.iterdir()) == [
        "answers.json",
        "dataset.yaml",
        "train_annotations.json",
        "train_questions.json",
    ]
    content = yaml.safe_load((output / "dataset.yaml").read_text())
    assert content["train"]["regions"] == "../../sources/regions"
    assert content["detector"] == "pixel"
    train = sources["train"]
    assert train.questions is not None
    assert (output / "train_questions.json").read_bytes() == train.questions.read_bytes()
    dataset = open_dataset(output)
    assert len(dataset.split("train").questions) == 10
    assert dataset.answers == ["yes"]

    shutil.move(tmp_path / "out", tmp_path / "moved")  # no longer beside what it refers to
    (tmp_path / "moved" / "x").mkdir()
    shutil.move(tmp_path / "moved" / "data", tmp_path / "moved" / "x" / "data")
    with pytest.raises(DataError, match="folder of regions not found"):
        open_dataset(tmp_path / "moved" / "x" / "data").split("train")


def test_lxmert_files_and_their_answer_list(tmp_path: Path) -> None:
    one = write_regions(tmp_path / "train2014", ["1", "2"], detector="butd")
    two = write_regions(tmp_path / "val2014", ["3", "4"], detector="butd")
    train = write_samples(tmp_path / "train.json", ["COCO_train2014_000000000001"])
    nominival = write_samples(tmp_path / "nominival.json", ["COCO_val2014_000000000003"], 10)
    minival = write_samples(tmp_path / "minival.json", ["COCO_val2014_000000000004"], 20)
    labels = write_json(tmp_path / "trainval_label2ans.json", ["", "dog", "cat"])
    output = tmp_path / "data"
    import_dataset(
        output,
        {
            "train": SplitSource(samples=(train, nominival), regions=(one, two)),
            "val": SplitSource(samples=(minival,), regions=(two,)),
        },
        name="vqa",
        answers=labels,
    )
    dataset = open_dataset(output)
    assert dataset.answers == ["", "dog", "cat"] and dataset.detector == "butd"
    assert dataset.split("val").regions.folders == (output / "../val2014",)
    assert [question.image_id for question in dataset.split("train").questions] == ["1", "3"]


def test_nothing_is_written_when_something_is_wrong(
    tmp_path: Path, sources: dict[SplitName, SplitSource]
) -> None:
    output = tmp_path / "data"
    files = sources["train"].questions, sources["train"].annotations
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (4, 4)).save(pictures / "1.png")
    for source, error, message in (
        (SplitSource(regions=sources["train"].regions), ConfigError, "either official questions"),
        (SplitSource(*files), ConfigError, "folder of regions or of pictures"),
        (SplitSource(*files, images=(pictures,)), ConfigError, "give --detector"),
        (
            SplitSource(*files, regions=(write_regions(tmp_path / "r", ["1"]),)),
            DataError,
            r"8 of 10 train questions .* e\.g\. image 2",
        ),
        (
            SplitSource(questions=tmp_path / "absent.json", regions=sources["train"].regions),
            DataError,
            "not found",
        ),
    ):
        with pytest.raises(error, match=message):
            import_dataset(output, {"train": source}, name="x")
        assert not output.exists()
    with pytest.raises(DataError, match="at least 11 times"):
        import_dataset(output, sources, name="x", min_occurrences=11)
    butd = write_regions(tmp_path / "butd", map(str, range(1, 6)), detector="butd")
    mixed = sources | {"val": SplitSource(*files, regions=(butd,))}
    with pytest.raises(DataError, match="'butd', those before by 'pixel'"):
        import_dataset(output, mixed, name="x")
    assert not output.exists()


def test_force_replaces_its_own_files_only(
    tmp_path: Path, sources: dict[SplitName, SplitSource]
) -> None:
    output = tmp_path / "data"
    converted = write_regions(output / "regions" / "train", map(str, range(1, 6)))
    source = sources["train"]
    inside = SplitSource(source.questions, source.annotations, regions=(converted,))
    with pytest.raises(ConfigError, match="--force"):
        import_dataset(output, {"train": inside}, name="one")
    import_dataset(output, {"train": inside}, name="one", force=True)
    import_dataset(output, {"train": inside}, name="two", force=True)
    dataset = open_dataset(output)
    assert dataset.name == "two" and dataset.split("train").questions
    assert not list(output.glob(".import-*"))


def prepared(folder: Path) -> Split:
    dataset = open_dataset(folder)
    dataset.prepare_regions("train")
    return dataset.split("train")


def test_force_with_other_pictures_removes_the_regions_of_the_old_ones(
    tmp_path: Path, sources: dict[SplitName, SplitSource]
) -> None:
    def source(name: str, colour: str) -> dict[SplitName, SplitSource]:
        (tmp_path / name).mkdir()
        for number in range(1, 6):
            Image.new("RGB", (8, 8), colour).save(tmp_path / name / f"{number}.png")
        train = sources["train"]
        return {"train": SplitSource(train.questions, train.annotations, images=(tmp_path / name,))}

    output, one, two = tmp_path / "data", source("one", "red"), source("two", "blue")
    import_dataset(output, one, name="x", detector="pixel")
    first = prepared(output)
    made = (output / "regions" / "train-pixel" / "index.json").stat().st_ino

    import_dataset(output, one, name="x", detector="pixel", force=True)
    assert (output / "regions" / "train-pixel" / "index.json").stat().st_ino == made

    before = first.regions.gather(["1"]).features
    import_dataset(output, two, name="x", detector="pixel", force=True)
    second = prepared(output)
    assert (second.regions.gather(["1"]).features != before).any()


def test_the_command(tmp_path: Path, sources: dict[SplitName, SplitSource]) -> None:
    output, train = tmp_path / "data", sources["train"]
    result = CliRunner().invoke(
        app,
        ["import", "--name", "mine", "--output", str(output)]
        + ["--train-questions", str(train.questions)]
        + ["--train-annotations", str(train.annotations)]
        + ["--train-regions", str(train.regions[0])],
    )
    assert result.exit_code == 0, result.output
    assert f"next: lxcompress data check {output}" in result.output
    assert json.loads((output / "answers.json").read_text()) == ["yes"]
    result = CliRunner().invoke(app, ["import", "--name", "x", "--output", str(tmp_path / "y")])
    assert isinstance(result.exception, ConfigError)


def test_detect_and_make_shapes_commands(tmp_path: Path) -> None:
    shapes, output = tmp_path / "shapes", tmp_path / "regions"
    sizes = ["--train-images", "3", "--val-images", "1"]
    result = CliRunner().invoke(app, ["make-shapes", "--output", str(shapes), *sizes])
    assert result.exit_code == 0, result.output
    command = ["detect", str(shapes / "images" / "train"), "--output", str(output)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "regions of 3 pictures" in result.output
