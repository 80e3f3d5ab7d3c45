"""Make a dataset folder from published files of questions and answers."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lxcompress.data.dataset_config import (
    DATASET_NAME,
    SPLITS,
    DatasetConfig,
    SplitName,
    parse_config,
    read_config,
)
from lxcompress.data.questions.answers import answer_list
from lxcompress.data.questions.formats import without_questions
from lxcompress.data.questions.question import Question, QuestionId
from lxcompress.data.split_source import SplitSource, check_pictures
from lxcompress.errors import ConfigError, DataError
from lxcompress.model.answer_list import read_answers
from lxcompress.system.files import atomic_path, read_json, write_json
from lxcompress.system.text import check_name
from lxcompress.vision.detectors import DETECTORS

_ANSWERS_NAME = "answers.json"
SKIPPED_NAME = "skipped.txt"  # broken pictures: split, image id, what is wrong


@dataclass(frozen=True)
class SkippedPicture:
    """A broken picture of a split, and the number of questions that were left out with it."""

    split: SplitName
    image_id: str
    problem: str
    questions: int


def import_dataset(
    output: Path,
    splits: Mapping[SplitName, SplitSource],
    *,
    name: str,
    detector: str | None = None,
    answers: Path | None = None,
    min_occurrences: int = 9,
    force: bool = False,
    skip_broken: bool = False,
) -> list[SkippedPicture]:
    """Check the files, and write the dataset folder `output`.

    JSON files are copied; pictures and regions are not, `dataset.yaml` has their relative paths.
    The answer list is the file `answers` (in its order), or built from train. Returns the broken
    pictures that were left out, which `skipped.txt` lists in the dataset folder.

    Args:
        detector: the detector for splits with pictures only; by default that of the regions.
        min_occurrences: the least number of training questions with an answer, for it to be
            listed.
        force: write into a folder that is not empty. Files of the same name are replaced, and
            regions that were made from other pictures removed; nothing else is changed.
        skip_broken: leave out pictures that cannot be read, and the questions about them.

    Raises:
        DataError: a file is missing or wrong, or parts of a split do not belong together.
        ConfigError: `output` has files and `force` was not given, an option is missing, or a
            name is not UTF-8, in which `dataset.yaml` is written.
    """
    output = Path(output)
    _check_names(name, output, splits)
    occupied = output.exists() and not (output.is_dir() and not any(output.iterdir()))
    if occupied and not (force and output.is_dir()):
        raise ConfigError(f"{output} already has files; choose another folder, or add --force")
    content: dict[str, Any] = {"name": name}
    copies: dict[str, tuple[Path, set[QuestionId]]] = {}
    skipped: list[SkippedPicture] = []
    train: list[Question] | None = None
    for split in SPLITS:
        if split not in splits:
            continue
        source = splits[split]
        questions = source.read(split)
        found = check_pictures(split, source, questions, detector, skip_broken)
        if detector is not None and found.detector != detector:
            raise DataError(
                f"the {split} regions are by {found.detector!r}, those before by {detector!r}"
            )
        detector = found.detector
        without = {q.question_id for q in questions if q.image_id in found.broken}
        if len(without) == len(questions):
            raise DataError(f"none of the pictures of {split} can be read")
        counts = Counter(question.image_id for question in questions)
        skipped += [
            SkippedPicture(split, image, problem, counts[image])
            for image, problem in found.broken.items()
        ]
        content[split], files = _describe(split, source, output)
        copies |= {target: (path, without) for target, path in files.items()}
        if split == "train":
            train = [question for question in questions if question.question_id not in without]
    content["detector"] = detector
    labels = None
    if answers is not None:
        labels = read_answers(answers)
    elif train is not None:
        labels = answer_list(train, min_occurrences)
    if labels is not None:
        content |= {"answers": _ANSWERS_NAME, "min_occurrences": min_occurrences}
    config = parse_config(content, output / DATASET_NAME)

    def fill(folder: Path) -> None:
        for target, (path, without) in copies.items():
            _copy_questions(path, folder / target, without)
        if skipped:
            lines = [f"{one.split}\t{one.image_id}\t{one.problem}\n" for one in skipped]
            (folder / SKIPPED_NAME).write_text("".join(lines), encoding="utf-8")
        if labels is not None:
            write_json(folder / _ANSWERS_NAME, labels)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        if "\x85" in text:  # a line break in YAML, which is read as a space unless it is escaped
            text = yaml.safe_dump(content, sort_keys=False)
        (folder / DATASET_NAME).write_text(text, encoding="utf-8")

    if occupied:
        _replace_files(output, config, fill)
    else:
        with atomic_path(output) as folder:
            folder.mkdir()
            fill(folder)
    return skipped


def _check_names(name: str, output: Path, splits: Mapping[SplitName, SplitSource]) -> None:
    check_name("name", name)
    check_name("output", str(output))
    for split, source in splits.items():
        for option, folders in (("regions", source.regions), ("images", source.images)):
            for folder in folders:
                check_name(f"{split}-{option}", os.path.relpath(folder, output))


def _copy_questions(path: Path, target: Path, without: Collection[QuestionId]) -> None:
    """Copy a file of questions or annotations as it is, or without the rows of some questions."""
    if not without:
        shutil.copyfile(path, target)
        return
    content = without_questions(read_json(path, "file of questions"), without)
    target.write_text(json.dumps(content), encoding="utf-8")


def _describe(
    split: SplitName, source: SplitSource, output: Path
) -> tuple[dict[str, str | list[str]], dict[str, Path]]:
    """The split's entry in `dataset.yaml`, and the files to copy by their new names."""
    part: dict[str, str | list[str]] = {}
    copies: dict[str, Path] = {}
    for key, path in (("questions", source.questions), ("annotations", source.annotations)):
        if path is not None:
            part[key] = f"{split}_{key}.json"
            copies[f"{split}_{key}.json"] = path
    samples = {f"{split}_samples_{n}.json": path for n, path in enumerate(source.samples, 1)}
    copies |= samples
    folders = {
        key: [Path(os.path.relpath(path, output)).as_posix() for path in paths]
        for key, paths in (("regions", source.regions), ("images", source.images))
    }
    for key, names in {"samples": list(samples), **folders}.items():
        if names:
            part[key] = names[0] if len(names) == 1 else names
    return part, copies


def _replace_files(output: Path, config: DatasetConfig, fill: Callable[[Path], None]) -> None:
    """Write into a folder that has files; without `dataset.yaml` until all others are there."""
    with tempfile.TemporaryDirectory(dir=output, prefix=".import-") as name:
        staging = Path(name)
        fill(staging)
        _remove_stale_regions(output, config)
        (output / DATASET_NAME).unlink(missing_ok=True)
        (output / SKIPPED_NAME).unlink(missing_ok=True)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == DATASET_NAME):
            path.replace(output / path.name)


def _remove_stale_regions(output: Path, config: DatasetConfig) -> None:
    """Remove regions that were made from a split's pictures when it has other pictures now.

    Two sets of pictures may have the same ids, and the old regions would be used for the new.
    """
    try:
        old = read_config(output / DATASET_NAME)
    except DataError:
        return  # there was no dataset here, and so no regions that it made
    configs = [config.split(split) for split in SPLITS]
    in_use = {(output / path).resolve() for part in configs if part for path in part.regions}
    for split in SPLITS:
        before, now = old.split(split), config.split(split)
        if before and now and before.images != now.images:
            for folder in (output / "regions" / f"{split}-{detector}" for detector in DETECTORS):
                if folder.is_dir() and folder.resolve() not in in_use:
                    shutil.rmtree(folder)
