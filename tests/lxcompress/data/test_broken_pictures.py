"""Pictures that cannot be read: found by check and import, left out with their questions."""

import json
from pathlib import Path

import pytest
from dataset_files import write_official, write_pictures, write_samples
from PIL import Image
from typer.testing import CliRunner

from lxcompress.cli.data import app
from lxcompress.data.check import check_dataset
from lxcompress.data.dataset import open_dataset
from lxcompress.data.importing import SKIPPED_NAME, import_dataset
from lxcompress.data.split_source import SplitSource
from lxcompress.errors import DataError


def cut_off(path: Path) -> None:
    """Replace a picture by the first half of one; its header is whole."""
    Image.effect_noise((64, 64), 50).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.fixture
def source(tmp_path: Path) -> SplitSource:
    pictures = write_pictures(tmp_path / "pictures", range(1, 6))
    files = write_official(tmp_path / "source", "train", range(1, 6))
    return SplitSource(files["questions"], files["annotations"], images=(pictures,))


def picture(source: SplitSource, number: int) -> Path:
    return source.images[0] / f"COCO_train2014_{number:012d}.png"


def test_import_names_the_first_and_the_option(tmp_path: Path, source: SplitSource) -> None:
    cut_off(picture(source, 4))
    with pytest.raises(DataError, match=r"damaged .*000004\.png; .*--skip-broken leaves out"):
        import_dataset(tmp_path / "out", {"train": source}, name="x", detector="pixel")
    assert not (tmp_path / "out").exists()


def test_import_leaves_out_their_questions_and_counts_them(
    tmp_path: Path, source: SplitSource
) -> None:
    cut_off(picture(source, 2))
    picture(source, 4).write_text("<!DOCTYPE html>")
    command = ["import", "--name", "x", "--output", str(tmp_path / "out"), "--detector", "pixel"]
    command += ["--min-occurrences", "1", "--train-questions", str(source.questions)]
    command += ["--train-annotations", str(source.annotations)]
    command += ["--train-images", str(source.images[0]), "--skip-broken"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "2 broken pictures and 4 questions about them left out" in result.output
    assert result.output.count("skipped: train: ") == 2
    listed = (tmp_path / "out" / SKIPPED_NAME).read_text().splitlines()
    assert [line.split("\t")[:2] for line in listed] == [["train", "2"], ["train", "4"]]

    assert check_dataset(tmp_path / "out").problems == []
    dataset = open_dataset(tmp_path / "out")
    dataset.prepare_regions("train")
    questions = dataset.split("train").questions
    assert [q.question_id for q in questions] == [10, 11, 30, 31, 50, 51]
    annotations = json.loads((tmp_path / "out" / "train_annotations.json").read_text())
    assert len(annotations["annotations"]) == 6

    write_pictures(source.images[0], range(1, 6))
    result = CliRunner().invoke(app, [*command, "--force"])
    assert result.exit_code == 0 and "left out" not in result.output
    assert len(open_dataset(tmp_path / "out").questions("train")) == 10
    assert not (tmp_path / "out" / SKIPPED_NAME).exists()


def test_samples_and_regions_made_without_broken_pictures(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", [1, 2, 3])
    (pictures / "COCO_train2014_000000000002.png").write_bytes(b"")
    regions = tmp_path / "regions"
    result = CliRunner().invoke(
        app, ["detect", str(pictures), "--output", str(regions), "--skip-broken"]
    )
    assert result.exit_code == 0, result.output
    assert "regions of 2 pictures" in result.output
    assert "1 broken pictures left out, listed in index.json" in result.output
    samples = write_samples(tmp_path / "samples.json", ["1", "2", "3"])
    split = {"train": SplitSource(samples=(samples,), regions=(regions,))}
    with pytest.raises(DataError, match=r"1 pictures of train were broken .*--skip-broken"):
        import_dataset(tmp_path / "out", split, name="x", min_occurrences=1)  # type: ignore[arg-type]
    (skipped,) = import_dataset(
        tmp_path / "out",
        split,  # type: ignore[arg-type]
        name="x",
        min_occurrences=1,
        skip_broken=True,
    )
    assert (skipped.image_id, skipped.questions) == ("2", 1)
    kept = open_dataset(tmp_path / "out").split("train").questions
    assert [question.image_id for question in kept] == ["1", "3"]


def test_a_split_of_broken_pictures_only(tmp_path: Path, source: SplitSource) -> None:
    for number in range(1, 6):
        picture(source, number).write_bytes(b"")
    with pytest.raises(DataError, match="none of the pictures of train can be read"):
        import_dataset(
            tmp_path / "out", {"train": source}, name="x", detector="pixel", skip_broken=True
        )


def test_check_opens_pictures_whose_regions_are_still_to_be_made(
    tmp_path: Path, source: SplitSource
) -> None:
    output = tmp_path / "out"
    import_dataset(output, {"train": source}, name="x", detector="pixel", min_occurrences=1)
    assert check_dataset(output).problems == []
    cut_off(picture(source, 3))
    picture(source, 5).write_text("<!DOCTYPE html>")
    one, two = check_dataset(output).problems
    assert "damaged" in one and "000003.png" in one and "not a picture" in two
    result = CliRunner().invoke(app, ["check", str(output), "--quick"])
    assert result.exit_code == 0
    assert "note: train: 5 pictures were not opened (--quick)" in result.output
    assert "no problems in what --quick checks" in result.output

    dataset = open_dataset(output)
    with pytest.raises(DataError, match=r"000003\.png; .*`lxcompress data import --skip-broken`"):
        dataset.prepare_regions("train")


def test_links_that_lead_nowhere(tmp_path: Path, source: SplitSource) -> None:
    output = tmp_path / "out"
    both = {"train": source, "val": source}
    import_dataset(output, both, name="x", detector="pixel", min_occurrences=1)  # type: ignore[arg-type]
    picture(source, 3).unlink()
    picture(source, 3).symlink_to(tmp_path / "nowhere.png")
    problems = check_dataset(output).problems
    assert [problem.partition(": ")[0] for problem in problems] == ["train", "val"]
    assert all("picture not found" in problem and "000003.png" in problem for problem in problems)
    with pytest.raises(DataError, match=r"cannot read .*000003\.png: No such file"):
        _ = open_dataset(output).fingerprint
