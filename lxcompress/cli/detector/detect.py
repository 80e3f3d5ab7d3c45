"""`lxcompress data detect`: the regions of a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lxcompress.cli.options import DetectorPrecision, Proposals, Screening
from lxcompress.system.shell import lxcompress_command
from lxcompress.vision.butd.setting import MAX_PROPOSALS

if TYPE_CHECKING:
    from lxcompress.vision.butd.setting import DetectorSetting

_COMPARED = 10  # pictures at most


def detect(
    images: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder to write; needed without --compare.")
    ] = None,
    detector: Annotated[str, typer.Option(help="pixel or butd.")] = "pixel",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of butd: a folder, Hugging Face id, or ONNX file of `lxcompress export`. "
            "[default: unc-nlp/frcnn-vg-finetuned]"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Device for butd: auto, cpu or cuda.")] = "auto",
    detector_precision: DetectorPrecision = "auto",
    proposals: Proposals = MAX_PROPOSALS,
    screening: Screening = True,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures opened at once. [default: 8; 1 for butd]"),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Write nothing: measure how far the regions of up to ten pictures are from those "
            "of the exact setting of butd, and the time of both.",
        ),
    ] = False,
    skip_broken: Annotated[
        bool,
        typer.Option("--skip-broken", help="Leave out pictures that cannot be read; list them."),
    ] = False,
) -> None:
    """Detect the regions of a folder of pictures.

    pixel finds drawn shapes; butd, the bottom-up-attention Faster R-CNN, gives LXMERT's regions
    of photographs. After an interrupt, or when pictures were added, the same command continues.

    Example: lxcompress data detect pictures/ --output regions/mine --detector butd
    """
    from lxcompress.data.regions.detection import detect_folder
    from lxcompress.data.regions.index import INDEX_NAME
    from lxcompress.errors import ConfigError
    from lxcompress.vision.butd.setting import DetectorSetting
    from lxcompress.vision.detectors import get_detector

    setting = DetectorSetting(detector_precision, proposals, screening)
    if compare:
        if output is not None or skip_broken or batch_size is not None or detector != "butd":
            raise ConfigError(
                "--compare needs --detector butd, and writes nothing: leave out --output, "
                "--batch-size and --skip-broken"
            )
        _compare(images, weights, device, setting)
        return
    if output is None:
        raise ConfigError("give --output, the folder for the regions, or --compare")
    store = detect_folder(
        images,
        output,
        get_detector(detector, weights, device, setting),
        batch_size,
        skip_broken=skip_broken,
    )
    result = f"regions of {len(store)} pictures ({store.feature_size} features): {output}"
    if store.skipped:
        for name, problem in store.skipped.items():
            typer.echo(f"skipped: {name}: {problem}", err=True)
        result += f"; {len(store.skipped)} broken pictures left out, listed in {INDEX_NAME} there"
    print_result(
        result,
        lxcompress_command("data", "import", "--train-regions", output) + " … --output DATASET",
    )


def print_result(result: str, next_command: str) -> None:
    """Print what a command made, and the command that usually follows."""
    print(f"{result}\nnext: {next_command}")


def _compare(images: Path, weights: str | None, device: str, setting: DetectorSetting) -> None:
    from lxcompress.data.regions.picture_files import find_pictures
    from lxcompress.errors import ConfigError
    from lxcompress.system.progress import progress
    from lxcompress.vision.butd.setting import EXACT
    from lxcompress.vision.comparison import compare_detectors
    from lxcompress.vision.detectors import get_detector, is_exported
    from lxcompress.vision.pictures import open_picture

    if is_exported(weights):
        raise ConfigError("--compare needs a folder of weights, or a Hugging Face id")
    pictures = list(find_pictures([images]).values())[:_COMPARED]
    exact, other = (get_detector("butd", weights, device, how) for how in (EXACT, setting))
    print(
        "picture: seconds exact and with this setting; regions that both find; features differ by"
    )
    found = []
    with progress("Comparing", len(pictures), "pictures") as meter:
        comparisons = compare_detectors(exact, other, map(open_picture, pictures))
        for path, compared in zip(pictures, comparisons, strict=True):
            found.append(compared)
            print(
                f"{path.name}: {compared.exact_seconds:.1f} {compared.other_seconds:.1f}; "
                f"{compared.matched} of {compared.regions}; {compared.feature_difference:.2e}",
                flush=True,
            )
            meter.advance()
    exact_seconds, seconds = (
        sum(getattr(one, name) for one in found) for name in ("exact_seconds", "other_seconds")
    )
    regions, matched = (sum(getattr(one, name) for one in found) for name in ("regions", "matched"))
    noun = "picture" if len(found) == 1 else "pictures"
    print(
        f"{len(found)} {noun}: {exact_seconds / seconds:.2f} times as fast; "
        f"{matched / regions:.1%} of the regions (intersection over union 0.9); features of these "
        f"differ by at most {max(one.feature_difference for one in found):.2e} (relative norm)"
    )
