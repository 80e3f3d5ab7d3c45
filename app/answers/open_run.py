"""Open a run for the demo: find it, export the ONNX files it lacks, load models and detector."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from app.answers.known_inputs import KnownInputs
from app.answers.models import ModelPair
from app.answers.region_cache import RegionCache
from app.answers.service import Service
from exporters.variants import VARIANTS, Variant
from lxcompress.errors import ConfigError, ModelError, RunError
from lxcompress.run import Run
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.pixel import PixelDetector


@dataclass(frozen=True)
class ServedModels:
    """The two files to serve, and how to run them and the detector.

    ticket, dense: variants of the export.
    device: "cpu" or "cuda", for the models and for the detector "butd".
    threads: CPU threads of each model; None lets `Model` decide.
    detector_weights: a folder or hub id; None for the detector's default weights.
    """

    ticket: Variant
    dense: Variant
    device: str = "cpu"
    threads: int | None = None
    detector_weights: str | None = None

    @classmethod
    def parse(
        cls, ticket: str, dense: str, device: str, threads: int | None, detector_weights: str | None
    ) -> ServedModels:
        """Look up both variants by name.

        Raises:
            ConfigError: a name is unknown, or is a dense variant for the ticket or vice versa.
        """
        return cls(
            _find_variant("variant", ticket, sparse=True),
            _find_variant("dense-variant", dense, sparse=False),
            device,
            threads,
            detector_weights,
        )

    def with_comparable_dense(self, folder: Path) -> ServedModels:
        """Serve the dense file that the ticket of a run is best compared with.

        That is fp32; for a structured ticket, which is faster, the one of its own precision.

        Raises:
            RunError: `folder` is not a finished run.
        """
        structure = Run.open_finished(folder).read_result().ticket.structure
        return replace(self, dense=VARIANTS[self.ticket.precision if structure else "fp32"])


def _find_variant(option: str, name: str, *, sparse: bool) -> Variant:
    names = [variant.name for variant in VARIANTS.values() if variant.sparse == sparse]
    if name not in names:
        raise ConfigError(f"--{option} {name}: choose {', '.join(names)}")
    return VARIANTS[name]


def find_newest_run(runs: Path) -> Path | None:
    """The most recently finished run in the folder `runs` with a sparse ticket, or None."""
    candidates = [Run(folder) for folder in (runs.iterdir() if runs.is_dir() else ())]
    finished = [run for run in candidates if run.exists() and run.is_finished()]
    newest_first = sorted(finished, key=lambda run: run.result.stat().st_mtime, reverse=True)
    for run in newest_first:
        with suppress(RunError):  # damaged, or made with --no-enforce-mask
            run.check_sparse()
            return run.folder
    return None


def find_missing_files(folder: Path, served: ServedModels) -> list[Variant]:
    """The served variants whose ONNX files the run lacks.

    Raises:
        RunError: `folder` is not a finished run, or its ticket is not sparse.
    """
    run = Run.open_finished(folder)
    run.check_sparse()
    return [
        variant
        for variant in (served.dense, served.ticket)
        if not (run.onnx / variant.file).exists()
    ]


def export_files(folder: Path, variants: list[Variant]) -> None:
    """Write and check ONNX files of a run, as `lxcompress export` does."""
    # These import PyTorch, which the demo does not need when the files exist.
    from exporters.export import export
    from exporters.source import Source

    export(Source.of(folder, None, None), variants, "cpu")


def open_service(folder: Path, served: ServedModels) -> Service:
    """Load both files, and the detector that made the regions of the run's data.

    Raises:
        RunError: the run's result cannot be read.
        ConfigError: the detector is unknown, or has no weights to choose.
        ModelError: a file is damaged, or the detector's features do not fit the model.
        DeviceError: the device cannot be used here.
    """
    run = Run(folder)
    data = run.read_result().dataset
    if data.detector is None:
        raise ConfigError(
            f"the dataset of {folder} does not name the detector of its regions; add `detector:` "
            f"to {data.folder}/dataset.yaml and run `lxcompress prune` again"
        )
    # PixelDetector takes no device.
    device = "auto" if data.detector == PixelDetector.name else served.device
    detector = get_detector(data.detector, served.detector_weights, device)
    pair = ModelPair.open(
        run.onnx / served.ticket.file, run.onnx / served.dense.file, served.device, served.threads
    )
    if detector.feature_size != pair.ticket.feature_size:
        raise ModelError(
            f"the model in {folder} expects {pair.ticket.feature_size} features a region, but the "
            f"{detector.name} detector gives {detector.feature_size}"
        )
    known = KnownInputs.from_vocabulary(
        data.name, detector.name, pair.ticket.labels, pair.ticket.tokenizer
    )
    return Service(pair, RegionCache(detector), known)
