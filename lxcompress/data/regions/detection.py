"""Make the regions of a folder of pictures with a detector."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from PIL import Image

from lxcompress.data.regions.index import is_finished
from lxcompress.data.regions.picture_files import find_pictures, misnamed_pictures, select_pictures
from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError, Interrupted
from lxcompress.system.progress import progress
from lxcompress.system.text import printable_path
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, LearnedDetector

_SECONDS_BETWEEN_SAVES = 60.0
_PICTURES_AT_ONCE = 8


def detect_folder(
    images: Path | Sequence[Path],
    output: Path,
    detector: Detector,
    batch_size: int | None = None,
    wanted: Collection[str] | None = None,
    skip_broken: bool = False,
) -> RegionStore:
    """Detect the regions of all pictures of one or more folders, and write them to `output`.

    Regions that `output` already has are kept: an interrupted run continues, and pictures added
    to a folder since are added to the regions.

    Args:
        batch_size: pictures opened at once; by default 8, or 1 for a learned detector, which
            takes seconds for each.
        wanted: only pictures with these ids (the `canonical_image_id` of their file names).
        skip_broken: leave out files that are no picture or whose name is not UTF-8, and list them
            in the index (`RegionStore.skipped`).

    Raises:
        DataError: there are no pictures, two have the same id, a wanted one is missing, a file
            is no picture (the regions made before it are kept) or has a name that is not UTF-8
            (before the first is made), or `output` has regions by another detector or by other
            weights.
        Interrupted: stopped by Ctrl-C; the regions made so far are kept.
    """
    output = Path(output)
    folders = [images] if isinstance(images, Path) else list(images)
    pictures = find_pictures(folders) if wanted is None else select_pictures(folders, wanted)
    misnamed = misnamed_pictures(folders) if wanted is None else []
    if misnamed and not skip_broken:
        raise DataError(
            f"the names of {len(misnamed)} pictures are not UTF-8, e.g. "
            f"{printable_path(misnamed[0])}: rename them, or leave them out with --skip-broken"
        )
    source = weights_of(detector)
    if batch_size is None:
        batch_size = 1 if source else _PICTURES_AT_ONCE
    if is_finished(output):
        store = RegionStore(output)
        made_by = (store.detector, store.source)
        # What was skipped is tried again, and listed anew.
        todo = store.missing(pictures) or store.skipped or misnamed
        if made_by == (detector.name, source) and not todo:
            return store
    writer = RegionWriter(
        output, detector.name, detector.feature_size, detector.max_regions, source=source
    )
    try:
        with writer:
            for path in misnamed:
                writer.skip(printable_path(path.name), "the file's name is not UTF-8")
            _detect(pictures, writer, detector, batch_size, _opener(writer, wanted, skip_broken))
            if not len(writer):
                raise DataError(
                    f"none of the {len(pictures)} pictures can be read, so no regions are written"
                )
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


_Opener = Callable[[str, Path], Image.Image | None]


def _opener(writer: RegionWriter, wanted: Collection[str] | None, skip_broken: bool) -> _Opener:
    """How to open a picture: a broken one is recorded (None), or an error that says what to do."""
    leave_out = "--skip-broken leaves it out"
    if wanted is not None:
        leave_out = "`lxcompress data import --skip-broken` leaves it and its questions out"

    def open_or_skip(image: str, path: Path) -> Image.Image | None:
        try:
            return open_picture(path)
        except DataError as problem:
            if not skip_broken:
                raise DataError(f"{problem}; replace it; {leave_out}") from None
            writer.skip(image, str(problem))
            return None

    return open_or_skip


def _detect(
    pictures: dict[str, Path],
    writer: RegionWriter,
    detector: Detector,
    batch_size: int,
    open_one: _Opener,
) -> None:
    todo = [(image, path) for image, path in pictures.items() if image not in writer]
    done = len(pictures) - len(todo)
    saved = time.monotonic()
    with progress(f"Regions by {detector.name}", len(pictures), "pictures", done) as meter:
        for start in range(0, len(todo), batch_size):
            batch = todo[start : start + batch_size]
            opened = [
                (image, path, picture)
                for image, path in batch
                if (picture := open_one(image, path)) is not None
            ]
            found = detector.detect([picture for _, _, picture in opened]) if opened else []
            for (image, path, picture), regions in zip(opened, found, strict=True):
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
