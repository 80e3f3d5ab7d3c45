"""A run directory: the name of every artefact, and whose it is.

config.json             effective settings; first thing written, says whose the folder is
theta0/                 θ0: start weights (Hugging Face model folder, as are the next two)
dense/                  fine-tuned without a mask
ticket/                 fine-tuned from θ0 under ticket/mask.safetensors
predictions/            answers of the dense model and the ticket, as the EvalAI server takes them
logs/                   losses
result.json             what came out; last thing written, says that the run is finished
onnx/  bench/           made by `lxcompress export` and `lxcompress bench`
work/                   what an unfinished run needs to continue; removed at the end
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lxcompress.errors import RunError
from lxcompress.system.files import locked, read_json, write_json

# How a run is computed on this machine but not what it computes.
_FREE_SETTINGS = {"workers", "tensorboard"}
_SETTINGS_OF_A_RUN = {"data", "sparsity", "subnetwork"}


class Run:
    """Artefacts of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.json"
        self.theta0 = folder / "theta0"
        self.dense = folder / "dense"
        self.ticket = folder / "ticket"
        self.mask = self.ticket / "mask.safetensors"
        self.result = folder / "result.json"
        self.onnx = folder / "onnx"
        self.bench = folder / "bench"
        self.logs = folder / "logs"
        self.work = folder / "work"
        self.late = self.work / "late"
        self.lock = folder / ".lock"
        self._deleted = folder / ".deleted"

    def checkpoint(self, stage: str) -> Path:
        """Where training of `stage` ("dense", "ticket", "round-1"…) can continue."""
        return self.work / f"{stage}.checkpoint.safetensors"

    def log(self, stage: str) -> Path:
        """Losses of `stage`, one JSON object a line."""
        return self.logs / f"{stage}.jsonl"

    def predictions(self, stage: str) -> Path:
        """Answers of the "dense" model or the "ticket" on the validation split: a result file."""
        return self.folder / "predictions" / f"{stage}.json"

    def retrained(self, stage: str) -> Path:
        """What training under a mask makes: the ticket, or a round of the iterative schedule."""
        return self.ticket if stage == "ticket" else self.work / stage

    @contextmanager
    def claim(
        self, settings: dict[str, Any], *, force: bool = False, patience: float = 0
    ) -> Iterator[None]:
        """Own the folder while the block runs; continue what an equal run left there.

        Raises RunError when it holds another run (unless `force`, which removes that first), is
        no run at all, or another process works in it for `patience` seconds more.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"--output {self.folder} is a file")
        if not force:
            self._check_owner(settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        busy = f"another process is working in {self.folder}"
        with locked(self.lock, busy, patience):
            shutil.rmtree(self._deleted, ignore_errors=True)
            if force and self.config.exists():
                self._check_owner(None)
                self._clear()
            self._check_owner(settings)
            write_json(self.config, settings)
            yield

    def _clear(self) -> None:
        # Moved, then deleted, so that a kill leaves nothing half-deleted; θ0 and config.json last,
        # so that until then the folder is known to be the old run's.
        last = [self.theta0, self.config]
        self._deleted.mkdir()
        rest = set(self.folder.iterdir()) - {self.lock, self._deleted, *last}
        for path in [*rest, *last]:
            if path.exists():
                path.replace(self._deleted / path.name)
        shutil.rmtree(self._deleted)

    def _check_owner(self, settings: dict[str, Any] | None) -> None:
        """RunError unless the folder is new, or a run (that of `settings` where they are given)."""
        # Hidden are the lock and what a killed process left half-written.
        if not self.folder.is_dir() or all(p.name.startswith(".") for p in self.folder.iterdir()):
            return
        found = self.settings() if self.config.exists() else None
        # A model folder has a config.json too.
        if not isinstance(found, dict) or not found.keys() >= _SETTINGS_OF_A_RUN:
            raise RunError(
                f"{self.folder} has files in it but is no run directory; choose another --output"
            )
        if settings is None or not self.theta0.exists():
            return  # nothing was made yet: a first try with other settings failed early
        difference = first_difference(found, settings)
        if difference:
            raise RunError(
                f"{self.folder} belongs to another run ({difference}); choose another --output, "
                "or --force to delete it"
            )

    def tidy(self) -> None:
        """Remove what only an unfinished run needs."""
        if self.work.exists():
            shutil.rmtree(self.work)

    def settings(self) -> dict[str, Any]:
        """The settings that the folder was made with; RunError where there are none."""
        if not self.config.exists():
            raise RunError(f"{self.folder} is no run directory: it has no config.json")
        return read_json(self.config, "run configuration", RunError)

    def once_path(self, name: str) -> Path:
        """Where `once` keeps the value of a finished step."""
        return self.work / f"{name}.json"

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The JSON value of a finished step; made by `make` and kept when it is not there yet."""
        path = self.once_path(name)
        if not path.exists():
            write_json(path, make())
        return read_json(path, "intermediate result", RunError)


def first_difference(found: dict[str, Any], settings: dict[str, Any]) -> str | None:
    """The first setting, in words, in which what is `found` would compute something else."""
    for name in sorted((found.keys() | settings.keys()) - _FREE_SETTINGS):
        if found.get(name) != settings.get(name):
            return f"{name} is {found.get(name)} there and {settings.get(name)} here"
    return None
