"""`lxcompress bench`: a ticket compared with the dense model."""

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
            min=1,
            help="Questions per batch; can be repeated. [default: 1 and 8; on CUDA also 32 and "
            "128]",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Minimum timed runs of each system.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0, help="Minimum seconds of timing for each batch size.")
    ] = 30,
    loads: Annotated[
        int, typer.Option(min=1, help="Loads of each file, each in a new process.")
    ] = 5,
    questions: Annotated[
        int,
        typer.Option(min=1, help="Different questions used for timing; accuracy uses all."),
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
        bool, typer.Option("--force", help="Measure again what has been measured.")
    ] = False,
) -> None:
    """Compare a ticket with the dense model: size, accuracy, loading, latency.

    Every ticket file is compared with the dense file of its precision, so that no gain of
    precision is attributed to sparsity. When interrupted, the same command continues.

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
