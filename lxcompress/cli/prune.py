"""`lxcompress prune`: find a lottery ticket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lxcompress.run import Run

_TRAINING = "Training"
_LOTTERY = "Lottery"


def prune(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Option(help='Dataset folder, or "shapes", the embedded default.')
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Pre-trained LXMERT: folder, hub id, or lxmert-shapes.")
    ] = None,
    model_config: Annotated[
        str | None, typer.Option(help="Train from scratch instead: small, base, or a config.json.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Tokenizer folder or hub id; else the model's, or a new one.")
    ] = None,
    keep_answer_head: Annotated[
        bool | None,
        typer.Option("--keep-answer-head", help="Carry over the answers that both lists share."),
    ] = None,
    pretrained_answers: Annotated[
        Path | None, typer.Option(help="Answer list of the pre-trained head, e.g. all_ans.json.")
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Fraction of prunable weights to remove. [default: 0.5]", rich_help_panel=_LOTTERY
        ),
    ] = None,
    subnetwork: Annotated[
        str | None,
        typer.Option(
            help="Which weights go: low, high or random. [default: low]", rich_help_panel=_LOTTERY
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="Where one threshold holds: global, layer, modality. [default: global]",
            rich_help_panel=_LOTTERY,
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="paper: train, prune in steps, train; iterative: train after each step. "
            "[default: paper]",
            rich_help_panel=_LOTTERY,
        ),
    ] = None,
    rewind: Annotated[
        str | None,
        typer.Option(
            help="To θ0 (weights), to early weights (late), or only the learning rate "
            "(lr). [default: weights]",
            rich_help_panel=_LOTTERY,
        ),
    ] = None,
    rewind_step: Annotated[
        int | None,
        typer.Option(
            help="With --rewind late: the training step. [default: 5% of them]",
            rich_help_panel=_LOTTERY,
        ),
    ] = None,
    enforce_mask: Annotated[
        bool | None,
        typer.Option(
            "--enforce-mask/--no-enforce-mask",
            help="Hold pruned weights at zero while retraining; off, as in the paper's released "
            "code, they grow back: for study only. [default: on]",
            show_default=False,
            rich_help_panel=_LOTTERY,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="[default: 0]", rich_help_panel=_TRAINING)
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="[default: LXMERT's 4; 2 for small]", rich_help_panel=_TRAINING),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Questions a step. [default: 32]", rich_help_panel=_TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="[default: LXMERT's 5e-5; 2e-4 for small]", rich_help_panel=_TRAINING),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            help="Longest question, [CLS] and [SEP] included. [default: 20]",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto, fp32 or bf16. [default: auto]", rich_help_panel=_TRAINING),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or mps. [default: auto]", rich_help_panel=_TRAINING),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that load batches. [default: as the data needs]",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    tensorboard: Annotated[
        str | None,
        typer.Option(help="Folder to log losses to, for TensorBoard.", rich_help_panel=_TRAINING),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Run directory. [default: runs/<what it is>]")
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
    from lxcompress.errors import ConfigError, Interrupted
    from lxcompress.run import Run

    own = {"output", "config", "resume", "force"}
    settings: dict[str, Any] = {
        name.replace("_", "-"): str(value) if isinstance(value, Path) else value
        for name, value in context.params.items()
        if name not in own and value is not None
    }
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
    try:
        result = _find_ticket(run, parsed, force)
    except Interrupted as stop:
        raise Interrupted(
            f"{stop}; the same command again, or `lxcompress prune --resume {run.folder}`, "
            "continues"
        ) from None
    _report(run, result)


def _find_ticket(run: Run, config: Any, force: bool) -> dict[str, Any]:
    from lxcompress.compute import resolve_device, resolve_precision
    from lxcompress.data.dataset import open_dataset
    from lxcompress.lottery import Lottery

    device = resolve_device(config.device)
    config = config.on(device, resolve_precision(config.precision, device))
    dataset = open_dataset(config.data)
    lottery = Lottery(run, config, dataset)
    with run.claim(config.dump(), force=force):
        if run.result.exists():
            print(f"finished before: {run.folder} (--force does it again)")
        return lottery.find_ticket()


def _report(run: Run, result: dict[str, Any]) -> None:
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
