"""Files that several folders share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lxcompress.system.files import atomic_path


def share(source: Path, target: Path) -> None:
    """Give a file or folder a second name, whole or not at all; `target` must not exist.

    Its files are hard links, so that they take no space: artefacts are replaced, never modified.
    """
    with atomic_path(target) as temporary:
        if source.is_dir():
            shutil.copytree(source, temporary, copy_function=_link)
        else:
            _link(source, temporary)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links, or another one
        shutil.copy2(source, target)
