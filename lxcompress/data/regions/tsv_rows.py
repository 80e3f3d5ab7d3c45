"""Parses the rows of TSV files of region features, as LXMERT and its detector's code write them.

LXMERT (github.com/airsplay/lxmert, `utils.load_obj_tsv`), ten columns: img_id, img_h, img_w,
objects_id, objects_conf, attrs_id, attrs_conf, num_boxes, boxes (float32 N x 4, xyxy in pixels),
features (float32 N x F). The original bottom-up-attention code
(github.com/peteanderson80/bottom-up-attention, `tools/generate_tsv.py`), six: image_id, image_w,
image_h, num_boxes, boxes, features; mind the order of width and height. Arrays are base64. Neither
writes a header; a header line that somebody added says the order of the columns.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lxcompress.data.questions.question import canonical_image_id
from lxcompress.errors import DataError

_LXMERT = (
    *("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
    *("num_boxes", "boxes", "features"),
)
_BOTTOM_UP = ("img_id", "img_w", "img_h", "num_boxes", "boxes", "features")
_BY_COUNT = {len(columns): columns for columns in (_LXMERT, _BOTTOM_UP)}
_OTHER_NAMES = {"image_id": "img_id", "image_h": "img_h", "image_w": "img_w"}

_MARK = b"\xef\xbb\xbf"
_BYTES_REPR = re.compile(rb"b'([^']*)'|b\"([^\"]*)\"")
_QUOTED = re.compile(rb'"([^"]*)"')
_INTEGER = re.compile(rb"([0-9]{1,9})(?:\.0*)?")
_LARGEST_FEATURE = 65504.0  # of float16
_FEWEST_HALVES = 10  # different ones, to be sure that float16 was written
_PIXELS_OF_NORMALIZED = 16


@dataclass(frozen=True, eq=False)
class Row:
    """One line: size (height, width) in pixels, boxes [n, 4] 0-1 xyxy, features [n, F]."""

    image_id: str
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    features: NDArray[np.float32]


class RowParser:
    """Parses the lines of one file; the first row or a header says what the columns are."""

    def __init__(self) -> None:
        self._columns: tuple[str, ...] | None = None

    def parse(self, line: bytes) -> Row | None:
        """Parse one line; None for a blank one and for a header.

        Byte order marks are ignored, in the middle of joined files too, and so are quotes and the
        b'…' of somebody's `str(bytes)`: base64 has no such characters.

        Raises:
            DataError: with the reason, without file and line.
        """
        line = line.strip(b"\r\n\0").removeprefix(_MARK)
        if not line.strip():
            return None
        cells = [_plain(cell) for cell in line.split(b"\t")]
        if header := _header(cells):
            self._columns = header
            return None
        if self._columns is None and len(cells) in _BY_COUNT:
            self._columns = _BY_COUNT[len(cells)]
        if self._columns is None or len(cells) != len(self._columns):
            known = f"{len(self._columns)}" if self._columns else "10 (LXMERT) or 6 (bottom-up)"
            raise DataError(
                f"{len(cells)} columns instead of {known}; the file is cut off here, or not one "
                "of LXMERT's TSV files (a header line can name other columns)"
            )
        return _row(dict(zip(self._columns, cells, strict=True)))


def _header(cells: list[bytes]) -> tuple[str, ...] | None:
    names = tuple(cell.decode("utf-8", "replace").lower() for cell in cells)
    if not {"boxes", "features"} <= set(names):
        return None
    names = tuple(_OTHER_NAMES.get(name, name) for name in names)
    missing = [name for name in _BOTTOM_UP if names.count(name) != 1]
    if missing:
        raise DataError(f"the header line must name {missing[0]} once: {', '.join(names)}")
    return names


def _plain(cell: bytes) -> bytes:
    """A cell without spaces, CSV quotes and Python's b'…' around it."""
    cell = cell.strip()
    if quoted := _QUOTED.fullmatch(cell):
        cell = quoted[1].strip()
    if written := _BYTES_REPR.fullmatch(cell):
        cell = written[1] if written[1] is not None else written[2]
    return cell


def _row(cells: dict[str, bytes]) -> Row:
    try:
        image_id = canonical_image_id(cells["img_id"].decode())
    except UnicodeDecodeError:
        raise DataError(f"img_id is not UTF-8: {cells['img_id'][:40]!r}") from None
    if not image_id:
        raise DataError("img_id is empty")
    height, width = _number(cells["img_h"], "img_h"), _number(cells["img_w"], "img_w")
    count = _number(cells["num_boxes"], "num_boxes")
    boxes = _boxes(cells["boxes"], count, height, width)
    features = _features(cells["features"], count)
    return Row(image_id, (height, width), boxes, features)


def _number(text: bytes, column: str) -> int:
    found = _INTEGER.fullmatch(text)
    if not found or int(found[1]) < 1:
        shown = text[:20].decode("utf-8", "replace")
        raise DataError(f"{column} is {shown!r}, expected an integer from 1")
    return int(found[1])


def _boxes(text: bytes, count: int, height: int, width: int) -> NDArray[np.float32]:
    """Boxes in 0-1, from pixels.

    Boxes that are in 0-1 already would be divided again. So a row is refused in which no box
    reaches beyond the first pixel, when the picture's longer side has at least 16 pixels: no
    detector finds nothing but parts of that one pixel. In smaller pictures it might.
    """
    boxes = _floats(text, "boxes")
    if boxes.size != count * 4:
        hint = ""
        if boxes.size == count * 8:
            hint = " (written as float64? LXMERT's are float32)"
        elif boxes.size == count * 2:
            hint = " (written as float16? LXMERT's are float32)"
        raise DataError(f"boxes has {boxes.size} numbers, not 4 for each of {count} regions{hint}")
    boxes = boxes.reshape(count, 4)
    if max(height, width) >= _PIXELS_OF_NORMALIZED and np.abs(boxes).max() <= 1.001:
        raise DataError(
            f"the boxes lie in 0-1 already, in a picture of {width} x {height} pixels: multiply "
            "them by its width and height, as in LXMERT's files"
        )
    if (boxes[:, :2] > boxes[:, 2:]).any():
        raise DataError(
            "a box ends before it begins: boxes are x1, y1, x2, y2 in pixels (are these x, y, "
            "width, height?)"
        )
    scale = np.array([width, height, width, height], np.float32)
    if not _inside(boxes / scale) and _inside(boxes / scale[[1, 0, 3, 2]]):
        raise DataError(
            f"a box is outside the picture of {width} x {height} pixels, but would be inside "
            f"{height} x {width}: are width and height exchanged? A header line can name the "
            "columns"
        )
    return boxes / scale


def _inside(boxes: NDArray[np.float32]) -> bool:
    return bool((boxes <= 1.001).all())


def _features(text: bytes, count: int) -> NDArray[np.float32]:
    features = _floats(text, "features")
    if features.size == 0 or features.size % count:
        raise DataError(f"features has {features.size} numbers for {count} regions")
    if _are_halves(features):
        raise DataError("the features were written as float16: write them as float32")
    if _are_doubles(features, count):
        raise DataError("the features were written as float64: write them as float32")
    return features.reshape(count, -1)


def _are_halves(features: NDArray[np.float32]) -> bool:
    """Whether float32 numbers are really pairs of float16 that are not negative, as features are.

    The lower half of a float32 is the end of its mantissa: as a float16 it is negative, infinite
    or NaN about every second time, unless it is zero.
    """
    lower, upper = features.view("<f2")[::2], features.view("<f2")[1::2]
    possible = ((lower >= 0) & (upper >= 0) & (lower < 1000) & (upper < 1000)).all()
    return bool(possible) and len(np.unique(lower[lower > 0])) >= _FEWEST_HALVES


def _are_doubles(features: NDArray[np.float32], count: int) -> bool:
    """Whether numbers that cannot be features are the halves of float64 that can.

    The lower half of a float64 is the end of its mantissa, and as a float32 of any size.
    """
    if features.size % (2 * count) or _possible(features):
        return False
    doubles = features.view("<f8")
    sizes = np.abs(doubles)
    return _possible(doubles) and bool(((sizes == 0) | (sizes > 1e-12)).all())


def _possible(features: NDArray[np.float32] | NDArray[np.float64]) -> bool:
    return bool((np.abs(features) <= _LARGEST_FEATURE).all())


def _floats(text: bytes, column: str) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        hint = "the file is damaged here"
        if text.startswith((b"b'", b'b"')):
            hint = "it begins with b', so somebody wrote str(bytes): write bytes.decode() instead"
        elif text.startswith(b"["):
            hint = "a list was written instead of base64 of its float32 bytes"
        raise DataError(f"{column} is not base64 ({problem}); {hint}") from None
    if len(data) % 4:
        raise DataError(f"{column} has {len(data)} bytes, not a multiple of 4 (float32)")
    return np.frombuffer(data, "<f4")
