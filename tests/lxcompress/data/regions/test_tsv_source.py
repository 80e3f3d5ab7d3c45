"""TSV files that are packed or piped; what cannot be read says why."""

import base64
import gzip
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from shared import SHARED

from lxcompress.data.regions import tsv_source
from lxcompress.data.regions.lxmert_tsv import convert_tsv
from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.tsv_source import STANDARD_INPUT, open_tsv
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import ConfigError, DataError, Interrupted

CASE = SHARED / "cases" / "case-11"


def row(number: int, value: float = 0.5) -> bytes:
    """A row of the six columns."""
    box = np.tile(np.array([30, 20, 150, 200], np.float32), (2, 1))
    features = np.full((2, 4), number + value, np.float32)
    encoded = [base64.b64encode(array.tobytes()) for array in (box, features)]
    return b"\t".join([b"%d" % number, b"300", b"200", b"2", *encoded]) + b"\n"


ROWS = [row(number) for number in range(1, 12)]
CONTENT = b"".join(ROWS)


def write_zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__dot__", ".").replace("__slash__", "/"), content)
    return path


def write_packed(folder: Path, kind: str) -> Path:
    path = folder / f"features.{kind}"
    if kind == "zip":
        return write_zip(path, features__dot__tsv=CONTENT, __MACOSX__slash____dot___x=b"x")
    path.write_bytes(gzip.compress(CONTENT) if kind == "gz" else CONTENT)
    return path


def assert_complete(store: RegionStore) -> None:
    assert store.image_ids == [str(number) for number in range(1, 12)]
    batch = store.gather(store.image_ids)
    np.testing.assert_array_equal(batch.features[:, 0, 0], np.arange(1, 12) + 0.5)
    np.testing.assert_allclose(batch.boxes[0, 0], [0.1, 0.1, 0.5, 1.0])


@pytest.mark.parametrize("kind", ["tsv", "gz", "zip"])
def test_packed_files_and_their_continuation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path, append = write_packed(tmp_path, kind), RegionWriter.append

    def stopping(self: RegionWriter, *values: object) -> None:
        if len(self) == 7:
            raise KeyboardInterrupt
        append(self, *values)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RegionWriter, "append", stopping)
        with pytest.raises(Interrupted, match="7 pictures are kept"):
            convert_tsv(path, tmp_path / "r", shard_rows=3)
    assert_complete(convert_tsv(path, tmp_path / "r", shard_rows=3))
    assert_complete(convert_tsv(path, tmp_path / "r", shard_rows=3))


def pipe(content: bytes, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lxcompress", "data", "convert", "-", "--output", str(output)]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def test_standard_input(tmp_path: Path) -> None:
    done = pipe(gzip.compress(CONTENT), tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert "regions of 11 pictures" in done.stdout
    assert_complete(RegionStore(tmp_path / "r"))
    again = pipe(CONTENT, tmp_path / "r")
    assert again.returncode == 2 and "has regions already" in again.stderr


class Input:
    """A standard input of some bytes."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        self.buffer, self._terminal = io.BytesIO(content), terminal

    def isatty(self) -> bool:
        return self._terminal


def test_a_stream_is_continued_by_comparing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = b"".join(ROWS[:5]) + b"cut off"
    monkeypatch.setattr(sys, "stdin", Input(broken))
    with pytest.raises(DataError, match="standard input, line 6: 1 columns"):
        convert_tsv(STANDARD_INPUT, tmp_path / "r", shard_rows=3)
    monkeypatch.setattr(sys, "stdin", Input(ROWS[0] + row(2, 0.75) + CONTENT))
    with pytest.raises(DataError, match="line 2: picture '2' appears twice, with different"):
        convert_tsv(STANDARD_INPUT, tmp_path / "r", shard_rows=3)
    monkeypatch.setattr(sys, "stdin", Input(CONTENT))
    assert_complete(convert_tsv(STANDARD_INPUT, tmp_path / "r", shard_rows=3))
    assert not sys.stdin.buffer.closed
    monkeypatch.setattr(sys, "stdin", Input(b"", terminal=True))
    with pytest.raises(ConfigError, match="none is piped here"):
        convert_tsv(STANDARD_INPUT, tmp_path / "other")


def test_equal_rows_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(CONTENT + b"\n" + ROWS[1] + ROWS[10])
    assert_complete(convert_tsv(path, tmp_path / "r", shard_rows=3))
    path.write_bytes(CONTENT + row(2, 0.75))
    with pytest.raises(DataError, match="line 12: picture '2' appears twice, with different"):
        convert_tsv(path, tmp_path / "other", shard_rows=3)


def test_archives_that_are_not_one_tsv(tmp_path: Path) -> None:
    two = write_zip(tmp_path / "two.zip", a=CONTENT, b=CONTENT)
    none = write_zip(tmp_path / "none.zip")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(two.read_bytes()[:100])
    cut_gz = tmp_path / "cut.gz"
    cut_gz.write_bytes(gzip.compress(CONTENT)[:-20])
    others = {
        "a.bz2": (b"BZh91AY", "packed by bzip2"),
        "a.xz": (b"\xfd7zXZ\0", "packed by xz"),
        "utf16.tsv": ("1\t2".encode("utf-16"), "UTF-16, save it as UTF-8"),
    }
    for name, (content, _) in others.items():
        (tmp_path / name).write_bytes(content)
    expected = {two: r"zip file has 2 files \(a, b", none: "zip file has 0 files, expected one"}
    expected |= {cut: "cannot be unpacked", cut_gz: "line 1.*: cannot be unpacked or read"}
    expected |= {tmp_path / name: message for name, (_, message) in others.items()}
    expected |= {tmp_path: "Is a directory", tmp_path / "absent": "TSV file not found"}
    for path, message in expected.items():
        with pytest.raises(DataError, match=message):
            convert_tsv(path, tmp_path / "r" / path.name)
        assert not (tmp_path / "r" / path.name / "index.json").exists()


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_a_file_made_to_unpack_to_very_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tsv_source, "_EXPANSION_FROM", 1 << 20)
    blank, path = b"\n" * (4 << 20), tmp_path / "bomb"
    if kind == "gz":
        path.write_bytes(gzip.compress(blank, 9))
    else:
        write_zip(path, a=blank)
    with open_tsv(path) as source, pytest.raises(DataError, match="unpacks to more than 200 times"):
        while source.read_line():
            pass


@pytest.mark.skipif(not CASE.exists(), reason="the cases are not here")
@pytest.mark.parametrize(
    "name",
    ["ok.tsv.gz", "ok.zip", "blank_end.tsv", "blank_mid.tsv", "bom.tsv", "header.tsv"]
    + ["six.tsv", "bytesrepr.tsv", "quoted.tsv", "crcrlf.tsv"],
)
def test_files_of_the_cases_give_the_same_regions(tmp_path: Path, name: str) -> None:
    plain = convert_tsv(CASE / "ok.tsv", tmp_path / "plain")
    found = convert_tsv(CASE / name, tmp_path / "found")
    assert found.image_ids == plain.image_ids
    expected, batch = plain.gather(plain.image_ids), found.gather(plain.image_ids)
    np.testing.assert_array_equal(batch.features, expected.features)
    np.testing.assert_array_equal(batch.boxes, expected.boxes)
