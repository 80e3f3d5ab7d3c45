"""`lxcompress prune`: find a lottery ticket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lxcompress.cli import options

if TYPE_CHECKING:
    from lxcompress.config import PruneConfig
    from lxcompress.run import Run


def prune(
    context: typer.Context,
    data: options.Data = None,
    model: options.Model = None,
    model_config: options.ModelConfig = None,
    tokenizer: options.Tokenizer = None,
    keep_answer_head: options.KeepAnswerHead = None,
    pretrained_answers: options.PretrainedAnswers = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Fraction of prunable weights to remove. [default: 0.5]",
            rich_help_panel=options.LOTTERY,
        ),
    ] = None,
    subnetwork: Annotated[
        str | None,
        typer.Option(
            help="Which weights go: low, high or random. [default: low]",
            rich_help_panel=options.LOTTERY,
        ),
    ] = None,
    scope: options.Scope = None,
    schedule: options.Schedule = None,
    rewind: options.Rewind = None,
    rewind_step: options.RewindStep = None,
    enforce_mask: options.EnforceMask = None,
    seed: Annotated[
        int | None, typer.Option(help="[default: 0]", rich_help_panel=options.TRAINING)
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
        Path | None, typer.Option(help="Run directory. [default: runs/, by what it is]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The same options in a YAML file; the command line wins.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue this run directory with its own settings.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Delete the run that is in the run directory.")
    ] = False,
) -> None:
    """Find a lottery ticket of LXMERT: fine-tune, prune, rewind, fine-tune again under the mask.

    With no option at all it runs the embedded default, small and real, in minutes on a CPU.
    Killed at any moment, the same command again continues.

    Example: lxcompress prune --data data/vqa --model unc-nlp/lxmert-base-uncased --sparsity 0.6
    """
    from lxcompress.config import PruneConfig, read_settings
    from lxcompress.errors import ConfigError
    from lxcompress.run import Run

    own = {"output", "config", "resume", "force"}
    settings = options.given(context, own)
    if resume is not None:
        if settings or config or output or force:
            raise ConfigError("--resume takes all settings from the run; give no others with it")
        run = Run(resume)
        parsed = PruneConfig.parse(run.settings())
    else:
        if config is not None:
            given = read_settings(config)
            output = output or (Path(given.pop("output")) if "output" in given else None)
            settings = given | settings
        parsed = PruneConfig.parse(settings)
        run = Run(output or Path("runs") / parsed.run_name)
    report(run, find_ticket(run, parsed, force))


def find_ticket(run: Run, config: PruneConfig, force: bool = False) -> dict[str, Any]:
    """Make the run, or what is left of it, and give its result; also for `lxcompress demo`.

    Raises Interrupted, saying how to continue.
    """
    from lxcompress.data.dataset import open_dataset
    from lxcompress.errors import Interrupted
    from lxcompress.lottery import Lottery
    from lxcompress.system.device import resolve_device, resolve_precision

    device = resolve_device(config.device)
    config = config.on(device, resolve_precision(config.precision, device))
    try:
        dataset = open_dataset(config.data)
        lottery = Lottery(run, config, dataset)
        with run.claim(config.dump(), force=force):
            if run.result.exists():
                print(f"finished before: {run.folder} (--force does it again)")
            return lottery.find_ticket()
    except Interrupted as stop:
        raise Interrupted(
            f"{stop}; the same command again, or `lxcompress prune --resume {run.folder}`, "
            "continues"
        ) from None


def report(run: Run, result: dict[str, Any]) -> None:
    """Print a run's figures and where its parts are."""
    from rich.console import Console
    from rich.table import Table

    dense, ticket = result["dense"]["accuracy"], result["ticket"]["accuracy"]
    table = Table("", title=f"{result['metric']}, {result['dataset']['name']}, validation")
    for column in ("dense", "ticket", "difference"):
        table.add_column(column, justify="right")
    for name in ("overall", "yes/no", "number", "other"):
        if dense[name] is not None:
            change = ticket[name] - dense[name]
            table.add_row(name, f"{dense[name]:.2f}", f"{ticket[name]:.2f}", f"{change:+.2f}")
    table.add_section()
    sparsity, size = result["ticket"]["sparsity"], result["bytes"]
    table.add_row("zeros, of prunable weights", "", f"{100 * sparsity['prunable']:.1f}%", "")
    table.add_row("zeros, of all parameters", "", f"{100 * sparsity['model']:.1f}%", "")
    table.add_row(
        "fp32 MB, zeros left out",
        f"{size['dense'] / 1e6:.2f}",
        f"{size['bitmask'] / 1e6:.2f}",
        f"{100 * (size['bitmask'] / size['dense'] - 1):+.1f}%",
    )
    Console().print(table)
    print(f"ticket: {run.ticket}  mask: {run.mask}")
    print(f"dense: {run.dense}  start weights: {run.theta0}  figures: {run.result}")
    print(f"next: lxcompress export {run.folder}")
