"""The end of a run: the ticket is verified as it is on disk, and `result.json` written."""

from __future__ import annotations

from typing import Any

from transformers import LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.find_mask import check_mask
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.speedup import predicted_latency
from lxcompress.pruning.structured import removed_units, structure
from lxcompress.pruning.ticket_size import ticket_sizes
from lxcompress.result import RunResult
from lxcompress.run import Run
from lxcompress.ticket import load_ticket


def conclude(
    run: Run,
    config: PruneConfig,
    dataset: Dataset,
    *,
    ticket: dict[str, Any],
    previous: Mask | None,
    latencies: LatencyTable | None,
    **measured: Any,
) -> RunResult:
    """Verify the ticket as it is on disk and write `result.json`.

    Args:
        ticket: its accuracy and epochs.
        previous: the mask that the run went on from.
        measured: the other fields of `RunResult` that training and evaluation have found.

    Raises:
        ModelError: a pruned weight is not zero, or the mask is not what the settings say.
    """
    model, mask = _final_ticket(run, config, previous, latencies)
    weights = prunable_parameters(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    has_removed = any(units.any() for units in removed_units(model, mask).values())
    by_units = config.prunes_units or (previous is not None and has_removed)
    result = RunResult.model_validate(
        {
            **measured,
            "ticket": {
                **ticket,
                "sparsity": {"prunable": mask.sparsity, "model": mask.pruned / parameters},
                "structure": structure(model, mask) if by_units else None,
                "speedup": latencies and _speedup(model, mask, config, latencies),
            },
            "metric": run.once("metric", lambda: None),
            "weights": {
                "pruned": mask.pruned,
                "prunable": mask.size,
                "parameters": parameters,
                "zeros": sum(int((weight == 0).sum()) for weight in weights.values()),
            },
            "bytes": ticket_sizes(model, mask),
            "config": config.dump(),
            "dataset": run.once("dataset", dataset.describe),
        }
    )
    result.write(run.result)
    run.tidy()
    return result


def _final_ticket(
    run: Run, config: PruneConfig, previous: Mask | None, latencies: LatencyTable | None
) -> tuple[LxmertForQuestionAnswering, Mask]:
    """Load the ticket and its mask; without an enforced mask, that of its nonzero weights."""
    if not config.enforce_mask:
        model = load_model(run.ticket)
        weights = prunable_parameters(model)
        return model, Mask({name: weight.detach() != 0 for name, weight in weights.items()})
    model, mask = load_ticket(run.ticket)
    check_mask(model, mask, config, previous, latencies)
    return model, mask


def _speedup(
    model: LxmertForQuestionAnswering, mask: Mask, config: PruneConfig, latencies: LatencyTable
) -> dict[str, Any]:
    return {
        "target": config.speedup,
        "predicted": latencies.dense / predicted_latency(model, mask, latencies),
        "precision": latencies.precision,
        "batch": latencies.batch,
        "tokens": latencies.tokens,
        "regions": latencies.regions,
        "machine": latencies.machine,
    }
