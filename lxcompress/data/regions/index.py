"""The index of a folder of regions: which picture is in which row of which shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from lxcompress.errors import DataError
from lxcompress.system.files import read_json
from lxcompress.system.record import first_error

INDEX_NAME = "index.json"
PARTIAL_NAME = "partial.json"  # the index while regions are being made


class ShardEntry(BaseModel):
    """A shard's file name, its pictures in row order, and its SHA-256 when it was written."""

    model_config = ConfigDict(extra="forbid")
    file: str
    images: list[str]
    sha256: str


class RegionIndex(BaseModel):
    """Content of `index.json` and `partial.json`.

    `source` is what the regions were made from; `position` is where in it the last shard ends;
    `skipped` are pictures without regions that could not be read, with the reason, by image id
    (by file name where that is not UTF-8).
    """

    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1
    detector: str
    feature_size: PositiveInt
    max_regions: PositiveInt
    shard_rows: PositiveInt
    source: str = ""
    position: int = 0
    skipped: dict[str, str] = Field(default_factory=dict)
    shards: list[ShardEntry]

    def content(self) -> dict[str, Any]:
        """What the file has; `skipped` only where there are some."""
        return self.model_dump(exclude=None if self.skipped else {"skipped"})

    @classmethod
    def read(cls, path: Path) -> RegionIndex:
        """Read an index file; DataError when it is missing or no index of regions."""
        try:
            index = cls.model_validate(read_json(path, "index of regions"))
        except ValidationError as problem:
            raise DataError(f"not an index of regions: {first_error(problem)}: {path}") from None
        for shard in index.shards:
            if Path(shard.file).name != shard.file:
                raise DataError(f"shard {shard.file!r} is outside its folder: {path}")
        return index


def is_finished(folder: Path) -> bool:
    """Whether `folder` has a complete set of regions."""
    return (folder / INDEX_NAME).is_file()


def read_finished(folder: Path) -> RegionIndex:
    """The index of a complete folder; DataError when the folder is missing or not complete."""
    if not folder.is_dir():
        raise DataError(f"folder of regions not found: {folder}")
    if not is_finished(folder):
        if (folder / PARTIAL_NAME).exists():
            raise DataError(f"regions are not complete, continue making them: {folder}")
        raise DataError(f"no {INDEX_NAME}, so no folder of regions: {folder}")
    return RegionIndex.read(folder / INDEX_NAME)
