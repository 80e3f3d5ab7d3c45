"""`lxcompress demo`: a web page that answers questions about pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lxcompress.cli.options import (
    Answers,
    Detector,
    DetectorPrecision,
    DetectorWeights,
    OtherTokenizer,
    Proposals,
    Screening,
)
from lxcompress.vision.butd.setting import MAX_PROPOSALS

_RUNS = Path("runs")


def demo(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Run directory, model folder, hub id, or exported .onnx file. [default: the most "
            "recently finished run in runs/]"
        ),
    ] = None,
    answers: Answers = None,
    tokenizer: OtherTokenizer = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="ONNX file of a run's ticket: sparse-fp32, sparse-fp16 or sparse-int8 [default]; "
            "of a model: fp32 [default], fp16, int8, or sparse-… of a ticket's folder."
        ),
    ] = None,
    dense_variant: Annotated[
        str | None,
        typer.Option(
            help="Of a run's dense model: fp32, fp16 or int8. [default: fp32; for a "
            "structured ticket that of its precision, so that their speeds can be compared]"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="CPU threads of each model. [default: 1 for a small model, else all cores]"
        ),
    ] = None,
    detector: Detector = None,
    detector_weights: DetectorWeights = None,
    detector_precision: DetectorPrecision = "auto",
    proposals: Proposals = MAX_PROPOSALS,
    screening: Screening = True,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="[default: the first free port from 7860]"),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on: 0.0.0.0 or :: lets other machines connect, in a container "
            "for instance. There is no password."
        ),
    ] = "127.0.0.1",
    root_path: Annotated[
        str,
        typer.Option(
            help="Behind a reverse proxy: the path that it serves the page at, such as /vqa, or "
            "the whole public URL."
        ),
    ] = "",
    share: Annotated[
        bool,
        typer.Option("--share", help="Also serve at a public address, through Gradio's servers."),
    ] = False,
) -> None:
    """Ask questions about a picture on a page, of any model; of a run, ticket and dense model.

    Only this machine can open the page, unless --host says otherwise. ONNX files that are missing
    are exported first, of a model into the cache; without a model and a finished run, the default
    ticket is found first, in about two minutes.

    Example: lxcompress demo unc-nlp/lxmert-vqa-uncased
    """
    from app.address import Address, find_port
    from app.answers.open_service import ServiceOptions, open_detector_of, open_service
    from app.answers.served_files import ModelOptions, ServedFiles, find_newest_run
    from app.server import serve_page, wait_for_interrupt
    from exporters.runtime.session import check_device
    from lxcompress.vision.butd.setting import DetectorSetting

    # What can be checked at once is checked before minutes of work.
    setting = DetectorSetting(detector_precision, proposals, screening)
    check_device(device)
    address = Address.parse(host, root_path)
    find_port(port, address.host)
    options = ModelOptions(variant, dense_variant, answers, tokenizer)
    if model is None:
        options.check_for_run()
    name = model or str(find_newest_run(_RUNS) or _find_default_ticket())
    files = ServedFiles.find(name, options)
    running = ServiceOptions(device, threads, detector, detector_weights, setting)
    found = open_detector_of(files, running)
    if files.missing:
        names = ", ".join(file.name for file in files.missing)
        print(f"{name} has no {names} yet; exporting first (minutes at full size)", flush=True)
    files.export()
    service = open_service(files, found, running)
    with serve_page(service, port, address, share=share) as page:
        if address.warning:
            print(address.warning, file=sys.stderr, flush=True)
        data = f", on {files.data}" if files.data is not None else ""
        print(f"{name}{data}: {page.address}", flush=True)
        if page.public_address:
            print(f"public address: {page.public_address}", flush=True)
        print("stop with Ctrl-C", flush=True)
        wait_for_interrupt()
    print("\nstopped")


def _find_default_ticket() -> Path:
    from lxcompress.cli.prune import find_ticket, report
    from lxcompress.config import PruneConfig
    from lxcompress.run import Run
    from lxcompress.run_name import run_name

    config = PruneConfig.parse({})
    run = Run(_RUNS / run_name(config))
    print(
        f"no finished run in {_RUNS}/; finding the default ticket first, in {run.folder} "
        "(about two minutes on 2 cores)",
        flush=True,
    )
    report(run, find_ticket(run, config))
    return run.folder
