"""Reads the regions of pictures from memory-mapped shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lxcompress.data.regions.index import read_finished
from lxcompress.data.regions.shards import Shard, all_finite, open_shard
from lxcompress.errors import DataError


@dataclass(frozen=True, eq=False)
class RegionBatch:
    """Regions of B pictures, padded with zeros to R', the most regions that one of them has.

    features `[B, R', F] float16`, boxes `[B, R', 4] float32` (0-1 xyxy), num_regions `[B] int64`.
    R' is at least 1, so that a batch of pictures without any region still has the axis.
    """

    features: NDArray[np.float16]
    boxes: NDArray[np.float32]
    num_regions: NDArray[np.int64]


class RegionSource(Protocol):
    """The regions of pictures by id: a `RegionStore`, or generated ones."""

    max_regions: int
    feature_size: int

    def gather(self, image_ids: Sequence[str]) -> RegionBatch:
        """Return the regions of B pictures (repeats allowed)."""
        ...


class RegionStore:
    """The regions of one or more folders, by picture.

    Opening reads only the index and the shards' headers. The system reads data pages when
    `gather` touches them, and drops them when memory is short. A pickle has the folder names
    only, so a data-loading worker opens the same files again.
    """

    def __init__(self, *folders: Path | str) -> None:
        """Raises DataError for a missing or unfinished folder and for a damaged shard."""
        if not folders:
            raise DataError("no folder of regions given")
        self.folders = tuple(Path(folder) for folder in folders)
        self.max_regions = 0
        self.sources: list[str] = []  # of each folder, as in `RegionIndex`
        self.skipped: dict[str, str] = {}  # as in `RegionIndex`
        self._row: dict[str, int] = {}
        self._shards: list[Shard] = []
        starts: list[int] = []
        for folder in self.folders:
            index = read_finished(folder)
            if folder == self.folders[0]:
                self.detector, self.feature_size = index.detector, index.feature_size
                self.source = index.source
            elif (index.detector, index.feature_size) != (self.detector, self.feature_size):
                raise DataError(
                    f"regions of one split must come from one detector: {self.folders[0]} has "
                    f"{self.feature_size} features by {self.detector!r}, {folder} has "
                    f"{index.feature_size} by {index.detector!r}"
                )
            self.sources.append(index.source)
            self.skipped |= index.skipped
            self.max_regions = max(self.max_regions, index.max_regions)
            for entry in index.shards:
                path = folder / entry.file
                shard = open_shard(path, index.max_regions, index.feature_size)
                first, count = len(self._row), len(entry.images)
                if len(shard.num_regions) != count:
                    raise DataError(
                        f"{path} has {len(shard.num_regions)} pictures, its index {count}"
                    )
                self._row.update(zip(entry.images, range(first, first + count), strict=True))
                if len(self._row) != first + count:
                    raise DataError(f"a picture appears twice in the regions: {path}")
                starts.append(first)
                self._shards.append(shard)
        self._starts = np.array(starts, np.int64)
        self.image_ids = list(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def __reduce__(self) -> tuple[type[RegionStore], tuple[Path, ...]]:
        return type(self), self.folders

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        """The distinct `image_ids` without regions, in order."""
        return [image for image in dict.fromkeys(image_ids) if image not in self._row]

    def image_size(self, image_id: str) -> tuple[int, int]:
        """(height, width) in pixels of the picture that the regions were made from."""
        ((shard, _, rows),) = self._locate([image_id])
        height, width = shard.image_sizes[rows[0]]
        return int(height), int(width)

    def gather(self, image_ids: Sequence[str]) -> RegionBatch:
        """The regions of B pictures (repeats allowed), copied out of the mapped files.

        Raises:
            DataError: a picture has no regions, or damaged ones (NaN, infinity).
        """
        located = self._locate(image_ids)
        size = len(image_ids)
        counts = np.zeros(size, np.int64)
        for shard, positions, rows in located:
            counts[positions] = shard.num_regions[rows]
        most = int(counts.max(initial=1))
        wrong = (counts < 0) | (counts > self.max_regions)
        if wrong.any():
            raise self._damaged(image_ids, wrong, "a wrong number of regions")
        features = np.zeros((size, most, self.feature_size), np.float16)
        boxes = np.zeros((size, most, 4), np.float32)
        for shard, positions, rows in located:
            held = min(most, shard.features.shape[1])
            features[positions, :held] = shard.features[rows, :held]
            boxes[positions, :held] = shard.boxes[rows, :held]
        if not (all_finite(features) and np.isfinite(boxes).all()):
            raise self._damaged(image_ids, _not_finite(features, boxes), "NaN or infinite values")
        return RegionBatch(features, boxes, counts)

    def damaged(self, rows_at_once: int = 256) -> Iterator[tuple[int, list[str]]]:
        """Read everything; yield the number of pictures read, and the ids of damaged ones.

        These have NaN or infinity, boxes outside 0-1, or a wrong number of regions.
        """
        for shard, first in zip(self._shards, self._starts.tolist(), strict=True):
            for start in range(0, len(shard.num_regions), rows_at_once):
                rows = slice(start, start + rows_at_once)
                boxes, counts = shard.boxes[rows], shard.num_regions[rows]
                wrong = _not_finite(shard.features[rows], boxes)
                wrong |= ((boxes < 0) | (boxes > 1)).any(axis=(1, 2))
                wrong |= (counts < 0) | (counts > shard.boxes.shape[1])
                images = [self.image_ids[first + start + row] for row in np.flatnonzero(wrong)]
                yield len(wrong), images

    def _locate(
        self, image_ids: Sequence[str]
    ) -> list[tuple[Shard, NDArray[np.int64], NDArray[np.int64]]]:
        """For each shard with some of the pictures: positions in `image_ids`, rows in the shard."""
        try:
            found = np.array([self._row[image] for image in image_ids], np.int64)
        except KeyError as problem:
            raise DataError(f"picture {problem.args[0]!r} has no regions in {self._name}") from None
        numbers = np.searchsorted(self._starts, found, side="right") - 1
        located = []
        for number in np.unique(numbers):
            positions = np.flatnonzero(numbers == number)
            located.append(
                (self._shards[number], positions, found[positions] - self._starts[number])
            )
        return located

    def _damaged(self, image_ids: Sequence[str], wrong: NDArray[np.bool_], what: str) -> DataError:
        image = image_ids[int(np.flatnonzero(wrong)[0])]
        return DataError(f"picture {image!r} has {what} in {self._name}; make its regions again")

    @property
    def _name(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)


def _not_finite(features: NDArray[np.float16], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of B pictures have a NaN or infinite value. [B]"""
    whole = [
        all_finite(one) and bool(np.isfinite(box).all())
        for one, box in zip(features, boxes, strict=True)
    ]
    return ~np.array(whole, np.bool_)
