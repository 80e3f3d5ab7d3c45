"""Make a dataset folder from official VQA v2 files or from LXMERT's own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
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
    read_answers,
    read_config,
)
from lxcompress.data.questions.answers import answer_list
from lxcompress.data.questions.lxmert import read_lxmert
from lxcompress.data.questions.official import read_official
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.detection import find_pictures
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import ConfigError, DataError
from lxcompress.system.files import atomic_path, write_json
from lxcompress.vision.detectors import DETECTORS

_ANSWERS_NAME = "answers.json"


@dataclass(frozen=True)
class SplitSource:
    """The files of a split.

    `questions` (with `annotations`) are official VQA v2 JSON, `samples` is LXMERT's own JSON;
    `regions` are folders of regions, `images` folders of pictures.
    """

    questions: Path | None = None
    annotations: Path | None = None
    samples: tuple[Path, ...] = ()
    regions: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()


def import_dataset(
    output: Path,
    splits: Mapping[SplitName, SplitSource],
    *,
    name: str,
    detector: str | None = None,
    answers: Path | None = None,
    min_occurrences: int = 9,
    force: bool = False,
) -> DatasetConfig:
    """Check the files, and write the dataset folder `output`.

    JSON files are copied; pictures and regions are not, `dataset.yaml` has their relative paths.
    The answer list is the file `answers` (in its order), or built from train.

    Args:
        detector: the detector for splits with pictures only; by default that of the regions.
        min_occurrences: the least number of training questions with an answer, for it to be
            listed.
        force: write into a folder that is not empty. Files of the same name are replaced, and
            regions that were made from other pictures removed; nothing else is changed.

    Raises:
        DataError: a file is missing or wrong, or parts of a split do not belong together.
        ConfigError: `output` has files and `force` was not given, or an option is missing.
    """
    output = Path(output)
    occupied = output.exists() and not (output.is_dir() and not any(output.iterdir()))
    if occupied and not (force and output.is_dir()):
        raise ConfigError(f"{output} already has files; choose another folder, or add --force")
    content: dict[str, Any] = {"name": name}
    copies: dict[str, Path] = {}
    train: list[Question] | None = None
    for split in SPLITS:
        if split not in splits:
            continue
        source = splits[split]
        content[split] = _describe(split, source, output, copies)
        questions = _read(split, source)
        made_by = _check_pictures(split, source, questions, detector)
        if detector is not None and made_by != detector:
            raise DataError(f"the {split} regions are by {made_by!r}, those before by {detector!r}")
        detector = made_by
        if split == "train":
            train = questions
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
        for target, path in copies.items():
            shutil.copyfile(path, folder / target)
        if labels is not None:
            write_json(folder / _ANSWERS_NAME, labels)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (folder / DATASET_NAME).write_text(text, encoding="utf-8")

    if occupied:
        _replace_files(output, config, fill)
    else:
        with atomic_path(output) as folder:
            folder.mkdir()
            fill(folder)
    return config


def _read(split: SplitName, source: SplitSource) -> list[Question]:
    if source.samples and source.questions is None:
        return read_lxmert(list(source.samples))
    if source.questions is not None and not source.samples:
        return read_official(source.questions, source.annotations)
    raise ConfigError(f"give {split} either official questions or LXMERT's samples")


def _describe(
    split: SplitName, source: SplitSource, output: Path, copies: dict[str, Path]
) -> dict[str, str | list[str]]:
    """The split's entry in `dataset.yaml`; adds the files to copy, by new name, to `copies`."""
    part: dict[str, str | list[str]] = {}
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
    return part


def _check_pictures(
    split: SplitName, source: SplitSource, questions: list[Question], detector: str | None
) -> str:
    """The detector of the split's regions. Raises when a question's picture is missing."""
    if source.regions:
        store = RegionStore(*source.regions)
        absent, made_by = set(store.missing(q.image_id for q in questions)), store.detector
        folders = source.regions
    elif source.images:
        if detector not in DETECTORS:
            raise ConfigError(
                f"{split} has pictures but no regions: give --detector, one of "
                f"{', '.join(DETECTORS)}"
            )
        pictures = find_pictures(source.images)
        absent, made_by = {q.image_id for q in questions if q.image_id not in pictures}, detector
        folders = source.images
    else:
        raise ConfigError(f"give {split} a folder of regions or of pictures")
    if absent:
        unanswerable = [q.image_id for q in questions if q.image_id in absent]
        raise DataError(
            f"{len(unanswerable)} of {len(questions)} {split} questions are about pictures that "
            f"are not in {', '.join(map(str, folders))}, e.g. image {unanswerable[0]}"
        )
    return made_by


def _replace_files(output: Path, config: DatasetConfig, fill: Callable[[Path], None]) -> None:
    """Write into a folder that has files; without `dataset.yaml` until all others are there."""
    with tempfile.TemporaryDirectory(dir=output, prefix=".import-") as name:
        staging = Path(name)
        fill(staging)
        _remove_stale_regions(output, config)
        (output / DATASET_NAME).unlink(missing_ok=True)
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
