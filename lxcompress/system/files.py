"""Reading and writing files so that nothing is ever left half-written."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lxcompress.errors import DataError, LxcompressError, RunError
from lxcompress.system.text import find_lone_surrogate

_TEMPORARY = ".tmp-"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block succeeds.

    The block creates a file or a folder under the temporary name. When the block fails, what it
    wrote is deleted and `path` is unchanged.

    Raises:
        LxcompressError: `path` is a folder already (which cannot be replaced in one step), or the
            disk is full.
    """
    if path.is_dir():
        raise LxcompressError(f"cannot write {path}: there is a folder of that name")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    except Exception as problem:
        # safetensors and tokenizers report a full disk in their message only.
        full = getattr(problem, "errno", None) == errno.ENOSPC or "os error 28" in str(problem)
        if not full:
            raise
        raise LxcompressError(
            f"no space left on the disk while writing {path}; free some, then run the same "
            "command again"
        ) from problem
    finally:
        _remove(temporary)


@contextmanager
def locked(lock: Path, busy: str, patience: float = 0) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Raises:
        RunError: with the message `busy`, when another process holds it for more than `patience`
            seconds.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=patience)
    except Timeout:
        raise RunError(busy) from None
    try:
        yield
    finally:
        held.release()


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside `path` that contains the process id."""
    return path.parent / f".{path.name}{_TEMPORARY}{os.getpid()}"


def remove_leftovers(path: Path) -> None:
    """Delete what killed processes left under temporary names of `path`."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}{_TEMPORARY}*"):
        owner = leftover.name.rpartition(_TEMPORARY)[2]
        if not (owner.isdigit() and _is_running(int(owner))):
            _remove(leftover)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # an earlier attempt in this process, already abandoned
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def check_regular(path: Path, error: type[LxcompressError] = DataError) -> None:
    """Raise `error` for a pipe, a socket or a device, where reading could wait for ever.

    A missing path passes, as opening it says more. So do the standard input and what a shell gives
    by number (`<(...)`), which somebody writes to.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    is_shells = path.is_relative_to("/dev/fd") or path == Path("/dev/stdin")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or is_shells):
        raise error(f"{path} is a pipe, a socket or a device; give a file")


def read_text(path: Path) -> str:
    """Read a text file that a user may have written: UTF-8, with or without a byte order mark.

    Raises:
        OSError: the file is missing or cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    return Path(path).read_text(encoding="utf-8-sig")


def read_json(
    path: Path,
    what: str,
    error: type[LxcompressError] = DataError,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Read a JSON file; `what` names it in messages ("questions file", "result file").

    Raises:
        error: the file is missing, no regular file, cannot be read, is truncated, is not JSON, or
            has a lone surrogate, which can neither be tokenized nor written.
    """
    check_regular(path, error)
    try:
        text = read_text(path)
        value = json.loads(text, object_hook=object_hook)
    except FileNotFoundError:
        raise error(f"{what} not found: {path}") from None
    except IsADirectoryError:
        raise error(f"{what} expected, but this is a folder: {path}") from None
    except UnicodeDecodeError:
        raise error(f"{what} is not UTF-8 text: {path}") from None
    except json.JSONDecodeError as problem:
        raise error(f"{what} is {_not_json(problem)}: {path}") from None
    except RecursionError:
        raise error(f"{what} is nested too deeply: {path}") from None
    except ValueError as problem:  # a number of thousands of digits
        raise error(f"{what} is not valid JSON ({problem}): {path}") from None
    except OSError as problem:
        raise error(f"{what} cannot be read: {path} ({problem.strerror})") from None
    if surrogate := find_lone_surrogate(text):
        raise error(f"{what} has {surrogate}; remove or complete it: {path}")
    return value


def _not_json(problem: json.JSONDecodeError) -> str:
    """Why a text is no JSON, as far as it can be told: it is empty, another format, or cut off."""
    text = problem.doc.strip()
    if not text:
        return "not valid JSON (truncated? the file is empty)"
    place = f"at line {problem.lineno}, column {problem.colno}"
    if text.startswith("<"):
        return f"not valid JSON but HTML or XML {place} (an error page in its place?)"
    if text.startswith("version https://git-lfs"):
        return f"not valid JSON but a Git LFS pointer {place}: fetch the file with `git lfs pull`"
    if problem.msg == "Extra data":
        return f"not valid JSON: more text follows a whole value {place} (JSON Lines?)"
    cut_off = problem.pos >= len(problem.doc.rstrip()) or problem.msg.startswith("Unterminated")
    return f"not valid JSON ({'truncated?' if cut_off else problem.msg}) {place}"


def lies_beside(path: Path, model: Path) -> bool:
    """Return whether `path` is a file of the same folder as `model`, links considered.

    Hugging Face's cache keeps a model's folder as links into one folder of blobs. So a link counts
    where it leads to the folder that the link `model` leads to; any other could give away, or
    read, what is not part of the model.
    """
    return path.resolve().parent in (model.parent.resolve(), model.resolve().parent)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
