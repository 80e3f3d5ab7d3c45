"""Writes a folder of regions so that an interrupted run continues where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike, NDArray

from lxcompress.data.regions.index import INDEX_NAME, PARTIAL_NAME, RegionIndex, ShardEntry
from lxcompress.data.regions.shards import Shard, all_finite, open_shard, row_bytes, write_shard
from lxcompress.errors import DataError
from lxcompress.system.files import write_json
from lxcompress.vision.butd.setting import options_for

_SHARD_BYTES = 256 << 20  # of a writer's memory
_BOX_TOLERANCE = 1e-3  # rounding of a box at the picture's edge, as a fraction of its side


class RegionWriter:
    """Writes a folder of regions; use it in a `with` block and call `finish` at the end.

        with RegionWriter(folder, "pixel", feature_size=64, max_regions=16) as writer:
            for image in images:
                if image not in writer:
                    writer.append(image, features, boxes, (height, width))
            writer.finish()

    An unfinished folder is continued after its last saved row, a complete one is extended. Leaving
    the block saves all rows, after an error too; a killed process loses at most the rows since
    its last `save` or full shard. At most one shard is in memory.
    """

    _lock: FileLock
    _rows: Shard

    def __init__(
        self,
        folder: Path,
        detector: str,
        feature_size: int,
        max_regions: int,
        shard_rows: int | None = None,
        source: str = "",
    ) -> None:
        """`shard_rows`: pictures per shard, by default as many as fit into 256 MiB.

        `source`: what the regions are made from; a folder with another source is rejected.
        """
        self.folder = Path(folder)
        rows = shard_rows or max(1, _SHARD_BYTES // row_bytes(max_regions, feature_size))
        self._index = RegionIndex(
            detector=detector,
            feature_size=feature_size,
            max_regions=max_regions,
            shard_rows=rows,
            source=source,
            shards=[],
        )
        self._done: dict[str, int] = {}  # row of each picture, counted over all shards
        self._images: list[str] = []  # the pictures of the shard that is being filled
        self._unsaved = self._finished = False

    def __enter__(self) -> RegionWriter:
        """Raises DataError for a folder of other regions, or one that is being written."""
        self._lock = _lock(self.folder)
        try:
            self._resume()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if not self._finished:
                self.save()
        finally:
            self._lock.release()

    def __len__(self) -> int:
        return len(self._done)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._done

    @property
    def position(self) -> int:
        """The `position` given with the last row."""
        return self._index.position

    @property
    def max_regions(self) -> int:
        """The most regions that a picture may have."""
        return self._index.max_regions

    def append(
        self,
        image_id: str,
        features: ArrayLike,
        boxes: ArrayLike,
        size: tuple[int, int],
        position: int = 0,
    ) -> None:
        """Add one picture: features `[n, F]`, boxes `[n, 4]` 0-1 xyxy, size (height, width).

        Boxes that leave the picture by no more than rounding are clipped. `position` is saved with
        the row: where in its source a caller would continue.

        Raises:
            DataError: the picture was added before, or its values are wrong.
        """
        if image_id in self._done:
            raise DataError(f"picture {image_id!r} appears twice")
        half, box = self._checked(image_id, np.asarray(features), np.asarray(boxes), size)
        row, count = len(self._images), len(half)
        self._rows.features[row, :count], self._rows.features[row, count:] = half, 0
        self._rows.boxes[row, :count], self._rows.boxes[row, count:] = box, 0
        self._rows.num_regions[row] = count
        self._rows.image_sizes[row] = size
        self._images.append(image_id)
        self._done[image_id] = len(self._done)
        self._index.position = position
        self._unsaved = True
        if len(self._images) == self._index.shard_rows:
            self.save()
            self._images = []

    def has_equal(
        self, image_id: str, features: ArrayLike, boxes: ArrayLike, size: tuple[int, int]
    ) -> bool:
        """Whether a picture was added with these values, after rounding; arguments as `append`."""
        half, box = self._checked(image_id, np.asarray(features), np.asarray(boxes), size)
        number, row = divmod(self._done[image_id], self._index.shard_rows)
        shard = self._rows
        if number < (len(self._done) - len(self._images)) // self._index.shard_rows:
            path = self.folder / self._index.shards[number].file
            shard = open_shard(path, self._index.max_regions, self._index.feature_size)
        count = int(shard.num_regions[row])
        return (
            count == len(half)
            and tuple(shard.image_sizes[row]) == size
            and np.array_equal(shard.features[row, :count], half)
            and np.array_equal(shard.boxes[row, :count], box)
        )

    def skip(self, name: str, reason: str) -> None:
        """Record a picture that could not be read; the next writer of the folder forgets it."""
        self._index.skipped[name] = reason

    def save(self) -> None:
        """Write all rows to disk, so that a killed process continues here."""
        if not self._unsaved:
            return
        if (self.folder / INDEX_NAME).exists():
            # The last shard grows, and then no longer matches the index of a complete folder.
            (self.folder / INDEX_NAME).replace(self.folder / PARTIAL_NAME)
        number = (len(self._done) - len(self._images)) // self._index.shard_rows
        file = f"regions-{number:05d}.safetensors"
        digest = write_shard(self.folder / file, self._rows, len(self._images))
        entry = ShardEntry(file=file, images=self._images, sha256=digest)
        self._index.shards[number:] = [entry]
        write_json(self.folder / PARTIAL_NAME, self._index.content())
        self._unsaved = False

    def finish(self) -> None:
        """Save, and mark the folder as complete."""
        self.save()
        write_json(self.folder / PARTIAL_NAME, self._index.content())
        (self.folder / PARTIAL_NAME).replace(self.folder / INDEX_NAME)
        self._finished = True

    def _resume(self) -> None:
        written = [self.folder / name for name in (PARTIAL_NAME, INDEX_NAME)]
        if path := next((path for path in written if path.exists()), None):
            earlier = RegionIndex.read(path)
            for key in ("detector", "feature_size", "max_regions", "source"):
                old, new = getattr(earlier, key), getattr(self._index, key)
                if old != new:
                    options = options_for(old, new) if key == "source" else None
                    repeat = f"give {options}, " if options else ""
                    raise DataError(
                        f"{self.folder} has regions with {key.replace('_', ' ')} {old!r}, not "
                        f"{new!r}: {repeat}choose another output folder, or delete this one"
                    )
            self._index = earlier.model_copy(update={"skipped": {}})  # they are tried again
        index = self._index
        images = [image for shard in index.shards for image in shard.images]
        self._done = {image: row for row, image in enumerate(images)}
        self._images, self._unsaved, self._finished = [], False, False
        self._rows = Shard.zeros(index.shard_rows, index.max_regions, index.feature_size)
        if index.shards and len(index.shards[-1].images) < index.shard_rows:
            last = index.shards[-1]
            self._images, count = list(last.images), len(last.images)
            saved = open_shard(self.folder / last.file, index.max_regions, index.feature_size)
            if len(saved.num_regions) < count:
                raise DataError(f"{self.folder / last.file} has fewer pictures than its index")
            # Killed between writing shard and index, a process leaves a shard with more rows.
            for rows, values in zip(
                self._rows.first(count).values(), saved.first(count).values(), strict=True
            ):
                rows[:] = values

    def _checked(
        self,
        image_id: str,
        features: NDArray[np.generic],
        boxes: NDArray[np.generic],
        size: tuple[int, int],
    ) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
        index, name = self._index, f"picture {image_id!r}"
        if features.ndim != 2 or features.shape[1] != index.feature_size:
            raise DataError(
                f"{name}: features {features.shape}, expected [n, {index.feature_size}]"
            )
        if boxes.shape != (len(features), 4):
            raise DataError(f"{name}: boxes {boxes.shape} for {len(features)} regions")
        if len(features) > index.max_regions:
            raise DataError(f"{name}: {len(features)} regions, at most {index.max_regions} fit")
        if min(size) < 1:
            raise DataError(f"{name}: size {size[0]} x {size[1]} pixels")
        with np.errstate(over="ignore"):
            half = features.astype(np.float16)
        if not all_finite(half):
            if np.isfinite(features.astype(np.float64)).all():
                raise DataError(f"{name}: a feature is too large for float16 (over 65504)")
            raise DataError(f"{name}: a feature is NaN or infinite")
        box = boxes.astype(np.float32)
        # Comparisons with NaN are false, so they are written to catch it.
        if not ((box >= -_BOX_TOLERANCE) & (box <= 1 + _BOX_TOLERANCE)).all():
            raise DataError(f"{name}: a box is outside the picture or NaN")
        if not (box[:, :2] <= box[:, 2:]).all():
            raise DataError(f"{name}: a box ends before it begins")
        return half, box.clip(0, 1)


def _lock(folder: Path) -> FileLock:
    """Lock `folder` for this process until the lock is released or the process ends."""
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"another process is writing regions to {folder}; wait for it") from None
    except OSError as problem:
        raise DataError(f"cannot write to {folder}: {problem.strerror}") from None
    return lock
