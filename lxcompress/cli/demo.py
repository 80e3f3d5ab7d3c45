"""`lxcompress demo`: a page that answers questions about pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_RUNS = Path("runs")


def demo(
    run: Annotated[
        Path | None,
        typer.Argument(help="Run directory. [default: the newest finished one in runs/]"),
    ] = None,
    variant: Annotated[
        str, typer.Option(help="The ticket's file: sparse-fp32, sparse-fp16 or sparse-int8.")
    ] = "sparse-int8",
    dense_variant: Annotated[
        str, typer.Option(help="The dense file beside it: fp32, fp16 or int8.")
    ] = "fp32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the processor, for each model. [default: one for a small model, else all]",
        ),
    ] = None,
    detector_weights: Annotated[
        str | None,
        typer.Option(
            help="Of the detector butd, for a run with its regions: a folder or hub id. "
            "[default: the published ones]"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="[default: the first free one from 7860]"),
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also at a public address, through Gradio's servers.")
    ] = False,
) -> None:
    """Ask a picture a question: the ticket and the dense model answer side by side on a page.

    Served on 127.0.0.1. ONNX files that the run lacks are exported first; where there is no run,
    the embedded default is made, in minutes.

    Example: lxcompress demo runs/shapes-low-50
    """
    from app.answers.open_run import Choice, export_files, missing_files, newest_run, open_service
    from app.server import find_port, serving, wait
    from exporters.runtime.vqa_model import check_device

    # What can be wrong at once is told before minutes of work.
    choice = Choice.of(variant, dense_variant, device, threads, detector_weights)
    check_device(device)
    find_port(port)
    folder = run or newest_run(_RUNS)
    if folder is None:
        folder = _make_default()
    missing = missing_files(folder, choice)
    if missing:
        names = ", ".join(one.file for one in missing)
        print(f"{folder} has no {names} yet; exporting first", flush=True)
        export_files(folder, missing)
    service = open_service(folder, choice)
    with serving(service, port, share=share) as page:
        print(f"{folder}, on {service.knowledge.data}: {page.address}", flush=True)
        if page.public:
            print(f"for everyone: {page.public}", flush=True)
        print("stop with Ctrl-C", flush=True)
        wait()
    print("\nstopped")


def _make_default() -> Path:
    from lxcompress.cli.prune import find_ticket, report
    from lxcompress.config import PruneConfig
    from lxcompress.run import Run

    config = PruneConfig.parse({})
    run = Run(_RUNS / config.run_name)
    print(
        f"no finished run in {_RUNS}/; making the default one first, in {run.folder} "
        "(about two minutes on 2 cores)",
        flush=True,
    )
    report(run, find_ticket(run, config))
    return run.folder
