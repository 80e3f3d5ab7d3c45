"""Rows of TSV files as people have them: either format, headers, marks, quotes, endings."""

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.data.regions.tsv_rows import Row, RowParser
from lxcompress.errors import DataError

# `generate_tsv.py` of peteanderson80/bottom-up-attention: FIELDNAMES.
BOTTOM_UP = ["image_id", "image_w", "image_h", "num_boxes", "boxes", "features"]
# `utils.py` of airsplay/lxmert: FIELDNAMES.
LXMERT = ["img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"]
LXMERT += ["num_boxes", "boxes", "features"]
HEIGHT, WIDTH = 480, 640


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def values(
    count: int = 3, feature_size: int = 8, seed: int = 0, height: int = HEIGHT, width: int = WIDTH
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [count, 4] in pixels and features [count, feature_size], as a detector gives them."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.random((count, 2, 2)), axis=1).reshape(count, 4)
    corners[0, 2:] = 1
    boxes = (corners * [width, height, width, height]).astype(np.float32)
    return boxes, random.random((count, feature_size), np.float32) * 30


def cells(columns: list[str], image: str, boxes: np.ndarray, features: np.ndarray) -> list[str]:
    """A row with these columns, by their names in either code."""
    count = len(features)
    by_name = {
        "img_id": image,
        "img_h": str(HEIGHT),
        "img_w": str(WIDTH),
        "num_boxes": str(count),
        "boxes": encoded(boxes),
        "features": encoded(features),
    }
    return [
        by_name.get(name.replace("image_", "img_"), encoded(np.ones(count))) for name in columns
    ]


def parse_one(*lines: bytes) -> Row:
    """The only row of some lines."""
    parser = RowParser()
    (row,) = [row for line in lines if (row := parser.parse(line)) is not None]
    return row


def assert_is(row: Row, image: str, boxes: np.ndarray, features: np.ndarray) -> None:
    assert (row.image_id, row.size) == (image, (HEIGHT, WIDTH))
    np.testing.assert_allclose(row.boxes, boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT], rtol=1e-6)
    np.testing.assert_array_equal(row.features, features)


WRAPPED: Any = {
    "plain": lambda cell: cell,
    "quoted": lambda cell: f'"{cell}"',
    "spaced": lambda cell: f" {cell} ",
    "bytes": lambda cell: f"b'{cell}'",
    "quoted bytes": lambda cell: f"\"b'{cell}'\"",
}


@given(
    st.sampled_from([LXMERT, BOTTOM_UP]),
    st.permutations(LXMERT) | st.permutations(BOTTOM_UP),
    st.booleans(),
    st.sampled_from(sorted(WRAPPED)),
    st.sampled_from(["", "\n", "\r\n", "\r\r\n", "\0\n"]),
    st.booleans(),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_rows_as_people_have_them(
    columns: list[str],
    permuted: list[str],
    with_header: bool,
    wrapping: str,
    ending: str,
    marked: bool,
    count: int,
) -> None:
    boxes, features = values(count)
    if with_header:
        columns = permuted
    row = cells(columns, "COCO_val2014_000000000042.jpg", boxes, features)
    lines = ["\t".join(columns), ""] if with_header else [""]
    lines += ["\t".join(map(WRAPPED[wrapping], row)), "  "]
    content = [(line + ending).encode() for line in lines]
    if marked:
        content = [b"\xef\xbb\xbf" + line for line in content]
    assert_is(parse_one(*content), "42", boxes, features)


@pytest.mark.parametrize(
    ("image", "expected"),
    [("café.webp", "café"), ("cafe\u0301", "café"), ("\ufeffn161313", "n161313"), ("7", "7")],
)
def test_ids_of_rows(image: str, expected: str) -> None:
    line = "\t".join(cells(BOTTOM_UP, image, *values())).encode()
    assert parse_one(line).image_id == expected
    with pytest.raises(DataError, match="img_id is not UTF-8"):
        parse_one(b"caf\xe9" + line)


def test_a_cut_off_row_is_not_taken_for_the_shorter_format() -> None:
    parser = RowParser()
    row = cells(LXMERT, "1", *values())
    parser.parse("\t".join(row).encode())
    with pytest.raises(DataError, match="6 columns instead of 10; the file is cut off here"):
        parser.parse("\t".join(row[:6]).encode())


def test_sizes_written_as_floats() -> None:
    row = cells(LXMERT, "1", *values())
    row[1], row[2] = "480.0", "640."
    assert parse_one("\t".join(row).encode()).size == (HEIGHT, WIDTH)
    row[1] = "480.5"
    with pytest.raises(DataError, match=r"img_h is '480\.5'"):
        parse_one("\t".join(row).encode())


def test_boxes_in_0_1_are_refused_but_not_small_pictures() -> None:
    boxes, features = values()
    normalized = (boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    row = cells(LXMERT, "1", normalized, features)
    with pytest.raises(DataError, match="in 0-1 already, in a picture of 640 x 480 pixels"):
        parse_one("\t".join(row).encode())
    for height, width in ((1, 1), (2, 3), (15, 15)):
        row[1], row[2] = str(height), str(width)
        assert parse_one("\t".join(row).encode()).boxes.max() <= 1
    # One box that reaches beyond the first pixel says that these are pixels.
    row = cells(LXMERT, "1", np.vstack([normalized[:-1], [[0, 0, 1, 1.5]]]), features)
    with pytest.raises(DataError, match="not 4 for each"):  # vstack gave float64
        parse_one("\t".join(row).encode())
    pixels = np.vstack([normalized[:-1], [[0, 0, 1, 1.5]]]).astype(np.float32)
    assert parse_one("\t".join(cells(LXMERT, "1", pixels, features)).encode()).boxes.max() < 0.01


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_detectors_boxes_are_never_taken_for_normalized(
    height: int, width: int, count: int, seed: int
) -> None:
    boxes, features = values(count, 40, seed, height, width)
    row = cells(LXMERT, "1", boxes, features)
    row[1], row[2] = str(height), str(width)
    assert parse_one("\t".join(row).encode()).size == (height, width)


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float16, np.float64]))
def test_features_of_another_type_are_refused(seed: int, kind: type) -> None:
    boxes, features = values(3, 64, seed)
    row = cells(LXMERT, "1", boxes, features.astype(kind))
    with pytest.raises(DataError, match=f"written as {kind.__name__}"):
        parse_one("\t".join(row).encode())


@given(
    st.sampled_from([LXMERT, BOTTOM_UP]),
    st.integers(0, 9),
    st.binary(max_size=40) | st.sampled_from([b"", b"\t", b"-1", b"1e9", b"b'", b'"', b"AAAA"]),
    st.booleans(),
)
@settings(max_examples=300)
def test_whatever_a_cell_holds_is_read_or_named(
    columns: list[str], position: int, cell: bytes, with_header: bool
) -> None:
    row = [text.encode() for text in cells(columns, "1", *values())]
    row[position % len(row)] = cell
    parser = RowParser()
    if with_header:
        parser.parse("\t".join(columns).encode())
    try:
        parsed = parser.parse(b"\t".join(row))
    except DataError as problem:
        assert "\n" not in str(problem)
    else:
        assert parsed is None or len(parsed.boxes) == len(parsed.features)


@given(st.binary(max_size=200))
def test_any_line_is_read_or_named(line: bytes) -> None:
    try:
        assert RowParser().parse(line) is None
    except DataError as problem:
        assert "\n" not in str(problem)
