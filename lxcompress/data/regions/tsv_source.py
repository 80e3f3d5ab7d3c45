"""Opens a TSV file for reading line by line: plain, gzip, zip, or a stream such as standard input.

The format is recognised by the first bytes, since people name files as they like.
"""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from lxcompress.errors import ConfigError, DataError
from lxcompress.system.files import check_regular
from lxcompress.system.text import printable_path

STANDARD_INPUT = Path("-")
LONGEST_LINE = 64 << 20  # bytes; a row of 36 regions is 0.4 MB
MEGABYTE = 1_000_000

# Base64 of floats shrinks to a half or a third. What grows more than this, past a size that a
# test's zeros do not reach, is made to fill memory or time.
_MOST_EXPANSION = 200
_EXPANSION_FROM = 1 << 30

_GZIP, _ZIP, _UTF16 = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), (b"\xff\xfe", b"\xfe\xff")
_OTHER_PACKERS = {
    b"BZh": "bzip2 (unpack it with `bunzip2`)",
    b"\xfd7zX": "xz (unpack it with `unxz`)",
    b"\x28\xb5\x2f\xfd": "Zstandard (unpack it with `unzstd`)",
    b"7z\xbc\xaf": "7-Zip (unpack it with `7z x`)",
}
_DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


class TsvSource:
    """The lines of a TSV file.

    name: for messages; identity: by which a folder of regions knows its source; megabytes: the
    file's size as it lies on the disk, None for a stream.
    """

    def __init__(
        self, name: str, file: IO[bytes], raw: IO[bytes], size: int | None, packed: bool
    ) -> None:
        self.name, self._file, self._raw, self._size, self._packed = name, file, raw, size, packed
        self.position = 0  # bytes, unpacked

    @property
    def identity(self) -> str:
        return self.name if self._size is None else f"{self.name}, {self._size} bytes"

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once only, so that an interrupted reader begins at the start."""
        return self._size is None

    @property
    def megabytes(self) -> int | None:
        return None if self._size is None else self._size // MEGABYTE

    @property
    def megabytes_read(self) -> int:
        """How much of the file on the disk is read."""
        return (self._consumed if self._packed else self.position) // MEGABYTE

    @property
    def _consumed(self) -> int:
        """Bytes read of a packed file; of a packed stream, which cannot tell, the unpacked ones."""
        return self.position if self._size is None else self._raw.tell()

    def read_line(self) -> bytes:
        """The next line with its ending; b"" at the end.

        Raises:
            DataError: it is longer than 64 MB, or the file is damaged or grows suspiciously.
        """
        try:
            line = self._file.readline(LONGEST_LINE)
        except _DAMAGED as problem:
            raise DataError(f"cannot be unpacked or read ({problem}): get it again") from None
        self.position += len(line)
        if len(line) == LONGEST_LINE:
            raise DataError("longer than 64 MB; this is not one of LXMERT's TSV files")
        if self._packed and self.position > max(_EXPANSION_FROM, _MOST_EXPANSION * self._consumed):
            raise DataError(
                f"the file unpacks to more than {_MOST_EXPANSION} times its size; unpack it "
                "yourself if it is what you expect"
            )
        return line

    def seek(self, position: int) -> None:
        """Continue at a position that an earlier reader had reached; not for streams."""
        try:
            self._file.seek(position)
        except _DAMAGED as problem:
            raise DataError(f"cannot be unpacked or read ({problem}): get it again") from None
        self.position = position


@contextmanager
def open_tsv(path: Path) -> Iterator[TsvSource]:
    """Open a TSV file, also one packed by gzip or zip (of one file); `-` is standard input.

    Raises:
        DataError: it is missing, packed in another way, or no text in UTF-8.
        ConfigError: standard input is a terminal.
    """
    with ExitStack() as stack:
        if path == STANDARD_INPUT:
            name, size = "standard input", None
            raw: io.BufferedReader = _standard_input(stack)
        else:
            name, size = printable_path(path.name), None
            raw = stack.enter_context(_open(path))
            if path.is_file():
                size = path.stat().st_size
        start = raw.peek(4)[:4]
        for magic, packer in _OTHER_PACKERS.items():
            if start.startswith(magic):
                raise DataError(f"TSV file is packed by {packer}: {printable_path(path)}")
        if start.startswith(_UTF16):
            raise DataError(f"TSV file is UTF-16, save it as UTF-8: {printable_path(path)}")
        if start.startswith(_GZIP):
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=raw))
            yield TsvSource(name, cast(IO[bytes], unpacked), raw, size, packed=True)
        elif start.startswith(_ZIP):
            if size is None:
                raise DataError(f"{name} is a zip file, which must lie on the disk: give its path")
            yield TsvSource(name, stack.enter_context(_member(raw, path)), raw, size, packed=True)
        else:
            yield TsvSource(name, raw, raw, size, packed=False)


def _standard_input(stack: ExitStack) -> io.BufferedReader:
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError("- reads standard input, but none is piped here: give a file's path")
    # Another buffer, since not every standard input can be peeked into; it must not close it.
    reader: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    stack.callback(reader.detach)
    return reader


def _open(path: Path) -> io.BufferedReader:
    check_regular(path)
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"TSV file not found: {printable_path(path)}") from None
    except OSError as problem:
        raise DataError(f"TSV file: {problem.strerror}: {printable_path(path)}") from None


def _member(raw: BinaryIO, path: Path) -> IO[bytes]:
    """The one file of a zip file, but for what macOS adds."""
    try:
        archive = zipfile.ZipFile(raw)
        members = [
            entry
            for entry in archive.infolist()
            if not entry.is_dir()
            and not entry.filename.startswith("__MACOSX/")
            and not Path(entry.filename).name.startswith(".")
        ]
        if len(members) != 1:
            names = ", ".join(printable_path(entry.filename) for entry in members[:3])
            raise DataError(
                f"zip file has {len(members)} files{names and f' ({names} …)'}, expected one TSV: "
                f"unpack it and convert each: {printable_path(path)}"
            )
        return archive.open(members[0])
    except _DAMAGED as problem:
        raise DataError(
            f"zip file cannot be unpacked ({problem}): {printable_path(path)}"
        ) from None
