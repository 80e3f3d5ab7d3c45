"""`lxcompress prune --from RUN`: go on from the ticket and the mask of another run.

The new run has that run's θ0, dense model and data, and prunes its ticket further. The sparsity
still counts all prunable weights of the dense model.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lxcompress.config import PruneConfig, resolve_paths
from lxcompress.errors import ConfigError
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.find_mask import already_removed
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.mask import Mask
from lxcompress.run import Run
from lxcompress.steps.given import GIVEN
from lxcompress.system.files import write_json
from lxcompress.system.links import share
from lxcompress.system.text import check_name
from lxcompress.ticket import load_ticket

# Another model or other data would have another θ0 and dense model.
_OF_THE_RUN = (
    "data",
    "model",
    "model-config",
    "finetuned",
    "answers",
    "tokenizer",
    "keep-answer-head",
    "pretrained-answers",
    "max-tokens",
)
_DEFAULTS = ("epochs", "batch-size", "learning-rate", "seed", "rewind")


def inherit(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Complete `settings`, by option name, with those of the run that `from` names, if it does.

    Raises:
        RunError: there is no such run, or it has no finished sparse ticket.
        ConfigError: a setting is given that is the run's.
    """
    if settings.get("from") is None:
        return dict(settings)
    name = settings["from"]
    if not isinstance(name, str) or not name:
        raise ConfigError("--from: give the folder of a run")
    check_name("from", name)
    source = open_source(Path(name))
    found, given = source.settings(), resolve_paths(settings)
    for name in _OF_THE_RUN:
        if given.get(name) is not None and _text(given[name]) != _text(found.get(name)):
            raise ConfigError(
                f"--{name} {given[name]}: with --from it is that of the run {source.folder}, "
                f"{found.get(name)}; leave it out"
            )
    names = (*_OF_THE_RUN, *_DEFAULTS)
    return {name: found[name] for name in names if name in found} | dict(settings)


def _text(value: object) -> str:
    """Return a setting as YAML has it: there, true and false are texts."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def open_source(folder: Path) -> Run:
    """Open the finished run `folder`; raise RunError unless it has a sparse ticket."""
    source = Run.open_finished(folder)
    source.check_sparse()
    return source


def check_other_folder(run: Run, config: PruneConfig) -> None:
    """Raise ConfigError if a run would replace the one that it goes on from."""
    if config.from_run and Path(config.from_run).resolve() == run.folder.resolve():
        raise ConfigError(
            f"--from {config.from_run} is the run directory itself; choose another --output"
        )


def discard(run: Run) -> None:
    """Delete what a process left that was killed before θ0: it may have had other settings."""
    run.tidy()
    for path in run.dense_artefacts():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def share_artefacts(source: Run, run: Run) -> None:
    """Give `run` the dense model and the ticket of `source`, θ0 last: a run with θ0 has begun."""
    result = source.read_result()
    kept = [run.once_path(name) for name in ("dense", "metric", "dataset")]
    # What a finished run no longer keeps in files of their own.
    write_json(run.once_path("dense"), result.dense.accuracy)
    write_json(run.once_path("metric"), result.metric)
    write_json(run.once_path("dataset"), result.dataset.model_dump(mode="json"))
    write_json(run.once_path("dense-epochs"), result.dense.epochs)
    write_json(run.once_path("trainings"), result.ticket.epochs)
    share(source.ticket, run.source)
    pairs = list(zip(source.dense_artefacts(), run.dense_artefacts(), strict=True))
    for there, here in reversed(pairs):
        if there.exists() and here not in kept:
            share(there, here)


def starting_point(
    run: Run, config: PruneConfig, latencies: LatencyTable | None
) -> tuple[Path, Mask | None, float]:
    """Return the model to prune, its mask, and the fraction that it lacks already.

    That is the dense model, with `--mask` and the given mask, or with `--from` the ticket to go on
    from.
    """
    if config.mask is not None:
        weights = prunable_parameters(load_model(run.dense))
        return run.dense, Mask.load(run.stage_mask(GIVEN), weights), 0.0
    if config.from_run is None:
        return run.dense, None, 0.0
    model, mask = load_ticket(run.source)
    return run.source, mask, already_removed(model, mask, latencies)
