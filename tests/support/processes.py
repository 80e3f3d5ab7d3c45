"""Commands in processes of their own, and the files that they write."""

import subprocess
import time
from pathlib import Path

from safetensors.torch import load_file


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the process; return its exit code and output."""
    text, _ = process.communicate(timeout=300)
    return process.returncode, text


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the running process has made `path`."""
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.001)


def assert_same_file(found: Path, wanted: Path) -> None:
    """Files are equal to the byte; safetensors to the bit, as their metadata has no fixed order."""
    if found.suffix == ".safetensors":
        tensors, others = load_file(found), load_file(wanted)
        assert tensors.keys() == others.keys(), found
        assert all(tensor.equal(others[name]) for name, tensor in tensors.items()), found
    else:
        assert found.read_bytes() == wanted.read_bytes(), found
