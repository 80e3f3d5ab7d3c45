"""Make the regions of a folder of pictures with a detector."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from lxcompress.data.questions.question import canonical_image_id
from lxcompress.data.regions.index import is_finished
from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError, Interrupted
from lxcompress.system.progress import progress
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, LearnedDetector

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
_SECONDS_BETWEEN_SAVES = 60.0
_PICTURES_AT_ONCE = 8


def detect_folder(
    images: Path | Sequence[Path],
    output: Path,
    detector: Detector,
    batch_size: int | None = None,
    wanted: Collection[str] | None = None,
) -> RegionStore:
    """Detect the regions of all pictures of one or more folders, and write them to `output`.

    Regions that `output` already has are kept: an interrupted run continues, and pictures added
    to a folder since are added to the regions.

    Args:
        batch_size: pictures opened at once; by default 8, or 1 for a learned detector, which
            takes seconds for each.
        wanted: only pictures with these ids (the `canonical_image_id` of their file names).

    Raises:
        DataError: there are no pictures, two have the same id, a wanted one is missing, a file
            is no picture (the regions made before it are kept), or `output` has regions by
            another detector or by other weights.
        Interrupted: stopped by Ctrl-C; the regions made so far are kept.
    """
    output = Path(output)
    folders = [images] if isinstance(images, Path) else list(images)
    pictures = find_pictures(folders) if wanted is None else select_pictures(folders, wanted)
    source = weights_of(detector)
    if batch_size is None:
        batch_size = 1 if source else _PICTURES_AT_ONCE
    if is_finished(output):
        store = RegionStore(output)
        made_by = (store.detector, store.source)
        if made_by == (detector.name, source) and not store.missing(pictures):
            return store
    writer = RegionWriter(
        output, detector.name, detector.feature_size, detector.max_regions, source=source
    )
    try:
        with writer:
            _detect(pictures, writer, detector, batch_size)
            writer.finish()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the regions of {len(writer)} of {len(pictures)} pictures are kept in "
            f"{output}, the same command continues"
        ) from None
    return RegionStore(output)


def weights_of(detector: Detector) -> str:
    """What regions record about their detector's weights; "" for a detector without any."""
    return detector.weights if isinstance(detector, LearnedDetector) else ""


def find_pictures(folders: Sequence[Path]) -> dict[str, Path]:
    """The picture files in `folders` (not in subfolders) by image id, in order of their names.

    Raises DataError when a folder is missing, there is no picture, or two have the same id.
    """
    pictures: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"folder of pictures not found: {folder}")
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in SUFFIXES:
                continue
            image = canonical_image_id(path.stem)
            if image in pictures:
                raise DataError(f"two pictures have the id {image!r}: {pictures[image]}, {path}")
            pictures[image] = path
    if not pictures:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise DataError(f"no pictures ({kinds}) in {', '.join(map(str, folders))}")
    return pictures


def select_pictures(folders: Sequence[Path], wanted: Collection[str]) -> dict[str, Path]:
    """As `find_pictures`, but only those with the ids `wanted`; DataError when one is missing."""
    pictures = find_pictures(folders)
    absent = [image for image in wanted if image not in pictures]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(wanted)} pictures, e.g. {absent[0]!r}, are not in "
            f"{', '.join(map(str, folders))}"
        )
    wanted = set(wanted)
    return {image: path for image, path in pictures.items() if image in wanted}


def _detect(
    pictures: dict[str, Path], writer: RegionWriter, detector: Detector, batch_size: int
) -> None:
    todo = [(image, path) for image, path in pictures.items() if image not in writer]
    done = len(pictures) - len(todo)
    saved = time.monotonic()
    with progress(f"Regions by {detector.name}", len(pictures), "pictures", done) as meter:
        for start in range(0, len(todo), batch_size):
            batch = todo[start : start + batch_size]
            opened = [open_picture(path) for _, path in batch]
            found = detector.detect(opened)
            for (image, path), picture, regions in zip(batch, opened, found, strict=True):
                size = (picture.height, picture.width)
                try:
                    writer.append(image, regions.features, regions.boxes, size)
                except DataError as problem:
                    raise DataError(f"{problem}: {path}") from None
            meter.advance(len(batch))
            # A slow detector takes hours for a shard, which a killed run should not lose.
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                writer.save()
                saved = time.monotonic()
