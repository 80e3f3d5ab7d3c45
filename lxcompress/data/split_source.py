"""What a split is imported from, and which of its pictures can be used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from lxcompress.data.dataset_config import SplitName
from lxcompress.data.questions.formats import read_questions
from lxcompress.data.questions.lxmert import read_lxmert
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.picture_files import absence_note, broken_pictures, find_pictures
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import ConfigError, DataError
from lxcompress.vision.detectors import DETECTORS


@dataclass(frozen=True)
class SplitSource:
    """The files of a split.

    `questions` (with `annotations`) are in a format of `read_questions`, `samples` is LXMERT's
    own JSON;
    `regions` are folders of regions, `images` folders of pictures.
    """

    questions: Path | None = None
    annotations: Path | None = None
    samples: tuple[Path, ...] = ()
    regions: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()

    def read(self, split: SplitName) -> list[Question]:
        """Read the questions; the errors of `read_questions` and `read_lxmert`, or ConfigError."""
        if self.samples and self.questions is None:
            return read_lxmert(list(self.samples))
        if self.questions is not None and not self.samples:
            return read_questions(self.questions, self.annotations)
        raise ConfigError(f"give {split} either official questions or LXMERT's samples")


@dataclass(frozen=True)
class PictureCheck:
    """The detector of a split's regions, and its broken pictures: {image id: what is wrong}."""

    detector: str
    broken: dict[str, str] = field(default_factory=dict)


def check_pictures(
    split: SplitName,
    source: SplitSource,
    questions: list[Question],
    detector: str | None,
    skip_broken: bool,
) -> PictureCheck:
    """Find the picture of every question; decode those whose regions are still to be made.

    Raises:
        ConfigError: the split has neither regions nor pictures, or pictures without a detector.
        DataError: a picture is missing, or it is broken and `skip_broken` is False.
    """
    wanted = list(dict.fromkeys(question.image_id for question in questions))
    if source.regions:
        store = RegionStore(*source.regions)
        absent = store.missing(wanted)
        broken = {image: store.skipped[image] for image in absent if image in store.skipped}
        if broken and not skip_broken:
            image, problem = next(iter(broken.items()))
            raise DataError(
                f"{len(broken)} pictures of {split} were broken when their regions were made, "
                f"e.g. {problem}; --skip-broken leaves out their questions"
            )
        _check_none_absent(split, set(absent) - broken.keys(), questions, source.regions)
        return PictureCheck(store.detector, broken)
    if not source.images:
        raise ConfigError(f"give {split} a folder of regions or of pictures")
    if detector not in DETECTORS:
        raise ConfigError(
            f"{split} has pictures but no regions: give --detector, one of {', '.join(DETECTORS)}"
        )
    pictures = find_pictures(source.images)
    absent = [image for image in wanted if image not in pictures]
    _check_none_absent(split, set(absent), questions, source.images)
    broken = {}
    used = {image: pictures[image] for image in wanted}
    for image, problem in broken_pictures(used, f"Opening the {split} pictures"):
        if not skip_broken:
            raise DataError(
                f"{problem}; replace it; --skip-broken leaves out such pictures and their questions"
            )
        broken[image] = problem
    return PictureCheck(detector, broken)


def _check_none_absent(
    split: SplitName,
    absent: Collection[str],
    questions: list[Question],
    folders: tuple[Path, ...],
) -> None:
    if not absent:
        return
    unanswerable = [q.image_id for q in questions if q.image_id in absent]
    raise DataError(
        f"{len(unanswerable)} of {len(questions)} {split} questions are about pictures that "
        f"are not in {', '.join(map(str, folders))}, e.g. image {unanswerable[0]}"
        f"{absence_note(unanswerable[0], folders)}"
    )
