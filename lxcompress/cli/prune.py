"""`lxcompress prune`: find a lottery ticket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lxcompress.cli import options
from lxcompress.system.shell import lxcompress_command

if TYPE_CHECKING:
    from lxcompress.config import PruneConfig
    from lxcompress.pruning.latency_table import MeasureLatencies
    from lxcompress.result import RunResult
    from lxcompress.run import Run


def prune(
    context: typer.Context,
    data: options.Data = None,
    model: options.Model = None,
    model_config: options.ModelConfig = None,
    tokenizer: options.Tokenizer = None,
    keep_answer_head: options.KeepAnswerHead = None,
    pretrained_answers: options.PretrainedAnswers = None,
    finetuned: options.Finetuned = None,
    answers: options.Answers = None,
    from_run: options.FromRun = None,
    mask: options.Mask = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Target: fraction of the prunable weights to prune. [default: 0.5]",
            rich_help_panel=options.LOTTERY,
        ),
    ] = None,
    speedup: options.Speedup = None,
    speedup_precision: options.SpeedupPrecision = None,
    speedup_batch: options.SpeedupBatch = None,
    pattern: options.Pattern = None,
    criterion: options.Criterion = None,
    subnetwork: options.Subnetwork = None,
    scope: options.Scope = None,
    schedule: options.Schedule = None,
    rewind: options.Rewind = None,
    rewind_step: options.RewindStep = None,
    enforce_mask: options.EnforceMask = None,
    control: options.Control = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of all random choices. [default: 0]", rich_help_panel=options.TRAINING),
    ] = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    max_tokens: options.MaxTokens = None,
    precision: options.Precision = None,
    device: options.Device = None,
    workers: options.Workers = None,
    tensorboard: options.Tensorboard = None,
    output: Annotated[
        Path | None, typer.Option(help="Run directory. [default: in runs/, named by the settings]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of these options; the command line wins.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue this run directory with its own settings.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Delete the run that is in the run directory.")
    ] = False,
) -> None:
    """Find a lottery ticket of LXMERT: fine-tune, prune, rewind, fine-tune again under the mask.

    Without options it runs the embedded default: a small model on generated pictures, in minutes
    on a CPU. If it is interrupted or killed, the same command continues.

    Example: lxcompress prune --data data/vqa --model unc-nlp/lxmert-base-uncased --sparsity 0.6
    """
    from lxcompress.config import PruneConfig
    from lxcompress.errors import ConfigError
    from lxcompress.run import Run
    from lxcompress.run_name import run_name
    from lxcompress.steps.continuation import inherit

    own = {"output", "config", "resume", "force"}
    settings = options.given(context, own)
    if resume is not None:
        if settings or config or output or force:
            raise ConfigError("--resume takes all settings from the run; give no others with it")
        run = Run(resume)
        parsed = run.read_config()
    else:
        in_file, output = options.from_file(config, output)
        parsed = PruneConfig.parse(inherit(in_file | settings))
        run = Run(output or Path("runs") / run_name(parsed))
    report(run, find_ticket(run, parsed, force))


def find_ticket(run: Run, config: PruneConfig, force: bool = False) -> RunResult:
    """Find the run's ticket, telling the user what happens; also for `lxcompress demo`.

    Raises Interrupted, whose message says how to continue.
    """
    from lxcompress import lottery
    from lxcompress.errors import Interrupted

    measure: MeasureLatencies | None = None
    if config.speedup is not None:
        from exporters.latency.table import latency_table  # needs ONNX Runtime

        measure = latency_table
    was_finished = run.is_finished() and not force
    try:
        result = lottery.find_ticket(run, config, force=force, measure_latencies=measure)
    except Interrupted as stop:
        resume = lxcompress_command("prune", "--resume", run.folder)
        raise Interrupted(f"{stop}; the same command again, or `{resume}`, continues") from None
    if was_finished:
        print(f"already finished: {run.folder} (--force repeats it)")
    return result


def report(run: Run, result: RunResult) -> None:
    """Print a run's accuracies, sparsities and sizes, and where its artefacts are."""
    from rich.console import Console
    from rich.table import Table

    from lxcompress.steps.given import summary

    dense, ticket = result.dense.accuracy, result.ticket.accuracy
    table = Table("", title=f"{result.metric}, {result.dataset.name}, validation")
    control = result.dense_control.accuracy if result.dense_control else None
    columns = ["dense", "ticket", "difference"]
    for column in [*columns, "control", "difference to it"] if control else columns:
        table.add_column(column, justify="right")
    for name, before in dense.items():
        after = ticket[name]
        if before is not None and after is not None:
            row = [f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"]
            if control and (alike := control[name]) is not None:
                row += [f"{alike:.2f}", f"{after - alike:+.2f}"]
            table.add_row(name, *row)
    table.add_section()
    sparsity, size = result.ticket.sparsity, result.bytes
    table.add_row("zeros, of prunable weights", "", f"{100 * sparsity.prunable:.1f}%", "")
    table.add_row("zeros, of all parameters", "", f"{100 * sparsity.model:.1f}%", "")
    table.add_row(
        "fp32 MB, without zeros",
        f"{size.dense / 1e6:.2f}",
        f"{size.bitmask / 1e6:.2f}",
        f"{100 * (size.bitmask / size.dense - 1):+.1f}%",
    )
    Console().print(table)
    if result.dense_control:
        epochs = f"{result.dense_control.epochs} epochs {'more' if result.finetuned else 'in all'}"
        print(f"control: the dense model trained for {epochs}, as the ticket")
    if result.finetuned:
        print(summary(result.finetuned, result.dataset.answers))
    if result.mask:
        print(f"mask: {result.mask.file}, as given")
    if speedup := result.ticket.speedup:
        print(
            f"speedup: {speedup.predicted:.2f} times as fast as the dense model by measured "
            f"latencies (target {speedup.target:g}, {speedup.precision}, batch {speedup.batch}); "
            "`lxcompress export` times the files"
        )
    print(f"ticket: {run.ticket}  mask: {run.mask}")
    print(f"dense: {run.dense}  start weights: {run.theta0}  figures: {run.result}")
    print("next: " + lxcompress_command("export", run.folder))
