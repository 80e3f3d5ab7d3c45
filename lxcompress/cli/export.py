"""`lxcompress export` and `lxcompress verify`: write ONNX files, and check them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lxcompress.cli.detector.export import export_detector_file
from lxcompress.cli.options import Answers, OtherTokenizer, Proposals, Screening
from lxcompress.vision.butd.setting import MAX_PROPOSALS

if TYPE_CHECKING:
    from exporters.records import ExportReport
    from exporters.source import Source


def export(
    source: Annotated[
        str | None, typer.Argument(help="Run directory, any LXMERT model folder, or hub id.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="fp32, fp16, int8 (of the dense model), sparse-fp32, sparse-fp16, sparse-int8 (of "
            "the ticket); repeat for more. [default: all]"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="For a model: the dataset to check the files on. [default: generated questions "
            "and regions]"
        ),
    ] = None,
    answers: Answers = None,
    tokenizer: OtherTokenizer = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=3, help="For a model: maximum question length. [default: 20]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output folder. [default: onnx/ in the source]")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the files are checked: cpu or cuda.")] = "cpu",
    hub: Annotated[
        Path | None,
        typer.Option(
            help="New folder for a Hugging Face model repository of the ticket, or of a model "
            "without one: its weights, its ONNX files and a model card."
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="With --hub: upload that folder to this repository. A new one is public unless "
            "its owner's default is private.",
        ),
    ] = None,
    triton: Annotated[
        Path | None,
        typer.Option(help="Model repository for NVIDIA Triton: add the ticket to this folder."),
    ] = None,
    triton_device: Annotated[
        str | None,
        typer.Option(
            help="With --triton: cuda serves sparse-fp16, cpu sparse-int8, unless --variant names "
            "others. [default: cuda]"
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Instead of a model, export this detector: butd. Needs --output."),
    ] = None,
    detector_weights: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of the detector's weights. [default: published ones]"),
    ] = None,
    proposals: Proposals = MAX_PROPOSALS,
    screening: Screening = True,
) -> None:
    """Write a ticket and its dense model as ONNX files, small where sparse, and check each.

    Every file is compared with PyTorch on the validation questions, or on generated ones, in stock
    ONNX Runtime; one that differs is deleted. The same command again writes only missing files.

    Example: lxcompress export runs/shapes-low-50
    """
    from exporters.export import export as export_files
    from exporters.latency.delivered import measure_speedup
    from exporters.runtime.session import check_device
    from exporters.source import Source
    from lxcompress.errors import ConfigError

    of_models = (source, variant, data, answers, tokenizer, max_tokens, hub, push, triton)
    if detector is not None:
        if device != "cpu" or any(option is not None for option in (*of_models, triton_device)):
            raise ConfigError(
                "with --detector, only --output, --detector-weights, --proposals and --screening "
                "are given"
            )
        export_detector_file(detector, detector_weights, proposals, screening, output)
        return
    if source is None:
        raise ConfigError("give a run, a model folder or a hub id to export, or --detector butd")
    if detector_weights is not None or proposals != MAX_PROPOSALS or not screening:
        raise ConfigError("--detector-weights, --proposals and --screening need --detector butd")
    models = Source.of(source, data, max_tokens, output, answers=answers, tokenizer=tokenizer)
    if hub is not None:
        from exporters.targets.hub import check_hub

        check_hub(models, variant or [], hub, push)
    elif push is not None:
        raise ConfigError("--push needs --hub, the folder to upload")
    check_device(device)
    kind = triton_device or "cuda"
    if triton is not None:
        from exporters.targets.triton.repository import check_triton, choose_variants

        to_serve = choose_variants(variant or [], kind)
        check_triton(models, triton, hub)
    elif triton_device is not None:
        raise ConfigError("--triton-device needs --triton, the model repository")
    chosen = models.variants(variant or [])
    report = export_files(models, chosen, device)
    speedup = measure_speedup(models, report)
    if speedup != report.speedup:
        report = report.model_copy(update={"speedup": speedup})
        report.write(models.onnx)
    # The report also lists files of earlier exports, which may have been deleted.
    files = {wanted.file: report.files[wanted.file] for wanted in chosen}
    report = report.model_copy(update={"files": files})
    _print_files(report, models.onnx)
    if hub is not None:
        _publish(models, report, hub, push)
    if triton is not None:
        from exporters.targets.triton.repository import write_triton

        name = Path(source).resolve().name
        for model in write_triton(models, report, to_serve, triton, kind, name):
            print(f"Triton model: {model}; how to serve it: {model / 'README.md'}")


def verify(
    file: Annotated[Path, typer.Argument(help="An ONNX file that `lxcompress export` wrote.")],
    run: Annotated[
        str | None,
        typer.Option(help="Also compare it with the model of this run, model folder or hub id."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="With a model as --run: the dataset to compare on. [default: generated questions "
            "and regions]"
        ),
    ] = None,
    answers: Answers = None,
    tokenizer: OtherTokenizer = None,
    device: Annotated[str, typer.Option(help="With --run: cpu or cuda.")] = "cpu",
) -> None:
    """Check an exported file: its structure, sparsity and checksum, from the file alone.

    With --run, also compare its weights, logits and accuracy with the PyTorch model.

    Example: lxcompress verify runs/shapes-low-50/onnx/model_sparse_int8.onnx
    """
    from exporters.export import compare
    from exporters.graph.onnx_file import OnnxFile
    from exporters.runtime.session import check_device
    from exporters.source import Source
    from exporters.verify.structure import check_structure
    from lxcompress.errors import ConfigError

    needs_run = (data, answers, tokenizer)
    if run is None and (device != "cpu" or any(option is not None for option in needs_run)):
        raise ConfigError(
            "--data, --answers, --tokenizer and --device need --run, the model to compare with"
        )
    source = None
    if run is not None:
        source = Source.of(run, data, None, answers=answers, tokenizer=tokenizer)
        check_device(device)
    opened = OnnxFile(file)
    found = check_structure(opened)
    print(f"{file}: {found.bytes:,} bytes, sha256 {found.sha256}")
    print(f"{found.parameters:,} weights, checksum as recorded, valid ONNX")
    print(f"encoding: {opened.metadata['encoding']}; pattern: {found.pattern}")
    if found.prunable:
        share = found.pruned / found.prunable
        print(f"pruned: {found.pruned:,} of {found.prunable:,} prunable ({share:.1%})")
    for kind, parts in found.units.items():
        left, total = (sum(counts) for counts in zip(*parts.values(), strict=True))
        by_part = [f"{part} {some:,} of {of:,}" for part, (some, of) in parts.items() if of]
        print(f"{kind} left: {left:,} of {total:,} ({', '.join(by_part)})")
    if source is not None:
        compared = compare(opened, source, device)
        print(
            f"same answers as PyTorch: {compared.same_answers:.2%} of {compared.questions:,}; "
            f"largest logit difference {compared.largest_logit_difference:.3g}"
        )
        if compared.accuracy and compared.accuracy_in_pytorch:
            print(
                f"accuracy: {compared.accuracy['overall']:.2f}, in PyTorch "
                f"{compared.accuracy_in_pytorch['overall']:.2f}"
            )
    print("verified")


def _publish(source: Source, report: ExportReport, hub: Path, repo: str | None) -> None:
    from exporters.targets.hub import push, write_hub_folder

    write_hub_folder(source, report, hub)
    print(f"model repository: {hub}")
    if repo is None:
        print("next: " + shlex.join(["hf", "upload", "OWNER/NAME", str(hub)]))
    else:
        print(f"uploaded: {push(hub, repo)}")


def _print_files(report: ExportReport, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from exporters.records import EXPORT_REPORT

    table = Table(title=f"{folder}, checked in stock ONNX Runtime")
    table.add_column("file", no_wrap=True)
    for column in ("MB", "of fp32", "over bound", "same answers", "accuracy"):
        table.add_column(column, justify="right")
    for name, record in report.files.items():
        size, formula = record.bytes, record.formula
        table.add_row(
            name,
            f"{size / 1e6:.2f}",
            f"{size / record.dense_fp32_bytes:.1%}",
            f"{size / formula.entropy_bound - 1:+.1%}" if formula.mask else "",
            f"{record.same_answers:.2%}",
            f"{record.accuracy['overall']:.2f}" if record.accuracy else "not measured",
        )
    Console().print(table)
    if report.speedup is not None:
        found = report.speedup
        print(
            f"speedup: {found.measured:.2f} times as fast as the dense file ({found.precision}, "
            f"batch {found.batch}); target {found.target:g}, predicted {found.predicted:.2f}"
        )
    print("of fp32: of the dense fp32 weights; over bound: above the values and the mask's entropy")
    print(f"figures: {folder / EXPORT_REPORT}")
