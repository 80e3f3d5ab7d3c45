"""`lxcompress bench`: exported files compared with each other and with PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lxcompress.cli.options import Answers, OtherTokenizer


def bench(
    model: Annotated[
        str,
        typer.Argument(
            help="Run directory, model folder or hub id, after `lxcompress export` of the same."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="For a model: the dataset to measure accuracy on. [default: generated questions "
            "and regions, without accuracy]"
        ),
    ] = None,
    answers: Answers = None,
    tokenizer: OtherTokenizer = None,
    onnx: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the exported files: the --output of the export. [default: onnx/ in "
            "the model]"
        ),
    ] = None,
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
        Path | None,
        typer.Option(help="Folder for the report. [default: bench/ beside the folder onnx/]"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Measure again what has been measured.")
    ] = False,
) -> None:
    """Compare exported files: size, accuracy, loading, latency; with each other and with PyTorch.

    Of a run, every ticket file is compared with the dense file of its precision, so that no gain
    of precision is attributed to sparsity. Of any other model, fp16 and int8 are compared with
    fp32. When interrupted, the same command continues.

    Example: lxcompress bench runs/shapes-low-50
    """
    from benchmarks.bench.run import Settings
    from benchmarks.bench.run import bench as measure
    from benchmarks.bench.subject import Subject

    settings = Settings(device, tuple(batch_size or ()), runs, seconds, loads, questions, compile)
    subject = Subject(model, data, answers, tokenizer, onnx)
    report, folder = measure(subject, settings, output, force=force)
    for sentence in report.findings["summary"]:
        print(sentence)
    for name in ("report.html", "report.md", "report.json"):
        print(f"{name.partition('.')[2]}: {folder / name}")
