"""Run a command in a fork of this process, which has imported everything already."""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEMORY = 16 * 2**30  # bytes of address space


@dataclass(frozen=True)
class Outcome:
    """code: exit code; None if it ran past the time limit."""

    code: int | None
    out: str
    err: str
    seconds: float


def run_forked(arguments: list[str], folder: Path, seconds: float) -> Outcome:
    """Run `lxcompress` with these arguments in `folder`; its output goes to files beside it."""
    out, err = folder.parent / "stdout", folder.parent / "stderr"
    start = time.monotonic()
    process = os.fork()
    if process == 0:
        _be_the_command(arguments, folder, out, err)
    code = _wait(process, seconds)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # also what the command started and left behind
    if code is None:
        os.waitpid(process, 0)
    printed = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
    return Outcome(code, printed[0], printed[1], time.monotonic() - start)


def _wait(process: int, seconds: float) -> int | None:
    """The exit code, None after the limit; time in which the machine stood still does not count."""
    waited, before = 0.0, time.monotonic()
    while waited < seconds:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
        now = time.monotonic()
        waited, before = waited + min(now - before, 0.1), now
    return None


def _be_the_command(arguments: list[str], folder: Path, out: Path, err: Path) -> None:
    """Never return: end as the command's own process would."""
    code: object = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        for descriptor, path in ((1, out), (2, err)):
            os.dup2(os.open(path, flags), descriptor)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8", line_buffering=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), encoding="utf-8", line_buffering=True)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.argv = ["lxcompress", *arguments]
        from lxcompress.cli.main import main

        main()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
