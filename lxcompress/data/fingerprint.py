"""The fingerprint of a dataset, by which a run finds out that its data have changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lxcompress.data.dataset_config import SPLITS, DatasetConfig, SplitConfig
from lxcompress.data.regions.index import INDEX_NAME
from lxcompress.data.regions.picture_files import find_pictures
from lxcompress.errors import DataError
from lxcompress.system.files import sha256


def fingerprint(folder: Path, config: DatasetConfig) -> str:
    """SHA-256 in hex of what a run depends on: questions, answers, and the regions' indices.

    An index has the SHA-256 of each of its shards, so no shard is read. For splits with pictures
    only, the detector and the pictures' ids and sizes in bytes are hashed instead of regions, so
    that making these does not change the fingerprint. Raises DataError for a missing file.
    """
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update(json.dumps(parts).encode())

    add(config.min_occurrences)
    if config.answers:
        add("answers", _digest(folder / config.answers))
    for name in SPLITS:
        split = config.split(name)
        if split is None:
            continue
        for path in [split.questions, split.annotations, *split.samples]:
            add(name, path and _digest(folder / path))
        if split.regions:
            add(*(_digest(folder / path / INDEX_NAME) for path in split.regions))
        else:
            add(config.detector, *_pictures(folder, split))
            if config.weights:
                add("weights", config.weights)
    return digest.hexdigest()


def _pictures(folder: Path, split: SplitConfig) -> list[tuple[str, int]]:
    pictures = find_pictures([folder / path for path in split.images])
    return [(image_id, _size(path)) for image_id, path in pictures.items()]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as problem:
        raise DataError(f"cannot read {path}: {problem.strerror}") from None


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as problem:
        raise DataError(f"cannot read {path}: {problem.strerror}") from None
