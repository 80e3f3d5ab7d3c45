"""Training curves for TensorBoard, through accelerate's trackers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import Accelerator

from lxcompress.training.log import TrainingLog


@contextmanager
def training_log(path: Path, accelerator: Accelerator, name: str) -> Iterator[TrainingLog]:
    """Yield the log of one training, which writes JSON lines to `path`.

    Where the accelerator has trackers (`make_accelerator(..., tensorboard=FOLDER)`), the losses
    are also written to them, under `name`.
    """
    if not accelerator.log_with:
        yield TrainingLog(path)
        return
    try:
        yield _TrackedLog(path, accelerator, name)
    finally:
        accelerator.end_training()
        accelerator.trackers.clear()  # otherwise the next training would log to these too


class _TrackedLog(TrainingLog):
    def __init__(self, path: Path, accelerator: Accelerator, name: str) -> None:
        super().__init__(path)
        self._accelerator, self._name = accelerator, name

    def rewind(self, step: int) -> None:
        super().rewind(step)
        # Makes TensorBoard drop what a killed process logged after its last checkpoint.
        purge = {"tensorboard": {"purge_step": step + 1}}
        self._accelerator.init_trackers(self._name, init_kwargs=purge)

    def __call__(self, step: int, learning_rate: float, loss: float) -> None:
        super().__call__(step, learning_rate, loss)
        self._accelerator.log({"loss": loss, "learning rate": learning_rate}, step)
