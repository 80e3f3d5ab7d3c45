from __future__ import annotations

import json
from pathlib import Path

from lxcompress.system.files import atomic_path


class TrainingLog:
    """Losses as JSON lines, kept through a resume: one line for each step that is logged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Forget what was logged after `step`, the step that training continues from."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        # A killed process may leave its last line half-written; it is after the checkpoint.
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept))

    def __call__(self, step: int, learning_rate: float, loss: float) -> None:
        """Append one line."""
        line = json.dumps({"step": step, "learning_rate": learning_rate, "loss": loss})
        with self.path.open("a") as file:
            file.write(line + "\n")
