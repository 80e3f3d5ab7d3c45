"""Files are written whole or not at all."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from lxcompress.errors import ConfigError, DataError, LxcompressError
from lxcompress.system.files import atomic_path, read_json, remove_leftovers, sha256, write_json


@pytest.fixture(scope="module")
def dead_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == path.parent  # a rename must not cross file systems
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "a").touch()
        assert not (tmp_path / "folder").exists()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["a"]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, PermissionError])
@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_all_as_it_was(
    problem: type[BaseException], folder: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(problem), atomic_path(path) as temporary:
        if folder:
            temporary.mkdir()
            temporary = temporary / "inside"
        temporary.write_text("new")
        raise problem
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
    ],
)
def test_a_full_disk(problem: Exception, tmp_path: Path) -> None:
    path = tmp_path / "model"
    with (
        pytest.raises(LxcompressError, match=rf"no space left on the disk while writing {path}"),
        atomic_path(path) as temporary,
    ):
        temporary.mkdir()
        (temporary / "half").write_text("half")
        raise problem
    assert not any(tmp_path.iterdir())


def test_a_really_full_disk() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError) as caught, full.open("w") as file:
        file.write("x")
    assert caught.value.errno == errno.ENOSPC  # as `atomic_path` takes it


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").touch()
    with (
        pytest.raises(LxcompressError, match="there is a folder of that name"),
        atomic_path(tmp_path / "taken"),
    ):
        raise AssertionError("must not get here")
    assert (tmp_path / "taken" / "mine").exists()


@pytest.mark.parametrize("name", ["model", "run[1]", "a*b?"])
def test_leftovers_of_killed_processes(name: str, dead_process: int, tmp_path: Path) -> None:
    path = tmp_path / name
    dead = tmp_path / f".{name}.tmp-{dead_process}"
    dead.mkdir()
    (dead / "half").touch()
    running = tmp_path / f".{name}.tmp-{os.getppid()}"
    others = [running, tmp_path / f".{name}2.tmp-{dead_process}", tmp_path / f"{name}.tmp-1"]
    for other in others:
        other.touch()
    remove_leftovers(path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
    dead.touch()
    write_json(path, 1)
    assert sorted(tmp_path.iterdir()) == sorted([*others, path])


def test_json_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a" / "value.json"
    value = {"θ0": [1, 2.5, None, "ß"], "deep": {"er": True}}
    write_json(path, value)
    assert read_json(path, "value") == value
    assert "θ0" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError):
        write_json(path, float("nan"))
    assert read_json(path, "value") == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": [1, 2', "thing file is not valid JSON .* line 1, column 12"),
        (b"", "not valid JSON .*the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (
            b'{"a": 1}\n{"a": 2}\n',
            "more text follows a whole value at line 2, column 1 .JSON Lines",
        ),
        (b"<!DOCTYPE html><p>not found", "HTML or XML at line 1, column 1"),
        (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        (b"{'a': 1}", r"\(Expecting property name enclosed in double quotes\) at line 1, column 2"),
        (b'{"a": "', r"\(truncated\?\)"),
        (b'["a",\n "half \\ud83d"]', r"\\ud83d\) at line 2, column 8, after .*half"),
        (b'["\\ud83d\\ude00\\uDE00"]', r"\\uDE00\) at line 1, column 15"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[" * 20_000, "thing file is nested too deeply"),
        (b"1" * 5_000, "thing file is not valid JSON .*digits"),
        (None, "thing file not found"),
        ("folder", "thing file expected, but this is a folder"),
    ],
)
@pytest.mark.parametrize("error", [DataError, ConfigError])
def test_unreadable_json(
    content: bytes | str | None, message: str, error: type[LxcompressError], tmp_path: Path
) -> None:
    path = tmp_path / "value.json"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        read_json(path, "thing file", error)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1_000_000)
    assert sha256(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


@given(st.text(), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_any_text_is_read_with_or_without_a_byte_order_mark(
    text: str, marked: bool, escaped: bool, ending: str
) -> None:
    content = json.dumps({"key": [text]}, ensure_ascii=escaped, indent=1).replace("\n", ending)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "value.json"
        path.write_bytes(content.encode("utf-8-sig" if marked else "utf-8"))
        assert read_json(path, "value") == {"key": [text]}
