"""A dataset: the questions, answers and regions that `dataset.yaml` names, read on first use."""

from __future__ import annotations

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
    read_config,
)
from lxcompress.data.fingerprint import fingerprint
from lxcompress.data.questions.answers import answer_list
from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.lxmert import read_lxmert
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.detection import detect_folder, weights_of
from lxcompress.data.regions.index import is_finished
from lxcompress.data.regions.picture_files import select_pictures
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError
from lxcompress.model.answer_list import read_answers
from lxcompress.vision import detectors
from lxcompress.vision.regions import Detector


@dataclass(frozen=True, eq=False)
class Split:
    """Questions, and the regions of every picture that they are about."""

    name: SplitName
    questions: list[Question]
    regions: RegionStore


@dataclass(frozen=True)
class RegionFormat:
    """A split's detector, its number of features per region, and of regions per picture at most."""

    detector: str
    feature_size: int
    max_regions: int


class Dataset:
    """A dataset folder. Each part is read on first use, and only once.

    name: as in `dataset.yaml`; folder: what its paths are relative to; config: its content.

    Splits with `images:` only need `prepare_regions` before `split` can open them.
    """

    def __init__(self, folder: Path, config: DatasetConfig) -> None:
        self.folder, self.config, self.name = folder, config, config.name
        self._questions: dict[SplitName, list[Question]] = {}
        self._splits: dict[SplitName, Split] = {}

    @property
    def detector(self) -> str | None:
        """The detector that `dataset.yaml` names, if it does."""
        return self.config.detector

    @property
    def splits(self) -> list[SplitName]:
        """The names of the splits that the dataset has, in the order train, val, test."""
        return [name for name in SPLITS if self.config.split(name)]

    def split(self, name: SplitName) -> Split:
        """Open a split: its questions, and the regions that exist.

        Raises:
            DataError: the dataset has no such split, a file is missing or wrong, or a picture
                has no regions (for splits with `images:` only, `prepare_regions` makes them).
        """
        if name not in self._splits:
            self._splits[name] = self._open(name)
        return self._splits[name]

    def prepare_regions(self, *names: SplitName) -> None:
        """Make the regions that these splits lack; afterwards `split` can open each of them.

        Does nothing where regions exist. Otherwise it runs the dataset's detector on the pictures
        of the questions, which may take hours, and keeps the regions in the dataset folder.
        Everything that can be checked is checked before the detector starts.

        Raises:
            DataError: as `split`, a picture is missing or damaged, or the regions of another
                split were made with other weights.
            ConfigError, DeviceError, ModelError: there is no such detector, or it cannot run.
            Interrupted: stopped by Ctrl-C; the regions made so far are kept.
        """
        lacking = [n for n in names if n not in self._splits and self._lacks_regions(n)]
        for name in names:
            if name not in lacking:
                self.split(name)
        for name in lacking:
            select_pictures(self._image_folders(name), self._image_ids(name))
        if lacking:
            detector = self._load_detector()
            self._check_weights(detector)
            for name in lacking:
                self._make_regions(name, detector)
                self.split(name)

    def region_format(self, name: SplitName) -> RegionFormat:
        """The format of a split's regions: of those that exist, else of those to be made.

        Raises DataError when there is no such split or its regions cannot be opened, and the
        errors of `get_detector` when they are yet to be made.
        """
        folders = self.region_folders(name)
        if not self._config(name).regions and not is_finished(folders[0]):
            return self._detector_format
        regions = RegionStore(*folders)
        return RegionFormat(regions.detector, regions.feature_size, regions.max_regions)

    def questions(self, name: SplitName) -> list[Question]:
        """The questions of a split, without its regions.

        Raises DataError when there is no such split or its files are missing or wrong.
        """
        if name not in self._questions:
            split = self._config(name)
            if split.samples:
                rows = read_lxmert([self.folder / path for path in split.samples])
            else:
                assert split.questions
                notes = self.folder / split.annotations if split.annotations else None
                rows = read_questions(self.folder / split.questions, notes)
            self._questions[name] = rows
        return self._questions[name]

    @cached_property
    def answers(self) -> list[str]:
        """The answer list: the label of each of the model's outputs.

        Raises DataError when its file is wrong, or there is no train split to build it from.
        """
        if self.config.answers:
            return read_answers(self.folder / self.config.answers)
        if not self.config.train:
            raise DataError(f"{self.name} has neither answers: nor a train split: {self.folder}")
        return answer_list(self.questions("train"), self.config.min_occurrences)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything in the dataset that a run depends on; see `fingerprint.py`."""
        return fingerprint(self.folder, self.config)

    def describe(self) -> dict[str, object]:
        """The `dataset` object of result.json: what the figures were measured on."""
        return {
            "name": self.name,
            "folder": str(self.folder.resolve()),
            "detector": self.detector,
            "questions": {name: len(self.questions(name)) for name in self.splits},
            "answers": len(self.answers),
            "fingerprint": self.fingerprint,
        }

    def region_folders(self, name: SplitName) -> list[Path]:
        """Where the regions of a split are, or will be once they are made from its pictures.

        Raises DataError when there is no such split.
        """
        split = self._config(name)
        if split.regions:
            return [self.folder / path for path in split.regions]
        return [self.folder / "regions" / f"{name}-{self.detector}"]

    def _config(self, name: SplitName) -> SplitConfig:
        split = self.config.split(name)
        if split is None:
            raise DataError(f"{self.name} has no `{name}:` split: {self.folder / DATASET_NAME}")
        return split

    def _open(self, name: SplitName) -> Split:
        questions, folders = self.questions(name), self.region_folders(name)
        regions = RegionStore(*folders)
        if self.detector and regions.detector != self.detector:
            raise DataError(
                f"the {name} regions are by {regions.detector!r}, but {DATASET_NAME} says "
                f"detector: {self.detector}: {folders[0]}"
            )
        absent = set(regions.missing(self._image_ids(name)))
        if absent:
            unanswerable = [q.image_id for q in questions if q.image_id in absent]
            raise DataError(
                f"{len(unanswerable)} of {len(questions)} {name} questions are about pictures "
                f"without regions, e.g. image {unanswerable[0]}; the regions in "
                f"{', '.join(map(str, folders))} seem to belong to other pictures"
            )
        return Split(name, questions, regions)

    # -- Regions of splits that have pictures only --

    def _lacks_regions(self, name: SplitName) -> bool:
        """Whether there are regions to make. Regions that `dataset.yaml` names are never made."""
        if self._config(name).regions:
            return False
        (folder,) = self.region_folders(name)
        return not is_finished(folder) or bool(RegionStore(folder).missing(self._image_ids(name)))

    def _image_ids(self, name: SplitName) -> list[str]:
        """The pictures of a split's questions, each once."""
        return list(dict.fromkeys(question.image_id for question in self.questions(name)))

    def _image_folders(self, name: SplitName) -> list[Path]:
        return [self.folder / path for path in self._config(name).images]

    def _make_regions(self, name: SplitName, detector: Detector) -> None:
        (output,), image_ids = self.region_folders(name), self._image_ids(name)
        print(
            f"making the regions of {len(image_ids)} {name} pictures with {self.detector!r}, "
            f"once, in {output}",
            file=sys.stderr,
        )
        detect_folder(self._image_folders(name), output, detector, wanted=image_ids)

    def _check_weights(self, detector: Detector) -> None:
        """DataError when other splits' regions were made with other weights than the detector's.

        Features that two sets of weights compute have nothing in common.
        """
        for name in self.splits:
            (folder, *_) = self.region_folders(name)
            if self._config(name).regions or not is_finished(folder):
                continue
            made_with = RegionStore(folder).source
            if made_with != weights_of(detector):
                raise DataError(
                    f"the {name} regions were made with {made_with}, but {self.detector} now has "
                    f"{weights_of(detector)}: delete {folder} or change weights: in "
                    f"{self.folder / DATASET_NAME}"
                )

    @cached_property
    def _detector_format(self) -> RegionFormat:
        # The detector itself is not kept: it may take hundreds of megabytes of the GPU's memory.
        detector = self._load_detector()
        return RegionFormat(detector.name, detector.feature_size, detector.max_regions)

    def _load_detector(self) -> Detector:
        assert self.detector  # checked with the YAML file
        weights = self.config.weights
        # A folder beside `dataset.yaml`, or else a hub id.
        if weights and (self.folder / weights).is_dir():
            weights = str(self.folder / weights)
        return detectors.get_detector(self.detector, weights)


def open_dataset(data: Path | str) -> Dataset:
    """Open a dataset folder or its YAML file; "shapes" is ShapesVQA, generated on first use.

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
