"""A dataset: what `dataset.yaml` (see `dataset_config.py`) names, read when it is asked for."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lxcompress.config import EMBEDDED_DATA
from lxcompress.data.dataset_config import (
    DATASET_NAME,
    SPLITS,
    DatasetConfig,
    SplitConfig,
    SplitName,
    read_answers,
    read_config,
)
from lxcompress.data.questions.answers import answer_list
from lxcompress.data.questions.questions import Question, read_lxmert, read_official
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError
from lxcompress.system.files import sha256


@dataclass(frozen=True, eq=False)
class Split:
    """Questions, and the regions of every picture that they ask about."""

    name: SplitName
    questions: list[Question]
    regions: RegionStore


class Dataset:
    """A dataset folder. Nothing is read before it is asked for, and each part only once.

    name: as in `dataset.yaml`; folder: what its paths are relative to; config: its content.
    """

    def __init__(self, folder: Path, config: DatasetConfig) -> None:
        self.folder, self.config, self.name = folder, config, config.name
        self._questions: dict[SplitName, list[Question]] = {}

    @property
    def detector(self) -> str | None:
        """What made the regions, as `dataset.yaml` says."""
        return self.config.detector

    @cached_property
    def train(self) -> Split | None:
        """None when the dataset has no such split. Raises DataError for files that do not fit."""
        return self._open("train")

    @cached_property
    def val(self) -> Split | None:
        """As `train`."""
        return self._open("val")

    @cached_property
    def test(self) -> Split | None:
        """As `train`; its questions have no answers."""
        return self._open("test")

    def questions(self, name: SplitName) -> list[Question]:
        """The questions of a split, without its regions.

        Raises DataError when there is no such split or its files do not fit.
        """
        if name not in self._questions:
            split = self._config(name)
            if split.samples:
                rows = read_lxmert([self.folder / path for path in split.samples])
            else:
                assert split.questions
                notes = self.folder / split.annotations if split.annotations else None
                rows = read_official(self.folder / split.questions, notes)
            self._questions[name] = rows
        return self._questions[name]

    @cached_property
    def answers(self) -> list[str]:
        """The answer list: the label of each of the model's outputs.

        Raises DataError when its file is wrong, or there is no training split to build it from.
        """
        if self.config.answers:
            return read_answers(self.folder / self.config.answers)
        if not self.config.train:
            raise DataError(f"{self.name} has neither answers: nor a train split: {self.folder}")
        return answer_list(self.questions("train"), self.config.min_occurrences)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over what a run depends on: questions, answers, and the regions' indices.

        An index holds each shard's own SHA-256, so that no shard is read for it. Where lxcompress
        makes the regions, the pictures' names and lengths stand for them.
        """
        digest = hashlib.sha256()

        def add(*parts: object) -> None:
            digest.update(json.dumps(parts).encode())

        add(self.config.min_occurrences)
        if self.config.answers:
            add("answers", self._digest(self.config.answers))
        for name in SPLITS:
            split = self.config.split(name)
            if split is None:
                continue
            for path in [split.questions, split.annotations, *split.samples]:
                add(name, path and self._digest(path))
            if split.regions:
                add(*(self._digest(f"{path}/index.json") for path in split.regions))
                continue
            from lxcompress.data.regions.detection import find_pictures

            pictures = find_pictures([self.folder / path for path in split.images])
            add(self.detector, *((key, path.stat().st_size) for key, path in pictures.items()))
            if self.config.weights:
                add("weights", self.config.weights)
        return digest.hexdigest()

    def describe(self) -> dict[str, object]:
        """What a result says of the data that it was measured on."""
        sizes = {name: len(self.questions(name)) for name in SPLITS if self.config.split(name)}
        return {
            "name": self.name,
            "folder": str(self.folder.resolve()),
            "detector": self.detector,
            "questions": sizes,
            "answers": len(self.answers),
            "fingerprint": self.fingerprint,
        }

    def region_folders(self, name: SplitName) -> list[Path]:
        """Where the regions of a split are, or will be once they are made from its images.

        Raises DataError when there is no such split.
        """
        split = self._config(name)
        if split.regions:
            return [self.folder / path for path in split.regions]
        return [self.folder / "regions" / f"{name}-{self.detector}"]

    def _config(self, name: SplitName) -> SplitConfig:
        split = self.config.split(name)
        if split is None:
            raise DataError(f"{self.name} has no {name} split: {self.folder / DATASET_NAME}")
        return split

    def _digest(self, path: str) -> str:
        try:
            return sha256(self.folder / path)
        except OSError as problem:
            raise DataError(f"cannot read {self.folder / path}: {problem.strerror}") from None

    def _open(self, name: SplitName) -> Split | None:
        split = self.config.split(name)
        if split is None:
            return None
        questions = self.questions(name)
        folders = self.region_folders(name)
        regions = RegionStore(*folders) if split.regions else self._detect(name, folders[0])
        if self.detector and regions.detector != self.detector:
            raise DataError(
                f"the {name} regions are by {regions.detector!r}, but {DATASET_NAME} says "
                f"detector: {self.detector}: {folders[0]}"
            )
        absent = set(regions.missing(question.image_id for question in questions))
        if absent:
            asked = [question.image_id for question in questions if question.image_id in absent]
            raise DataError(
                f"{len(asked)} of {len(questions)} {name} questions ask about pictures without "
                f"regions, e.g. image {asked[0]}; the regions in "
                f"{', '.join(map(str, folders))} seem to belong to other pictures"
            )
        return Split(name, questions, regions)

    def _detect(self, name: SplitName, output: Path) -> RegionStore:
        """The regions of a split that has pictures only: made at the first use, then kept."""
        from lxcompress.data.regions.detection import detect_folder, weights_of
        from lxcompress.data.regions.store import is_finished
        from lxcompress.vision.detectors import get_detector

        assert self.detector
        wanted = list(dict.fromkeys(question.image_id for question in self.questions(name)))
        if is_finished(output):
            store = RegionStore(output)
            if not store.missing(wanted):
                return store
        print(
            f"making the regions of {len(wanted)} {name} pictures with {self.detector!r}, "
            f"once, in {output}",
            file=sys.stderr,
        )
        images = [self.folder / path for path in self._config(name).images]
        detector = get_detector(self.detector, self._weights)
        for other in SPLITS:
            # Features of two sets of weights have nothing in common.
            split = self.config.split(other)
            if split is None or split.regions or not is_finished(self.region_folders(other)[0]):
                continue
            made_with = RegionStore(*self.region_folders(other)).source
            if made_with != weights_of(detector):
                raise DataError(
                    f"the {other} regions were made with {made_with}, but {self.detector} now has "
                    f"{weights_of(detector)}: delete {self.region_folders(other)[0]} or change "
                    f"weights: in {self.folder / DATASET_NAME}"
                )
        return detect_folder(images, output, detector, wanted=wanted)

    @property
    def _weights(self) -> str | None:
        """Of the detector: a folder beside `dataset.yaml`, or else a hub id."""
        weights = self.config.weights
        if weights and (self.folder / weights).is_dir():
            return str(self.folder / weights)
        return weights


def open_dataset(data: Path | str) -> Dataset:
    """Open a dataset folder, a YAML file, or by the word "shapes" the generated default.

    A folder that happens to be called shapes is opened as "./shapes".

    Raises:
        DataError: there is no such dataset, or its YAML file is wrong.
    """
    if data == EMBEDDED_DATA:
        from lxcompress.data.shapes.dataset import ensure_shapes

        data = ensure_shapes()
    path = Path(data)
    if path.is_dir():
        path /= DATASET_NAME
        if not path.exists():
            raise DataError(
                f"no {DATASET_NAME} in {path.parent}; `lxcompress data import` writes one"
            )
    return Dataset(path.parent, read_config(path))
