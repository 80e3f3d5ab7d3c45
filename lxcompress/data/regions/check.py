"""Check stored regions against their pictures, their value ranges and their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lxcompress.data.regions.index import INDEX_NAME, RegionIndex
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError
from lxcompress.system.files import sha256
from lxcompress.system.progress import progress
from lxcompress.vision.pictures import picture_size


def region_problems(store: RegionStore, pictures: Mapping[str, Path], name: str) -> Iterator[str]:
    """Yield what is wrong with the regions; reads all of their data, at disk speed.

    Args:
        store: the regions of one split.
        pictures: the picture files that are there, by image id; their sizes are compared.
        name: the split, for progress bars.
    """
    yield from _wrong_sizes(store, pictures)
    yield from _impossible_values(store, name)
    yield from _changed_shards(store, name)


def _wrong_sizes(store: RegionStore, pictures: Mapping[str, Path]) -> Iterator[str]:
    wrong = []
    for image, path in pictures.items():
        if image not in store:
            continue
        try:
            size = picture_size(path)
        except DataError as problem:
            yield str(problem)
            continue
        if size != store.image_size(image):
            wrong.append((image, size, store.image_size(image)))
    if wrong:
        image, size, stored = wrong[0]
        yield (
            f"{len(wrong)} pictures have another size than their regions record, so these are "
            f"regions for the wrong picture; e.g. image {image} is {size[0]} x {size[1]} "
            f"(height x width), its regions were made from {stored[0]} x {stored[1]}"
        )


def _impossible_values(store: RegionStore, name: str) -> Iterator[str]:
    damaged: list[str] = []
    with progress(f"Reading the {name} regions", len(store), "pictures") as meter:
        for read, images in store.damaged():
            damaged += images
            meter.advance(read)
    if damaged:
        yield (
            f"the regions of {len(damaged)} pictures have NaN, infinity or boxes outside 0-1, "
            f"e.g. image {damaged[0]}; make them again"
        )


def _changed_shards(store: RegionStore, name: str) -> Iterator[str]:
    shards = [
        (folder / shard.file, shard.sha256)
        for folder in store.folders
        for shard in RegionIndex.read(folder / INDEX_NAME).shards
    ]
    with progress(f"Comparing the {name} shards' checksums", len(shards), "shards") as meter:
        for path, digest in shards:
            if sha256(path) != digest:
                yield f"a shard has changed since it was written: {path}; make or copy it again"
            meter.advance()
