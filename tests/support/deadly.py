"""A process that kills itself at a named moment; for scripts that tests run."""

import os
import signal
from pathlib import Path

replace = Path.replace


def die_at(moment: str) -> None:
    """Die "before" or "after" the n-th time that something is put in the place of that name.

    `moment` is e.g. "before 1 theta0".
    """
    when, count, wanted = moment.split()
    left = int(count)

    def deadly(self: Path, target: str | os.PathLike[str]) -> Path:
        nonlocal left
        found = Path(target).name == wanted
        left -= found
        if found and left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        moved = replace(self, target)
        if found and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return moved

    Path.replace = deadly  # type: ignore[assignment, method-assign]
