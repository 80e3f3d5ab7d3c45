"""Check all of a dataset and collect every problem, without stopping at the first."""

from __future__ import annotations

import filecmp
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.data.dataset_config import SPLITS, SplitConfig, SplitName
from lxcompress.data.questions.answers import label_index, target_scores
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.check import region_problems
from lxcompress.data.regions.index import is_finished
from lxcompress.data.regions.picture_files import broken_pictures, find_pictures
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError, LxcompressError
from lxcompress.vision.butd.setting import WEIGHTS_IDENTITY

_MOST_NAMED = 20  # broken pictures, each with its own line


@dataclass(frozen=True)
class SplitSummary:
    """What a split contains; None for what could not be read."""

    name: SplitName
    questions: int | None = None
    pictures: int | None = None
    regions: str | None = None


@dataclass
class Findings:
    """`problems` must be fixed, `notes` are worth knowing; one summary per split."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    splits: list[SplitSummary] = field(default_factory=list)


def check_dataset(folder: Path | str, quick: bool = False) -> Findings:
    """Check files, schemas, ids, pictures and region values of a dataset folder (or "shapes").

    Reads all region data, at disk speed, and decodes the pictures whose regions are still to be
    made; `quick` leaves these out, with a note.
    """
    findings = Findings()
    try:
        dataset = open_dataset(folder)
    except LxcompressError as problem:
        findings.problems.append(str(problem))
        return findings
    questions: dict[SplitName, list[Question]] = {}
    pictures: dict[SplitName, dict[str, Path]] = {}
    stores: dict[SplitName, RegionStore] = {}
    for name in SPLITS:
        split = dataset.config.split(name)
        if split is None:
            continue
        missing = _missing_paths(dataset.folder, name, split)
        findings.problems += missing
        try:
            questions[name] = dataset.questions(name)
        except DataError as problem:
            if not missing:
                findings.problems.append(f"{name}: {problem}")
        pictures[name] = _pictures(dataset, name, split, findings)
        of_split = questions.get(name, [])
        if empty := sum(not question.text.strip() for question in of_split):
            findings.notes.append(f"{name}: {empty} of {len(of_split)} questions have no text")
        store = _check_regions(dataset, name, of_split, pictures[name], findings)
        if not split.regions:
            _check_unopened(name, of_split, pictures[name], store, quick, findings)
        if store is not None:
            stores[name] = store
        findings.splits.append(_summary(name, questions.get(name), store))
    _check_detectors(dataset, stores, findings)
    _check_answers(dataset, questions, findings)
    _note_shared(questions, pictures, findings)
    return findings


def _missing_paths(folder: Path, name: SplitName, split: SplitConfig) -> list[str]:
    files = [path for path in (split.questions, split.annotations, *split.samples) if path]
    absent = [f"{name}: file not found: {folder / f}" for f in files if not (folder / f).is_file()]
    for path in (*split.regions, *split.images):
        # A dataset with regions may be moved to another machine without its pictures.
        needed = path in split.regions or not split.regions
        if needed and not (folder / path).is_dir():
            absent.append(f"{name}: folder not found: {folder / path}")
    return absent


def _check_regions(
    dataset: Dataset,
    name: SplitName,
    questions: list[Question],
    pictures: dict[str, Path],
    findings: Findings,
) -> RegionStore | None:
    """Check the split's regions; return them if they exist and can be opened."""
    folders = [folder for folder in dataset.region_folders(name) if folder.is_dir()]
    wanted = list(dict.fromkeys(question.image_id for question in questions))
    split = dataset.config.split(name)
    given = split.regions if split else []
    store = None
    if given or (folders and is_finished(folders[0])):
        try:
            store = RegionStore(*folders) if folders else None
        except DataError as problem:
            findings.problems.append(f"{name}: {problem}")
    else:
        findings.notes.append(f"{name}: its regions will be made on first use")
        _report(findings, name, [i for i in wanted if i not in pictures], wanted, "are not there")
    if store is not None:
        absent = store.missing(wanted)
        if not given:
            absent = [image for image in absent if image not in pictures]
        _report(findings, name, absent, wanted, "have no regions")
        problems = region_problems(store, pictures, name)
        findings.problems += [f"{name}: {problem}" for problem in problems]
    return store


def _check_unopened(
    name: SplitName,
    questions: list[Question],
    pictures: dict[str, Path],
    store: RegionStore | None,
    quick: bool,
    findings: Findings,
) -> None:
    """Decode the pictures of questions whose regions are still to be made."""
    wanted = dict.fromkeys(question.image_id for question in questions)
    to_make = {
        image: pictures[image]
        for image in wanted
        if image in pictures and not (store and image in store)
    }
    if not to_make:
        return
    if quick:
        findings.notes.append(f"{name}: {len(to_make)} pictures were not opened (--quick)")
        return
    broken = list(broken_pictures(to_make, f"Opening the {name} pictures"))
    findings.problems += [f"{name}: {problem}" for _, problem in broken[:_MOST_NAMED]]
    if len(broken) > _MOST_NAMED:
        findings.problems.append(f"{name}: {len(broken) - _MOST_NAMED} more pictures are broken")
    if broken:
        findings.notes.append(
            f"{name}: `lxcompress data import --skip-broken` leaves out broken pictures and their "
            "questions"
        )


def _pictures(
    dataset: Dataset, name: SplitName, split: SplitConfig, findings: Findings
) -> dict[str, Path]:
    folders = [folder for path in split.images if (folder := dataset.folder / path).is_dir()]
    if not folders:
        return {}
    try:
        return find_pictures(folders)
    except DataError as problem:
        findings.problems.append(f"{name}: {problem}")
        return {}


def _check_detectors(
    dataset: Dataset, stores: dict[SplitName, RegionStore], findings: Findings
) -> None:
    sizes = {name: store.feature_size for name, store in stores.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        findings.problems.append(f"feature sizes differ between splits: {listed}")
    detectors = {name: store.detector for name, store in stores.items()}
    if dataset.detector:
        for name, made_by in detectors.items():
            if made_by != dataset.detector:
                findings.problems.append(
                    f"{name}: regions by {made_by!r}, but the dataset says {dataset.detector!r}"
                )
    elif len(set(detectors.values())) > 1:
        listed = ", ".join(f"{name} {made_by}" for name, made_by in detectors.items())
        findings.problems.append(f"detectors differ between splits: {listed}")
    # Regions that were converted name a file of features instead.
    made_with = sorted(
        {
            source
            for store in stores.values()
            for source in store.sources
            if source.startswith(WEIGHTS_IDENTITY)
        }
    )
    if len(made_with) > 1:
        findings.notes.append(f"regions were made in different ways: {'; '.join(made_with)}")


def _check_answers(
    dataset: Dataset, questions: dict[SplitName, list[Question]], findings: Findings
) -> None:
    if not dataset.config.answers and "train" not in questions:
        if dataset.config.train is None:
            findings.notes.append("no train split and no answer list: it is for predictions only")
        return
    try:
        index = label_index(dataset.answers)
    except DataError as problem:
        findings.problems.append(str(problem))
        return
    for name, of_split in questions.items():
        answered = [question for question in of_split if question.is_answered]
        lost = sum(not target_scores(question, index) for question in answered)
        if lost:
            findings.notes.append(
                f"{name}: {100 * lost / len(answered):.1f}% of the questions have no answer in "
                f"the list of {len(dataset.answers)}"
            )


def _note_shared(
    questions: dict[SplitName, list[Question]],
    pictures: dict[SplitName, dict[str, Path]],
    findings: Findings,
) -> None:
    images = {
        name: {question.image_id for question in of_split} for name, of_split in questions.items()
    }
    for one, other in combinations(images, 2):
        both = (pictures[one], pictures[other])
        shared = [image for image in images[one] & images[other] if _is_same_picture(image, *both)]
        if shared:
            findings.notes.append(
                f"{one} and {other} share {len(shared)} pictures, e.g. image {min(shared)}: "
                "accuracy on the second is not accuracy on unseen pictures"
            )


def _is_same_picture(image: str, one: dict[str, Path], other: dict[str, Path]) -> bool:
    """Whether an id is the same picture in both splits; some datasets number each from 1."""
    if image in one and image in other:
        try:
            return filecmp.cmp(one[image], other[image], shallow=False)
        except OSError:
            return False  # reported with the pictures that cannot be opened
    return True


def _report(
    findings: Findings, name: SplitName, absent: list[str], wanted: list[str], what: str
) -> None:
    if absent:
        findings.problems.append(
            f"{name}: {len(absent)} of {len(wanted)} pictures {what}, e.g. image {absent[0]}"
        )


def _summary(
    name: SplitName, questions: list[Question] | None, store: RegionStore | None
) -> SplitSummary:
    regions = None
    if store is not None:
        regions = f"{len(store)} x {store.max_regions} x {store.feature_size} by {store.detector}"
    if questions is None:
        return SplitSummary(name, regions=regions)
    pictures = len({question.image_id for question in questions})
    return SplitSummary(name, len(questions), pictures, regions)
