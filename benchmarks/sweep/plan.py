"""Which runs a sweep is made of, and where they lie.

FOLDER/sweep.json          the settings that all runs share, and the data's fingerprint
FOLDER/dense/seed0/        θ0 and the dense model of a seed, which its cells share
FOLDER/cells/low-50-seed0/ a run of `lxcompress prune` for each subnetwork, sparsity and seed
FOLDER/logs/               what each run told on its way
FOLDER/report.json …       what benchmarks.sweep.report writes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxcompress.config import EMBEDDED_DATA, EMBEDDED_MODEL, PRESETS, PruneConfig
from lxcompress.errors import ConfigError
from lxcompress.run import Run

SUBNETWORKS = ("low", "high", "random")
SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SEEDS = (0, 1, 2)
QUICK_SPARSITIES = (0.1, 0.3, 0.5, 0.7, 0.9)
QUICK_SEEDS = (0,)

# What tells the cells of a sweep apart; all other settings they share.
_OWN = ("subnetwork", "sparsity", "seed")


@dataclass(frozen=True)
class Task:
    """One run to be done: a cell, or (without `dense`) the dense model of a seed.

    `dense` is the folder of the seed's dense model, and `siblings` those of the cells that prune
    the same weights in the same steps.
    """

    folder: Path
    config: PruneConfig
    threads: int
    dense: Path | None = None
    siblings: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """As people are told of it: "low-50-seed0", "dense-seed0"."""
        return self.folder.name if self.dense else f"dense-{self.folder.name}"

    @property
    def log(self) -> Path:
        """Progress and tracebacks of the run."""
        return self.folder.parent.parent / "logs" / f"{self.name}.log"

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        run = Run(self.folder)
        return run.result.exists() if self.dense else run.once_path("dense").exists()


@dataclass(frozen=True)
class Plan:
    """The cells of a sweep. `shared` are the settings that they share, complete and definite."""

    folder: Path
    shared: dict[str, Any]
    subnetworks: tuple[str, ...]
    sparsities: tuple[float, ...]
    seeds: tuple[int, ...]
    threads: int

    @classmethod
    def make(
        cls,
        settings: Mapping[str, Any],
        *,
        subnetworks: Sequence[str],
        sparsities: Sequence[float],
        seeds: Sequence[int],
        threads: int,
        output: Path | None = None,
        quick: bool = False,
    ) -> Plan:
        """Check all settings; ConfigError names the option that is wrong.

        `quick` halves the epochs, where `settings` do not say how many. Without `output` the
        folder is runs/sweep-<data> and what sets the procedure apart. Each run computes with
        `threads` threads of the processor, because their number decides the last bits of its
        figures.
        """
        for name in _OWN:
            if name in settings:
                raise ConfigError(f"a sweep takes {name} from its own options, once or more")
        config = PruneConfig.parse(settings)
        if quick:
            config = PruneConfig.parse({"epochs": max(1, config.epochs // 2), **settings})
        shared = {name: value for name, value in config.dump().items() if name not in _OWN}
        parts = ["sweep", config.data_name, *config.procedure, *(["quick"] if quick else [])]
        folder = (output or Path("runs") / "-".join(parts)).absolute()
        plan = cls(
            folder=folder,
            shared=_absolute(shared, folder.name),
            subnetworks=_distinct(subnetworks),
            sparsities=tuple(sorted(_distinct(sparsities))),
            seeds=_distinct(seeds),
            threads=threads,
        )
        plan.tasks()  # for what PruneConfig says to each of them
        return plan

    def on(self, device: str, precision: str) -> Plan:
        """The same on a definite device and precision."""
        shared = {**self.shared, "device": device, "precision": precision}
        return Plan(**{**vars(self), "shared": shared})

    def settings(self) -> dict[str, Any]:
        """What all runs share: another sweep with other settings needs another folder."""
        return {**self.shared, "threads": self.threads}

    def tasks(self) -> list[Task]:
        """The dense models, then the cells, those with the highest sparsity first.

        On its way to 90% a run prunes to 10, 20, …; the others of its seed then need not.
        """
        dense = [
            Task(self.dense(seed), self._config(seed=seed), self.threads) for seed in self.seeds
        ]
        cells = [
            Task(
                self.cell(subnetwork, sparsity, seed),
                self._config(subnetwork=subnetwork, sparsity=sparsity, seed=seed),
                self.threads,
                self.dense(seed),
                tuple(
                    self.cell(subnetwork, other, seed)
                    for other in self.sparsities
                    if other != sparsity
                ),
            )
            for seed in self.seeds
            for sparsity in reversed(self.sparsities)
            for subnetwork in self.subnetworks
        ]
        return dense + cells

    def dense(self, seed: int) -> Path:
        """Where θ0 and the dense model of a seed lie."""
        return self.folder / "dense" / f"seed{seed}"

    def cell(self, subnetwork: str, sparsity: float, seed: int) -> Path:
        """Where the run of a cell lies."""
        return self.folder / "cells" / f"{subnetwork}-{100 * sparsity:g}-seed{seed}"

    def _config(self, **own: Any) -> PruneConfig:
        return PruneConfig.parse({**self.shared, **own})


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _absolute(shared: dict[str, Any], sweep: str) -> dict[str, Any]:
    """Folders by their full path: a worker may have been started elsewhere."""
    keywords = {EMBEDDED_DATA, EMBEDDED_MODEL, *PRESETS}
    found = {}
    for name in ("data", "model", "model-config", "tokenizer", "pretrained-answers"):
        value = shared[name]
        # A hub id is no path either.
        if value is not None and value not in keywords and Path(value).exists():
            found[name] = str(Path(value).absolute())
    if shared["tensorboard"] is not None:
        # Runs have the same names in every sweep.
        found["tensorboard"] = str(Path(shared["tensorboard"]).absolute() / sweep)
    return {**shared, **found}
