"""The name of a run's folder: its data, subnetwork, target, and what differs from the paper."""

from __future__ import annotations

from pathlib import Path

from lxcompress.choices import Criterion, Pattern, Rewind, Schedule, Scope
from lxcompress.config import EMBEDDED_DATA, PruneConfig
from lxcompress.defaults import pattern_defaults, start_defaults
from lxcompress.model.folder import MASK_FILE


def run_name(config: PruneConfig) -> str:
    """Return the name of the run directory when no `--output` is given: shapes-low-50, …"""
    parts = [data_name(config), *_target(config), *procedure(config)]
    if config.seed:
        parts.append(f"seed{config.seed}")
    return "-".join(parts)


def _target(config: PruneConfig) -> list[str]:
    if config.mask is not None:
        file = Path(config.mask)
        return ["mask", file.parent.name if file.name == MASK_FILE else file.stem]
    target = f"{100 * config.target:g}" if config.speedup is None else f"{config.speedup:g}x"
    return [config.subnetwork, target]


def data_name(config: PruneConfig) -> str:
    """Return the name of the dataset, as part of a folder's name."""
    return Path(config.data).resolve().name if config.data != EMBEDDED_DATA else config.data


def procedure(config: PruneConfig) -> list[str]:
    """Return where the procedure differs from the paper's, as parts of a folder's name."""
    usual = pattern_defaults(config.pattern) | start_defaults(config.finetuned, config.model)
    criterion = usual.get("criterion", Criterion.MAGNITUDE)
    rewind = usual.get("rewind", Rewind.WEIGHTS)
    defaults = (Pattern.UNSTRUCTURED, criterion, Scope.GLOBAL, Schedule.PAPER, rewind)
    pattern = config.pattern.replace(":", "of")  # no colon in the name of a folder
    chosen = (pattern, config.criterion, config.scope, config.schedule, config.rewind)
    parts = [
        str(choice) for choice, default in zip(chosen, defaults, strict=True) if choice != default
    ]
    if not config.enforce_mask:
        parts.append("unenforced")
    if config.speedup is not None:
        parts += [str(config.speedup_precision), f"batch{config.speedup_batch}"]
    if config.finetuned is not None and config.from_run is None:
        parts += ["finetuned", Path(config.finetuned).name]
    if config.from_run is not None:
        parts += ["from", Path(config.from_run).name]
    return parts
