"""From a run directory to a service: which run, which files, which detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.answers.known_inputs import Knowledge
from app.answers.models import Pair
from app.answers.region_cache import RegionCache
from app.answers.service import Service
from exporters.variants import VARIANTS, Variant
from lxcompress.errors import ConfigError, ModelError, RunError
from lxcompress.run import Run
from lxcompress.system.files import read_json
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.pixel import PixelDetector


@dataclass(frozen=True)
class Choice:
    """What to serve: a ticket file and a dense file, on a device, with so many threads.

    weights: of the detector, a folder or hub id; None for those that it takes by itself.
    """

    ticket: Variant
    dense: Variant
    device: str = "cpu"
    threads: int | None = None
    weights: str | None = None

    @classmethod
    def of(
        cls, ticket: str, dense: str, device: str, threads: int | None, weights: str | None
    ) -> Choice:
        """From the names of variants. Raises ConfigError for others, and for the wrong kind."""
        chosen = {}
        for option, name, sparse in (("variant", ticket, True), ("dense-variant", dense, False)):
            names = [variant.name for variant in VARIANTS.values() if variant.sparse == sparse]
            if name not in names:
                raise ConfigError(f"--{option} {name}: choose {', '.join(names)}")
            chosen[option] = VARIANTS[name]
        return cls(chosen["variant"], chosen["dense-variant"], device, threads, weights)


def newest_run(runs: Path) -> Path | None:
    """The run in the folder `runs` that was finished last, None where there is none."""
    finished = [
        run.folder
        for folder in (runs.iterdir() if runs.is_dir() else ())
        if (run := Run(folder)).result.is_file() and run.theta0.is_dir()
    ]
    return max(finished, key=lambda folder: Run(folder).result.stat().st_mtime, default=None)


def missing_files(folder: Path, choice: Choice) -> list[Variant]:
    """Those of the chosen files that the run lacks. RunError when it is no finished run."""
    run = Run(folder)
    if not run.theta0.is_dir():
        raise RunError(f"{folder} is no run directory; `lxcompress prune` makes one")
    if not run.result.exists():
        raise RunError(
            f"{folder} has no finished ticket; `lxcompress prune --resume {folder}` finds it"
        )
    return [
        variant
        for variant in (choice.dense, choice.ticket)
        if not (run.onnx / variant.file).exists()
    ]


def export_files(folder: Path, variants: list[Variant]) -> None:
    """Write ONNX files of a run, checked, as `lxcompress export` does."""
    # PyTorch, which nothing here needs when the files are there.
    from exporters.export import export
    from exporters.source import Source

    export(Source.of(folder, None, None), variants, "cpu")


def open_service(folder: Path, choice: Choice) -> Service:
    """Load both files and the detector that made the regions of the run's data.

    `choice.weights` are the detector's, where it has any and not the published ones made them.
    Raises RunError, ModelError, DeviceError and ConfigError for what does not fit.
    """
    run = Run(folder)
    result = read_json(run.result, "result", RunError)
    data = result["dataset"]
    if data["detector"] is None:
        raise ConfigError(
            f"the data of {folder} do not say what made their regions; add `detector:` to "
            f"{data['folder']}/dataset.yaml and make the run again"
        )
    # The pixel detector knows no device.
    place = "auto" if data["detector"] == PixelDetector.name else choice.device
    detector = get_detector(data["detector"], choice.weights, place)
    pair = Pair.open(
        run.onnx / choice.ticket.file, run.onnx / choice.dense.file, choice.device, choice.threads
    )
    if detector.feature_size != pair.ticket.feature_size:
        raise ModelError(
            f"the model in {folder} takes regions of {pair.ticket.feature_size} numbers, but the "
            f"{detector.name} detector gives {detector.feature_size}"
        )
    knowledge = Knowledge.of(data["name"], detector.name, pair.ticket.labels, pair.ticket.tokenizer)
    return Service(pair, RegionCache(detector), knowledge)
