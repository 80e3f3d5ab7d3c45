"""LXMERT's TSV to regions: exact values, errors by line, interruption, memory."""

import base64
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from processes import Script
from shared import SHARED

from lxcompress.data.regions import tsv_source
from lxcompress.data.regions.lxmert_tsv import convert_tsv
from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError, Interrupted

REAL = SHARED / "coco-sample" / "train2014_obj36.tsv"
HEIGHT, WIDTH = 200, 300


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def line(number: int, regions: int = 3, feature_size: int = 4) -> list[str]:
    """The columns of a picture whose features are consecutive numbers from its own."""
    ids = encoded(np.arange(regions, dtype=np.int64))
    confidences = encoded(np.ones(regions, np.float32))
    box = np.tile(np.array([30, 20, 150, 200], np.float32), (regions, 1))
    features = number + np.arange(regions * feature_size, dtype=np.float32) / 8
    name = f"COCO_train2014_{number:012d}"
    head = [name, str(HEIGHT), str(WIDTH), ids, confidences, ids, confidences, str(regions)]
    return [*head, encoded(box), encoded(features)]


HEADER = ["img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"]
HEADER += ["num_boxes", "boxes", "features"]


def write_tsv(path: Path, rows: int, **shape: int) -> Path:
    with open(path, "w", encoding="ascii") as file:
        for number in range(1, rows + 1):
            file.write("\t".join(line(number, **shape)) + "\n")
    return path


def test_values_ids_and_sizes(tmp_path: Path) -> None:
    store = convert_tsv(write_tsv(tmp_path / "a.tsv", 5), tmp_path / "r", shard_rows=2)
    assert store.image_ids == ["1", "2", "3", "4", "5"]
    assert (store.detector, store.feature_size, store.max_regions) == ("butd", 4, 36)
    assert store.image_size("3") == (HEIGHT, WIDTH)
    batch = store.gather(["3"])
    np.testing.assert_array_equal(batch.features[0], 3 + np.arange(12).reshape(3, 4) / 8)
    expected = np.array([30 / WIDTH, 20 / HEIGHT, 150 / WIDTH, 200 / HEIGHT], np.float32)
    np.testing.assert_array_equal(batch.boxes[0], np.tile(expected, (3, 1)))


@pytest.mark.skipif(not REAL.exists(), reason="the sample of LXMERT's features is not here")
def test_real_rows(tmp_path: Path) -> None:
    store = convert_tsv(REAL, tmp_path / "r")
    batch = store.gather(store.image_ids)
    assert len(store) == 10 and store.feature_size == 2048
    assert (batch.num_regions == 36).all()
    assert batch.boxes.min() >= 0 and batch.boxes.max() <= 1
    with open(REAL, encoding="ascii") as file:
        for place, text in enumerate(file):
            columns = text.split("\t")
            assert int(columns[0].rpartition("_")[2]) == int(store.image_ids[place])
            features = np.frombuffer(base64.b64decode(columns[9]), np.float32).reshape(36, 2048)
            np.testing.assert_array_equal(batch.features[place], features.astype(np.float16))


COLUMN = {"img_id": 0, "img_h": 1, "num_boxes": 7, "boxes": 8, "features": 9}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("img_h", "tall", "img_h is 'tall'"),
        ("img_h", "0", "img_h is '0'"),
        ("img_id", "", "img_id is empty"),
        ("boxes", encoded(np.tile([0, 0, 1, 0.5], (3, 1)).astype(np.float32)), "in 0-1 already"),
        (
            "boxes",
            encoded(np.tile([90, 90, 80, 80], (3, 1)).astype(np.float32)),
            "before it begins",
        ),
        (
            "boxes",
            encoded(np.tile([0, 0, 200, 300], (3, 1)).astype(np.float32)),
            "outside the picture of 300 x 200 pixels, .* exchanged",
        ),
        ("boxes", encoded(np.ones((3, 4))), "written as float64"),
        ("boxes", encoded(np.ones((3, 4), np.float16)), "written as float16"),
        ("boxes", "b'AAAA", "somebody wrote str.bytes.: write bytes.decode.. instead"),
        ("boxes", "[1.0, 2.0]", "a list was written instead of base64"),
        ("features", encoded(np.random.default_rng(0).random((3, 8))), "written as float64"),
        (
            "features",
            encoded(np.random.default_rng(0).random((3, 8)).astype(np.float16)),
            "written as float16",
        ),
        ("num_boxes", "4", "boxes has 12 numbers, not 4 for each of 4"),
        ("num_boxes", "9" * 5000, "num_boxes is '99999"),
        ("boxes", "%%%%", "boxes is not base64"),
        ("boxes", "QUJD", "3 bytes, not a multiple of 4 .float32"),
        ("boxes", encoded(np.full((3, 4), 500, np.float32)), "outside the picture"),
        ("features", encoded(np.ones(13, np.float32)), "features has 13 numbers for 3"),
        ("features", encoded(np.ones(15, np.float32)), r"features \(3, 5\), expected \[n, 4\]"),
        ("features", encoded(np.full(12, np.nan, np.float32)), "NaN"),
        ("features", encoded(np.full(12, 1e6, np.float32)), "too large for float16"),
        ("features", encoded(np.ones(12, np.float32))[:-3], "features is not base64"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, column: str, value: str, message: str) -> None:
    rows = [line(1), line(2), line(3)]
    rows[1][COLUMN[column]] = value
    tsv = tmp_path / "a.tsv"
    tsv.write_text("\n".join("\t".join(row) for row in rows))
    with pytest.raises(DataError, match=rf"a\.tsv, line 2: .*{message}"):
        convert_tsv(tsv, tmp_path / "r")


def test_files_that_are_no_tsv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tsv = tmp_path / "a.tsv"
    with pytest.raises(DataError, match="not found"):
        convert_tsv(tsv, tmp_path / "r")
    for content, message in (
        ("", "a.tsv is empty: it has no row"),
        ("\n \n\r\n", "a.tsv is empty: it has no row"),
        ("\t".join(HEADER) + "\n", "a.tsv is empty: it has no row"),
        ("a\tb\n", "line 1: 2 columns instead of 10"),
        (
            "\t".join(line(1)) + "\n\n" + "\t".join([*line(1)[:-1], line(2)[-1]]),
            "line 3: picture '1' appears twice, with different regions",
        ),
        ("\t".join(line(1, regions=37)), "37 regions, at most 36 fit: give --max-regions"),
        ("\t".join(HEADER).replace("img_h", "height"), "line 1: the header line must name img_h"),
    ):
        tsv.write_text(content)
        with pytest.raises(DataError, match=message):
            convert_tsv(tsv, tmp_path / message[:6])
    monkeypatch.setattr(tsv_source, "LONGEST_LINE", 100)
    tsv.write_bytes(bytes(1000))
    with pytest.raises(DataError, match="line 1: longer than"):
        convert_tsv(tsv, tmp_path / "r")


KILLED = """
import os, signal, sys
from pathlib import Path
from lxcompress.data.regions.lxmert_tsv import convert_tsv
from lxcompress.data.regions.writer import RegionWriter

append = RegionWriter.append
def dying(self, *row):
    if len(self) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, *row)
RegionWriter.append = dying
convert_tsv(Path(sys.argv[1]), Path(sys.argv[2]), shard_rows=3)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_a_killed_conversion_continues_to_the_same_bytes(tmp_path: Path) -> None:
    tsv = write_tsv(tmp_path / "a.tsv", 11)
    convert_tsv(tsv, tmp_path / "whole", shard_rows=3)
    part = tmp_path / "part"
    assert Script(KILLED, tsv, part).finish()[0] == -signal.SIGKILL
    source = f"a.tsv, {tsv.stat().st_size} bytes"
    with RegionWriter(part, "butd", 4, 36, source=source) as writer:
        assert len(writer) == 6  # the two full shards
    convert_tsv(tsv, part, shard_rows=3)
    assert contents(part) == contents(tmp_path / "whole")


def test_ctrl_c_keeps_the_rows_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tsv = write_tsv(tmp_path / "a.tsv", 11)
    convert_tsv(tsv, tmp_path / "whole", shard_rows=3)
    append = RegionWriter.append

    def stopping(self: RegionWriter, *row: object) -> None:
        if len(self) == 8:
            raise KeyboardInterrupt
        append(self, *row)  # type: ignore[arg-type]

    part = tmp_path / "part"
    with monkeypatch.context() as patch:
        patch.setattr(RegionWriter, "append", stopping)
        with pytest.raises(Interrupted, match="8 pictures are kept"):
            convert_tsv(tsv, part, shard_rows=3)
    convert_tsv(tsv, part, shard_rows=3)
    assert contents(part) == contents(tmp_path / "whole")


def test_a_finished_conversion_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tsv = write_tsv(tmp_path / "a.tsv", 3)
    convert_tsv(tsv, tmp_path / "r")
    with monkeypatch.context() as patch:
        patch.setattr(RegionWriter, "__enter__", None)
        assert len(convert_tsv(tsv, tmp_path / "r")) == 3
    write_tsv(tmp_path / "b.tsv", 4)
    with pytest.raises(DataError, match=r"source 'a\.tsv, .* not 'b\.tsv"):
        convert_tsv(tmp_path / "b.tsv", tmp_path / "r")
    assert len(RegionStore(tmp_path / "r")) == 3


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    tsv = write_tsv(tmp_path / "a.tsv", 300, regions=36, feature_size=256)
    assert tsv.stat().st_size > 14 << 20
    tracemalloc.start()
    convert_tsv(tsv, tmp_path / "r", shard_rows=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
