"""The latencies by which a run with `--speedup` chooses what to remove.

They are measured before anything is trained and belong to the run: what it removes depends on them.
"""

from __future__ import annotations

from transformers import LxmertConfig, PreTrainedTokenizerBase

from lxcompress.config import PruneConfig
from lxcompress.errors import ConfigError, RunError
from lxcompress.pruning.latency_table import LatencyTable, MeasureLatencies
from lxcompress.run import Run
from lxcompress.steps.trainer import RunTrainer
from lxcompress.system.machine.environment import onnx_machine


def measure(
    trainer: RunTrainer,
    architecture: LxmertConfig,
    tokenizer: PreTrainedTokenizerBase,
    measure_latencies: MeasureLatencies | None,
) -> None:
    """Measure the latencies of an architecture with questions of the run's data, and keep them."""
    config = trainer.config
    if measure_latencies is None:
        raise ConfigError("--speedup needs latencies, which `lxcompress prune` measures")
    assert config.speedup_precision is not None and config.speedup_batch is not None
    tokens, regions = trainer.question_shape(config.speedup_batch, tokenizer)
    table = measure_latencies(
        architecture, config.speedup_precision, config.speedup_batch, tokens, regions
    )
    trainer.run.once("latencies", lambda: table.model_dump(mode="json"))


def read(run: Run, config: PruneConfig) -> LatencyTable | None:
    """Return the latencies of a run that has begun; None without a speedup.

    Raises:
        RunError: they are missing, damaged, or of another machine.
    """
    if config.speedup is None:
        return None
    table = LatencyTable.load(run.once_path("latencies"), "latencies", RunError)
    here = onnx_machine(table.machine.get("threads"))
    for name, value in here.items():
        if table.machine.get(name) != value:
            raise RunError(
                f"{run.folder} chooses what to remove by latencies of another machine ({name} is "
                f"{table.machine.get(name)} there and {value} here); continue it there, or begin "
                "again with --force"
            )
    return table
