"""The runs of a sweep, and the layout of its folder.

FOLDER/sweep.json          settings that all runs share, and the fingerprint of the data
FOLDER/dense/seed0/        θ0, the dense model and its control, shared by the cells of a seed
FOLDER/cells/low-50-seed0/ one run of `lxcompress prune` for each subnetwork, sparsity and seed
FOLDER/logs/               progress and tracebacks of each run
FOLDER/report.json …       the report (benchmarks.sweep.report)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxcompress.choices import Subnetwork, n_of_m
from lxcompress.config import PruneConfig
from lxcompress.errors import ConfigError
from lxcompress.pruning.schedule import control_rounds
from lxcompress.run import Run, control_name
from lxcompress.run_name import data_name, procedure

SUBNETWORKS = tuple(str(subnetwork) for subnetwork in Subnetwork)
SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SEEDS = (0, 1, 2)
QUICK_SPARSITIES = (0.1, 0.3, 0.5, 0.7, 0.9)
QUICK_SEEDS = (0,)

# The settings that are swept; all cells share the others.
_SWEPT = ("subnetwork", "sparsity", "seed")


@dataclass(frozen=True)
class Task:
    """One run to execute: a cell or, where `dense` is None, the dense model of a seed.

    `dense` is the folder of the seed's dense model. `siblings` are the folders of the cells that
    differ from this one in sparsity only. `controls` are the numbers of rounds after which the
    dense model's control is measured: for all cells of the seed, or for this one.
    """

    folder: Path
    config: PruneConfig
    threads: int
    dense: Path | None = None
    siblings: tuple[Path, ...] = ()
    controls: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name in logs and reports: "low-50-seed0" or "dense-seed0"."""
        return self.folder.name if self.dense else f"dense-{self.folder.name}"

    @property
    def log(self) -> Path:
        """The file that progress and tracebacks of the run go to."""
        return self.folder.parent.parent / "logs" / f"{self.name}.log"

    @property
    def is_finished(self) -> bool:
        """Whether a cell has its result, or a dense model its accuracy and its control's."""
        run = Run(self.folder)
        if self.dense:
            return run.is_finished()
        measured = (run.once_path(control_name(rounds)).exists() for rounds in self.controls)
        return run.has_dense() and all(measured)


@dataclass(frozen=True)
class Plan:
    """The cells of a sweep, and the complete settings that they share."""

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
        sparsities: Sequence[float] | None,
        seeds: Sequence[int],
        threads: int,
        output: Path | None = None,
        quick: bool = False,
    ) -> Plan:
        """Check all settings and complete them.

        Args:
            settings: Options of `lxcompress prune` by name, without those that are swept.
            subnetworks, sparsities, seeds: What is swept; duplicates are dropped. None are the
                sparsities of the paper, or the only one that an N:M pattern has.
            threads: CPU threads of each run. Their number changes the last bits of the results,
                so it belongs to the settings.
            output: The sweep's folder; by default runs/sweep-DATA, followed by the choices that
                differ from the paper's procedure.
            quick: Halve the number of epochs, unless `settings` give one, and the paper's
                sparsities.

        Raises:
            ConfigError: An option has a wrong value; the message names it.
        """
        for name in _SWEPT:
            if name in settings:
                raise ConfigError(f"a sweep takes {name} from its own options, not from --config")
        for name in ("from", "speedup", "finetuned", "mask"):
            if name in settings:
                raise ConfigError(f"a sweep cannot be made with --{name}; leave {name}: out")
        config = PruneConfig.parse(settings)
        if quick:
            config = PruneConfig.parse({"epochs": max(1, config.epochs // 2), **settings})
        if sparsities is None:
            papers = QUICK_SPARSITIES if quick else SPARSITIES
            sparsities = (config.target,) if n_of_m(config.pattern) else papers
        shared = {name: value for name, value in config.dump().items() if name not in _SWEPT}
        parts = ["sweep", data_name(config), *procedure(config), *(["quick"] if quick else [])]
        folder = (output or Path("runs") / "-".join(parts)).absolute()
        if shared["tensorboard"] is not None:
            # Runs of different sweeps have the same names.
            shared["tensorboard"] = str(Path(shared["tensorboard"]) / folder.name)
        plan = cls(
            folder=folder,
            shared=shared,
            subnetworks=_distinct(subnetworks),
            sparsities=tuple(sorted(_distinct(sparsities))),
            seeds=_distinct(seeds),
            threads=threads,
        )
        plan.tasks()  # PruneConfig checks the settings of each run
        return plan

    def on(self, device: str, precision: str) -> Plan:
        """Return the plan with a resolved device and precision."""
        shared = {**self.shared, "device": device, "precision": precision}
        return Plan(**{**vars(self), "shared": shared})

    def settings(self) -> dict[str, Any]:
        """Return what a sweep's folder is bound to: another sweep needs another folder."""
        return {**self.shared, "threads": self.threads}

    def tasks(self) -> list[Task]:
        """Return the dense models, then the cells, in descending order of sparsity.

        A run at 90% also prunes to 10%, 20%, … and measures there, so that the cells of lower
        sparsities can reuse these accuracies.
        """
        dense = [
            Task(self.dense(seed), self._config(seed=seed), self.threads, controls=self.controls)
            for seed in self.seeds
        ]
        cells = [
            self._cell_task(subnetwork, sparsity, seed)
            for seed in self.seeds
            for sparsity in reversed(self.sparsities)
            for subnetwork in self.subnetworks
        ]
        return dense + cells

    @property
    def controls(self) -> tuple[int, ...]:
        """The numbers of rounds after which the control of a seed is measured, ascending."""
        found = {self.control_rounds(sparsity) for sparsity in self.sparsities}
        return tuple(sorted(rounds for rounds in found if rounds is not None))

    def control_rounds(self, sparsity: float) -> int | None:
        """Return how often the control of a cell is trained again; None without a control."""
        return control_rounds(self._config(sparsity=sparsity))

    def _cell_task(self, subnetwork: str, sparsity: float, seed: int) -> Task:
        config = self._config(subnetwork=subnetwork, sparsity=sparsity, seed=seed)
        others = (other for other in self.sparsities if other != sparsity)
        rounds = self.control_rounds(sparsity)
        return Task(
            self.cell(subnetwork, sparsity, seed),
            config,
            self.threads,
            dense=self.dense(seed),
            siblings=tuple(self.cell(subnetwork, other, seed) for other in others),
            controls=() if rounds is None else (rounds,),
        )

    def dense(self, seed: int) -> Path:
        """Return the folder of a seed's θ0 and dense model."""
        return self.folder / "dense" / f"seed{seed}"

    def cell(self, subnetwork: str, sparsity: float, seed: int) -> Path:
        """Return the folder of a cell's run."""
        return self.folder / "cells" / f"{subnetwork}-{100 * sparsity:g}-seed{seed}"

    def _config(self, **swept: Any) -> PruneConfig:
        return PruneConfig.parse({**self.shared, **swept})


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
