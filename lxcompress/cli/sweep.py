"""`lxcompress sweep`: the experiments of the paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lxcompress.choices import Subnetwork
from lxcompress.cli import options
from lxcompress.cli.frontier import show
from lxcompress.system.shell import lxcompress_command

_SWEEP = "Sweep"
_MACHINES = "Machines"


def sweep(
    context: typer.Context,
    subnetwork: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Which weights are pruned: {', '.join(Subnetwork)}. Can be repeated. "
            "[default: all]",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    sparsity: Annotated[
        list[float] | None,
        typer.Option(
            help="Target: fraction of the prunable weights to prune; can be repeated. "
            "[default: 0.1, 0.2 … 0.9; with an N:M pattern its own]",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Can be repeated. [default: 0, 1, 2]", rich_help_panel=_SWEEP),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="One seed, five sparsities and half of the epochs, unless these are given.",
            rich_help_panel=_SWEEP,
        ),
    ] = False,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Folder of another sweep on the same data, to compare with in the report.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    latency: Annotated[
        bool,
        typer.Option(
            "--latency",
            help="Then export and bench the low subnetworks of the first seed, and show accuracy "
            "over latency.",
            rich_help_panel=_SWEEP,
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of runs at a time. [default: one for each GPU, or processor]",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            min=1,
            help="CPU threads of each run; their number changes the last bits of the results.",
            rich_help_panel=_MACHINES,
        ),
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Ray cluster: its HOST:PORT, auto, or local for this machine.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    data: options.Data = None,
    model: options.Model = None,
    model_config: options.ModelConfig = None,
    tokenizer: options.Tokenizer = None,
    keep_answer_head: options.KeepAnswerHead = None,
    pretrained_answers: options.PretrainedAnswers = None,
    pattern: options.Pattern = None,
    criterion: options.Criterion = None,
    scope: options.Scope = None,
    schedule: options.Schedule = None,
    rewind: options.Rewind = None,
    rewind_step: options.RewindStep = None,
    enforce_mask: options.EnforceMask = None,
    control: options.Control = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    max_tokens: options.MaxTokens = None,
    precision: options.Precision = None,
    device: options.Device = None,
    workers: options.Workers = None,
    tensorboard: options.Tensorboard = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the sweep. [default: runs/sweep-DATA, or -quick]")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Options of `lxcompress prune` in a YAML file; the command line wins."),
    ] = None,
) -> None:
    """Run the paper's experiments: subnetworks × sparsities × seeds, with Table 1 and Figure 1.

    Every cell is a run of `lxcompress prune`; the cells of a seed share θ0, the dense model and its
    control.
    When interrupted or killed, the same command continues; finished cells are not run again.

    Example: lxcompress sweep --pattern structured --sparsity 0.5 --sparsity 0.7
    """
    from benchmarks.bench.run import Settings
    from benchmarks.sweep import plan as sweep_plan
    from benchmarks.sweep.latency import check_latency, measure_latency
    from benchmarks.sweep.launchers.launcher import Launcher
    from benchmarks.sweep.run import sweep as run

    own = {"subnetwork", "sparsity", "seed", "quick", "beside", "latency", "jobs", "threads", "ray"}
    given = options.given(context, own | {"output", "config"})
    in_file, output = options.from_file(config, output)
    plan = sweep_plan.Plan.make(
        in_file | given,
        subnetworks=subnetwork or sweep_plan.SUBNETWORKS,
        sparsities=sparsity or None,
        seeds=seed or (sweep_plan.QUICK_SEEDS if quick else sweep_plan.SEEDS),
        threads=threads,
        output=output,
        quick=quick,
    )
    command = lxcompress_command(*sys.argv[1:])
    if latency:
        check_latency(plan)
    report = run(plan, Launcher(jobs, ray), command=command, beside=beside)
    _show(report, plan.folder)
    if latency:
        show(measure_latency(plan, command, Settings()), plan.folder)


def _show(report: Any, folder: Path) -> None:
    from benchmarks.sweep.findings import summary

    for sentence in summary(report):
        print(sentence)
    for name in ("report.html", "report.md", "report.json", "table1.md", "figure1.png"):
        print(f"{name}: {folder / name}")
