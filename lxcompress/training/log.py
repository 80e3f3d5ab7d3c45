"""The losses of a training, as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

from lxcompress.system.files import atomic_path


class TrainingLog:
    """A log of losses with one JSON object a line, consistent across interruptions."""

    def __init__(self, path: Path) -> None:
        """Log to `path`, which may exist already."""
        self.path = path

    def rewind(self, step: int) -> None:
        """Delete the lines after `step`, the step from which training continues."""
        lines = self.path.read_bytes().splitlines() if self.path.is_file() else []
        # A killed process may leave a last line half-written; it is later than the checkpoint.
        kept = [line.decode() for line in lines if _is_until(line, step)]
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept))

    def __call__(self, step: int, learning_rate: float, loss: float) -> None:
        """Append the loss of one step."""
        line = json.dumps({"step": step, "learning_rate": learning_rate, "loss": loss})
        with self.path.open("a") as file:
            file.write(line + "\n")


def _is_until(line: bytes, step: int) -> bool:
    """Whether a line is a whole entry of a step up to `step`; a damaged one is of none."""
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
