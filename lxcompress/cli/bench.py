"""`lxcompress bench`: what a ticket costs and gains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    run: Annotated[Path, typer.Argument(help="Run directory, after `lxcompress export RUN`.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Questions at once; give it again for more. [default: 1 8, on CUDA to 128]"
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of each system, at least.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0, help="Of timing for each batch size, at least.")
    ] = 30,
    loads: Annotated[
        int, typer.Option(min=1, help="Processes in which each file is loaded once.")
    ] = 5,
    questions: Annotated[
        int, typer.Option(min=1, help="Different questions that are timed; accuracy takes all.")
    ] = 256,
    compile: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Also time torch.compile. [default: on CUDA only]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the report. [default: bench/ in the run]")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Measure again what is measured already.")
    ] = False,
) -> None:
    """Report what a ticket costs and gains: size, accuracy, loading, latency, against dense.

    Every ticket file is compared with the dense file of its precision, so that nothing that
    precision brings is told as a gain of sparsity. Stopped at any moment, the same command goes on.

    Example: lxcompress bench runs/shapes-low-50
    """
    from benchmarks.bench.run import Settings
    from benchmarks.bench.run import bench as measure

    settings = Settings(device, tuple(batch_size or ()), runs, seconds, loads, questions, compile)
    report = measure(run, settings, output, force=force)
    for sentence in report.findings["summary"]:
        print(sentence)
    folder = output or run / "bench"
    for name in ("report.html", "report.md", "report.json"):
        print(f"{name.partition('.')[2]}: {folder / name}")
