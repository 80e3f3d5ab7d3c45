"""A run directory: the name of every artefact, and which run owns the folder.

config.json             effective settings; written first, identifies the run
theta0/                 θ0: start weights (Hugging Face model folder, as are the next two)
dense/                  fine-tuned without a mask
ticket/                 fine-tuned from θ0 under ticket/mask.safetensors
predictions/            answers of the dense model, its control and the ticket (EvalAI's format)
logs/                   training losses
result.json             accuracies, sparsities, sizes; written last, marks the run as finished
onnx/  bench/           written by `lxcompress export` and `lxcompress bench`
work/                   what an unfinished run needs to continue; deleted at the end
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxcompress.config import EMBEDDED_DATA, PruneConfig, first_difference
from lxcompress.errors import ConfigError, DataError, RunError
from lxcompress.model.folder import MASK_FILE, MODEL_CONFIG
from lxcompress.result import RunResult
from lxcompress.system.files import locked, read_json, write_json
from lxcompress.system.shell import lxcompress_command

if TYPE_CHECKING:
    from lxcompress.data.dataset import Dataset


CONTROL_STAGE = "control-"
_SETTINGS_OF_A_RUN = {"data", "sparsity", "subnetwork"}


class Run:
    """The artefacts of the run in `folder`, whether they exist yet or not."""

    def __init__(self, folder: Path) -> None:
        """Name the artefacts; nothing is read or written."""
        self.folder = folder
        self.config = folder / "config.json"
        self.theta0 = folder / "theta0"
        self.dense = folder / "dense"
        self.ticket = folder / "ticket"
        self.mask = self.ticket / MASK_FILE
        self.result = folder / "result.json"
        self.onnx = folder / "onnx"
        self.bench = folder / "bench"
        self.logs = folder / "logs"
        self.work = folder / "work"
        self.late = self.work / "late"
        self.source = self.work / "source"
        self.lock = folder / ".lock"
        self._deleted = folder / ".deleted"

    @classmethod
    def open_finished(cls, folder: Path) -> Run:
        """Open a finished run.

        Raises:
            RunError: the folder is not a run directory, its ticket is not finished, or a model
                was deleted from it.
        """
        run = cls(folder)
        if not run.exists():
            hint = run._run_around() or "; `lxcompress prune` makes one"
            raise RunError(f"{folder} is not a run directory{hint}")
        if not run.is_finished():
            raise RunError(
                f"{folder} has no finished ticket; "
                f"`{lxcompress_command('prune', '--resume', folder)}` finds it"
            )
        for model in (run.dense, run.ticket):
            if not (model / MODEL_CONFIG).exists():
                raise RunError(f"{folder} is incomplete: {model} is no longer a model folder")
        return run

    def exists(self) -> bool:
        """Return whether the folder holds a run, finished or not."""
        return self.theta0.is_dir()

    def is_finished(self) -> bool:
        """Return whether the run has ended with a result."""
        return self.result.is_file()

    def check_sparse(self) -> None:
        """Check that the ticket is sparse.

        Raises:
            RunError: the mask was not enforced in its training, or the settings are damaged.
        """
        if not self.read_config().enforce_mask:
            raise RunError(
                f"{self.folder} was made with --no-enforce-mask: its pruned weights grew back, "
                "there is no sparse ticket to export; give another run"
            )

    def read_result(self) -> RunResult:
        """Return what `result.json` says; raise RunError when it is missing or damaged."""
        return RunResult.read(self.result)

    def checkpoint(self, stage: str) -> Path:
        """Return where the training of `stage` ("dense", "ticket", "round-1"…) can continue."""
        return self.work / f"{stage}.checkpoint.safetensors"

    def log(self, stage: str) -> Path:
        """Return the losses of `stage`, one JSON object a line."""
        return self.logs / f"{stage}.jsonl"

    def predictions(self, stage: str) -> Path:
        """Return the answers of "dense", "ticket" or "control-1"… on the validation split."""
        return self.folder / "predictions" / f"{stage}.json"

    def dense_artefacts(self) -> list[Path]:
        """Return what steps 1 and 2 leave, θ0 first; runs of equal settings and seed share it."""
        return [
            self.theta0,
            self.dense,
            self.predictions("dense"),
            self.log("dense"),
            self.late,
            *(self.once_path(name) for name in ("dense", "metric", "dataset")),
        ]

    def stage_mask(self, stage: str) -> Path:
        """Return the mask that `stage` is to be trained under, found by step 3."""
        return self.work / f"{stage}.{MASK_FILE}"

    def retrained(self, stage: str) -> Path:
        """Return the folder of the ticket, or of a round of the iterative schedule."""
        return self.ticket if stage == "ticket" else self.work / stage

    @contextmanager
    def claim(
        self, settings: dict[str, Any], *, force: bool = False, patience: float = 0
    ) -> Iterator[None]:
        """Own the folder while the block runs, and continue the run of equal settings in it.

        Args:
            settings: the effective settings, by option name.
            force: delete a run that is already there.
            patience: seconds to wait for another process that works in the folder.

        Raises:
            RunError: the folder holds another run (and not `force`), something that is not a
                run, or another process works in it.
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
        # Moved, then deleted, so that a kill leaves nothing half-deleted. θ0 and config.json go
        # last: until then the folder is recognised as the old run's.
        last = [self.theta0, self.config]
        self._deleted.mkdir()
        rest = set(self.folder.iterdir()) - {self.lock, self._deleted, *last}
        for path in [*rest, *last]:
            if path.exists():
                path.replace(self._deleted / path.name)
        shutil.rmtree(self._deleted)

    def _check_owner(self, settings: dict[str, Any] | None) -> None:
        """Raise RunError unless the folder is new, or a run (of `settings`, where given)."""
        # Hidden files are the lock and what a killed process left half-written.
        if not self.folder.is_dir() or all(p.name.startswith(".") for p in self.folder.iterdir()):
            return
        found = self._settings()
        if found is None:
            raise RunError(
                f"{self.folder} has files in it but is not a run directory; choose another --output"
            )
        if settings is None or not self.theta0.exists():
            return  # nothing was made yet: an earlier attempt with other settings failed at once
        difference = first_difference(found, settings)
        if difference:
            raise RunError(
                f"{self.folder} belongs to another run ({difference}); choose another --output, "
                "or --force to delete it"
            )

    def tidy(self) -> None:
        """Delete what only an unfinished run needs."""
        if self.work.exists():
            shutil.rmtree(self.work)

    def settings(self) -> dict[str, Any]:
        """Return the settings that the folder was made with; raise RunError without any."""
        found = self._settings()
        if found is None:
            has = "a model's" if self.config.exists() else "no"
            raise RunError(
                f"{self.folder} is not a run directory: it has {has} {self.config.name}"
                f"{self._run_around()}"
            )
        return found

    def open_dataset(self) -> Dataset:
        """Open the data of the run.

        Raises:
            RunError: the folder is not a run directory, or is damaged.
            DataError: the data are gone, or as `check_dataset`.
        """
        from lxcompress.data.dataset import open_dataset  # heavy

        data = self.read_config().data
        if data != EMBEDDED_DATA and not Path(data).exists():
            raise DataError(
                f"{data}, the data that the run in {self.folder} was made with, is gone; put it "
                "back, or a link to where it is now"
            )
        dataset = open_dataset(data)
        self.check_dataset(dataset)
        return dataset

    def check_dataset(self, dataset: Dataset) -> None:
        """Check that figures measured on a dataset can be compared with those of the run.

        Raises:
            DataError: the run was made with other questions, answers or regions.
        """
        if self.is_finished():
            recorded = self.read_result().dataset.fingerprint
        elif self.once_path("dataset").exists():
            recorded = read_json(self.once_path("dataset"), "dataset", RunError)["fingerprint"]
        else:
            return
        if dataset.fingerprint != recorded:
            raise DataError(
                f"the data in {dataset.folder} are not those that the run in {self.folder} was "
                "made with: questions, answers or regions have changed; put them back, or make a "
                "new run (another --output, or --force)"
            )

    def read_config(self) -> PruneConfig:
        """Return the settings, validated; raise RunError without any, or for damaged ones."""
        settings = self.settings()
        try:
            return PruneConfig.parse(settings)
        except ConfigError as problem:
            raise RunError(f"{self.config} is damaged: {problem}") from None

    def _settings(self) -> dict[str, Any] | None:
        """Return what `config.json` holds; None when it is missing or not of a run."""
        if not self.config.exists():
            return None
        found = read_json(self.config, "run configuration", RunError)
        # A model folder has a config.json too.
        is_of_a_run = isinstance(found, dict) and found.keys() >= _SETTINGS_OF_A_RUN
        return found if is_of_a_run else None

    def _run_around(self) -> str:
        """Return, for messages, which run the folder is a part of."""
        for folder in self.folder.resolve().parents[:2]:
            if Run(folder).exists():
                return f"; it is part of the run {folder}, give that"
        return ""

    def has_dense(self) -> bool:
        """Return whether steps 1 and 2 have ended with the dense model's accuracy."""
        return self.once_path("dense").exists()

    def pruned_accuracy(self, level: float) -> Path:
        """Return where `once` keeps the accuracy right after pruning to `level`."""
        return self.once_path(pruned_name(level))

    def once_path(self, name: str) -> Path:
        """Return where `once` keeps the value called `name`."""
        return self.work / f"{name}.json"

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the JSON value called `name`, computed by `make` the first time and saved."""
        path = self.once_path(name)
        if not path.exists():
            write_json(path, make())
        return read_json(path, "intermediate result", RunError)


def pruned_name(level: float) -> str:
    """Return the name under which `Run.once` keeps the accuracy right after pruning to `level`."""
    return f"pruned-{level}"


def control_name(rounds: int) -> str:
    """Return the name of the control, the dense model that was trained `rounds` times again."""
    return f"{CONTROL_STAGE}{rounds}"
