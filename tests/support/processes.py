"""Scripts in processes of their own, and the files that they write.

The processes are forked from one that has imported the libraries: importing PyTorch, Transformers
and Gradio takes longer than a tiny run does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path

import pytest
from safetensors.torch import load_file

COMMAND = "from lxcompress.cli.main import main\nmain()\n"  # as the script `lxcompress`


class Script:
    """Python code in a process of its own, with the methods of `subprocess.Popen`; Linux only.

    `arguments` are its `sys.argv[1:]`; `environment` is added to the environment. Standard output
    and standard error go to one file.
    """

    def __init__(
        self, code: str, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> None:
        descriptor, name = tempfile.mkstemp(prefix="lxcompress-script-")
        os.close(descriptor)
        self._output = Path(name)
        weakref.finalize(self, self._output.unlink)
        context = multiprocessing.get_context("forkserver")
        _ensure_server()
        self._process = context.Process(
            target=_execute,
            args=(
                code,
                list(map(str, arguments)),
                {**os.environ, **(environment or {})},
                Path.cwd(),
                self._output,
            ),
        )
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, or the negative number of a signal; None while the process runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def output(self) -> str:
        """What the process has written so far."""
        return self._output.read_text()

    def finish(self, timeout: float = 300) -> tuple[int, str]:
        """Wait for the process; return its exit code and output."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            self.kill()
            raise TimeoutError(f"after {timeout} s: {self.output()}")
        return code, self.output()


def _ensure_server() -> None:
    """Start the process to fork from, if it does not run; it finds the modules of the tests."""
    forkserver.set_forkserver_preload(["imported"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()


def _execute(
    code: str, arguments: list[str], environment: dict[str, str], folder: Path, output: Path
) -> None:
    # Processes that this one starts come from the same server; Python would start another.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None  # TMPDIR is read again
    sys.argv = ["lxcompress", *arguments]
    exec(compile(code, "script", "exec"), {"__name__": "__main__"})


def wait_for(path: Path, process: Script) -> None:
    """Wait until the running process has made `path`."""
    while not path.exists():
        assert process.poll() is None, process.output()
        time.sleep(0.001)


def assert_same_file(found: Path, wanted: Path) -> None:
    """Files are equal to the byte; safetensors to the bit, as their metadata has no fixed order."""
    if found.suffix == ".safetensors":
        tensors, others = load_file(found), load_file(wanted)
        assert tensors.keys() == others.keys(), found
        assert all(tensor.equal(others[name]) for name, tensor in tensors.items()), found
    else:
        assert found.read_bytes() == wanted.read_bytes(), found
