"""Install a package of npm at a locked version, and run the commands of Node.js."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lxcompress.errors import LxcompressError
from lxcompress.system.files import temporary_name

LOCK = ("package.json", "package-lock.json")


def install_locked(source: Path, parent: Path, name: str, files: Sequence[str] = LOCK) -> Path:
    """Install what `source`'s package-lock.json locks in `parent`, whole or not at all.

    Return its folder, NAME-DIGEST, with copies of `files`; other files get another folder.

    Raises:
        LxcompressError: npm is missing, or cannot install the package.
    """
    digest = hashlib.sha256(b"".join((source / file).read_bytes() for file in files))
    folder = parent / f"{name}-{digest.hexdigest()[:12]}"
    if folder.exists():
        return folder
    work = temporary_name(folder)
    work.mkdir(parents=True)
    try:
        for file in files:
            shutil.copyfile(source / file, work / file)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        run_command(["npm", "ci", *options], work)
        work.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def run_command(command: list[str], folder: Path) -> str:
    """Run a command in `folder` and return what it prints.

    Raises:
        LxcompressError: it is missing or fails; with the first line that names an error.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError as problem:
        raise LxcompressError(f"{command[0]} cannot be run: {problem.strerror}") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        reason = (errors or lines or [f"exit code {done.returncode}"])[0]
        raise LxcompressError(f"{' '.join(command[:2])} failed: {reason}")
    return done.stdout
