"""Output folders are tried before the work whose result they are to hold."""

import errno
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lxcompress.errors import ConfigError
from lxcompress.system.output_folder import check_writable, why_not_writable


@pytest.mark.parametrize("name", ["", "new", "a/b/c"])
def test_a_folder_that_can_be_written_to(name: str, tmp_path: Path) -> None:
    check_writable("--output", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path(), Path("new"), Path("a/b")):
        assert why_not_writable(folder) is None


@pytest.mark.parametrize("name", ["file", "file/new"])
def test_a_file_is_no_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = f"--output {tmp_path / name} cannot be written to ({tmp_path / 'file'} is a file)"
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_writable("--output", tmp_path / name)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_cannot_be_written_to(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    message = f"--output .*new cannot be written to \\({tmp_path}: no\\); choose another folder"
    with pytest.raises(ConfigError, match=message):
        check_writable("--output", tmp_path / "new")


def test_a_file_system_of_the_kernel() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("needs Linux")
    assert "/proc: " in (why_not_writable(Path("/proc/new")) or "")
