"""Converts LXMERT's feature files, tab-separated rows of base64 arrays, into region shards.

Format (github.com/airsplay/lxmert, `utils.load_obj_tsv`; no header): img_id, img_h, img_w,
objects_id, objects_conf, attrs_id, attrs_conf, num_boxes, boxes (float32 N x 4, xyxy in pixels),
features (float32 N x F). A file of 80,000 pictures is 30 GB, so it is read row by row.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lxcompress.data.questions.question import canonical_image_id
from lxcompress.data.regions.index import is_finished
from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError, Interrupted
from lxcompress.system.progress import progress

_COLUMNS = 10
_LONGEST_LINE = 64 << 20  # a row of 36 regions is 0.4 MB
_MEGABYTE = 1_000_000


def convert_tsv(
    tsv: Path, output: Path, max_regions: int = 36, shard_rows: int | None = None
) -> RegionStore:
    """Convert one of LXMERT's TSV files into a folder of regions, holding one shard in memory.

    Boxes are divided by the picture's width and height; features become float16. An interrupted
    conversion continues after the rows that were saved; a complete one is not repeated.

    Args:
        tsv: the file, e.g. `train2014_obj36.tsv`.
        output: folder of regions to write; its detector is called "butd".
        max_regions: regions per picture at most; 36 in LXMERT's own files.
        shard_rows: pictures per shard, by default as many as fit 256 MiB.

    Raises:
        DataError: a row is wrong (the message has the line and the reason), or `output` has the
            regions of another file.
        Interrupted: stopped by Ctrl-C; what was converted is kept.
    """
    tsv, output = Path(tsv), Path(output)
    if not tsv.is_file():
        raise DataError(f"TSV file not found: {tsv}")
    with open(tsv, "rb") as file:
        length = tsv.stat().st_size
        source = f"{tsv.name}, {length} bytes"
        if is_finished(output):
            store = RegionStore(output)
            if store.source == source:
                return store
        feature_size = _feature_size(file, tsv)
        writer = RegionWriter(output, "butd", feature_size, max_regions, shard_rows, source)
        try:
            with writer:
                _convert(file, tsv, length, writer)
                writer.finish()
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; {len(writer)} pictures are kept in {output}, the same command continues"
            ) from None
    return RegionStore(output)


@dataclass(frozen=True, eq=False)
class _Row:
    """One line: size (height, width) in pixels, boxes [n, 4] 0-1 xyxy, features [n, F]."""

    image_id: str
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    features: NDArray[np.float32]


def _feature_size(file: BinaryIO, tsv: Path) -> int:
    """F of the first row, which the writer must know before it can continue a folder."""
    line = file.readline(_LONGEST_LINE)
    try:
        return _parse(line).features.shape[1]
    except DataError as problem:
        raise DataError(f"{tsv}, line 1: {problem}") from None


def _convert(file: BinaryIO, tsv: Path, length: int, writer: RegionWriter) -> None:
    file.seek(writer.position)
    number, position = len(writer), writer.position
    with progress(
        f"Converting {tsv.name}", length // _MEGABYTE, "MB", position // _MEGABYTE
    ) as meter:
        while line := file.readline(_LONGEST_LINE):
            number += 1
            position += len(line)
            try:
                row = _parse(line)
                writer.append(row.image_id, row.features, row.boxes, row.size, position)
            except DataError as problem:
                raise DataError(f"{tsv}, line {number}: {problem}") from None
            meter.advance(position // _MEGABYTE - meter.done)


def _parse(line: bytes) -> _Row:
    """Parse one line. Raises DataError with the reason, without file and line."""
    if len(line) == _LONGEST_LINE:
        raise DataError("longer than 64 MB; this is not one of LXMERT's TSV files")
    columns = line.rstrip(b"\r\n").split(b"\t")
    if len(columns) != _COLUMNS:
        raise DataError(
            f"{len(columns)} columns instead of {_COLUMNS}; the file is cut off here, or not one "
            "of LXMERT's TSV files"
        )
    image_id = canonical_image_id(columns[0].decode("utf-8", "replace"))
    height, width = _number(columns[1], "img_h"), _number(columns[2], "img_w")
    count = _number(columns[7], "num_boxes")
    boxes = _floats(columns[8], "boxes")
    features = _floats(columns[9], "features")
    if boxes.size != count * 4:
        raise DataError(f"boxes has {boxes.size} numbers, not 4 for each of {count} regions")
    if features.size == 0 or features.size % count:
        raise DataError(f"features has {features.size} numbers for {count} regions")
    scale = np.array([width, height, width, height], np.float32)
    return _Row(
        image_id, (height, width), boxes.reshape(count, 4) / scale, features.reshape(count, -1)
    )


def _number(text: bytes, column: str) -> int:
    if not text.isdigit() or len(text) > 9 or int(text) < 1:
        shown = text[:20].decode("utf-8", "replace")
        raise DataError(f"{column} is {shown!r}, expected an integer from 1")
    return int(text)


def _floats(text: bytes, column: str) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise DataError(f"{column} is not base64 ({problem}); the file is damaged here") from None
    if len(data) % 4:
        raise DataError(f"{column} has {len(data)} bytes, not a multiple of 4 (float32)")
    return np.frombuffer(data, "<f4")
