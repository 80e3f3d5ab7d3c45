"""Byte order marks, line endings and half characters in every file that a user gives."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dataset_files import (
    split_files,
    write_json,
    write_official,
    write_regions,
    write_samples,
    write_yaml,
)

from lxcompress.data.check import check_dataset
from lxcompress.data.dataset import open_dataset
from lxcompress.data.importing import import_dataset
from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.lxmert import read_lxmert
from lxcompress.data.split_source import SplitSource
from lxcompress.errors import DataError
from lxcompress.evaluation.scoring import read_results
from lxcompress.model.answer_list import read_answers
from lxcompress.system.settings_file import read_settings

MARK = b"\xef\xbb\xbf"


def as_windows_writes_it(path: Path) -> Path:
    """Give a text file a byte order mark and Windows' line endings."""
    path.write_bytes(MARK + path.read_bytes().replace(b"\n", b"\r\n"))
    return path


def test_questions_and_annotations(tmp_path: Path) -> None:
    files = write_official(tmp_path, "train", [1, 2])
    plain = read_questions(files["questions"], files["annotations"])
    questions, annotations = (as_windows_writes_it(path) for path in files.values())
    assert read_questions(questions, annotations) == plain
    regions = write_regions(tmp_path / "r", ["1", "2"])
    output = tmp_path / "data"
    source = SplitSource(questions, annotations, regions=(regions,))
    import_dataset(output, {"train": source}, name="x", min_occurrences=1)
    assert open_dataset(output).questions("train") == plain
    as_windows_writes_it(output / "dataset.yaml")
    assert open_dataset(output).split("train").questions == plain


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_lxmert, [{"img_id": "n1", "question_id": "a", "sent": "x", "label": {"y": 1}}]),
        (read_answers, ["", "yes", "no"]),
        (read_results, [{"question_id": "a", "answer": "yes"}]),
        (read_settings, {"data": "shapes", "epochs": "1"}),
    ],
)
def test_other_files(tmp_path: Path, read: Callable[[Path], object], content: object) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content, indent=1))
    plain = read(path)
    assert read(as_windows_writes_it(path)) == plain


@pytest.mark.parametrize("part", ["questions", "annotations"])
def test_half_a_character_is_refused_by_import_and_check(tmp_path: Path, part: str) -> None:
    entry = split_files(tmp_path, "val", [1, 2], regions="r")
    path, word = tmp_path / str(entry[part]), {"questions": "Is it?", "annotations": "yes/no"}[part]
    path.write_text(path.read_text().replace(word, word + "\\ud83d", 1))
    regions = write_regions(tmp_path / "r", ["1", "2"])
    line = rf"{part} file has half a character .* line 1, column \d+, after ….*{word[-3:]}.*{path}"
    questions, annotations = (tmp_path / str(entry[key]) for key in ("questions", "annotations"))
    with pytest.raises(DataError, match=line.replace("?", r"\?")):
        import_dataset(
            tmp_path / "out",
            {"val": SplitSource(questions, annotations, regions=(regions,))},
            name="x",
        )
    assert not (tmp_path / "out").exists()
    (problem,) = check_dataset(write_yaml(tmp_path, val=entry)).problems
    assert "half a character" in problem and "\n" not in problem


def test_half_a_character_in_other_files(tmp_path: Path) -> None:
    samples = write_samples(tmp_path / "samples.json", ["cat\udcff"])
    with pytest.raises(DataError, match="samples file has half a character"):
        read_lxmert(samples)
    with pytest.raises(DataError, match="answer list has half a character"):
        read_answers(write_json(tmp_path / "answers.json", ["\ud83d"]))
