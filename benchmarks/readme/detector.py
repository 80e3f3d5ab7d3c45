"""Seconds of the detector by part, exact, screened and in ONNX Runtime, on the CPU.

    python -m benchmarks.readme.detector --pictures coco-sample
        --output benchmarks/results/detector.json

The network has the published sizes and random weights of sane statistics: time does not depend on
them, but which regions are selected does. The settings take turns on each picture. Seconds are of
processor time, which is the time that passes with one thread on an idle machine; other processes
affect it little.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from benchmarks.measure.random_detector import random_network
from benchmarks.measure.statistics import median_ratio
from benchmarks.readme import speed_report
from exporters.detector.export import export_detector, generated_picture
from lxcompress.data.regions.picture_files import find_pictures
from lxcompress.system.timing import time_in_rounds
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.detector import BottomUpDetector
from lxcompress.vision.butd.onnx_detector import OnnxBottomUpDetector
from lxcompress.vision.butd.setting import EXACT, DetectorSetting
from lxcompress.vision.butd.weights import CONFIG_NAME, WEIGHTS_NAME
from lxcompress.vision.comparison import compare_regions
from lxcompress.vision.pictures import open_picture
from lxcompress.vision.regions import Detector, Regions

MODULE = "benchmarks.readme.detector"
PARTS = ("picture", "backbone", "proposals", "heads", "selection")
_SMALL = Architecture(blocks=(1, 2, 2), width=8, short_side=96, long_side=160, max_proposals=120)
_GENERATED = (480, 640)  # height and width of a picture where none are given


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument("--pictures", type=Path, help="folder; by default a generated picture")
    parser.add_argument("--number", type=int, default=2, help="of pictures")
    parser.add_argument("--rounds", type=int, default=1, help="of each picture")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.pictures is None:
        pictures = [generated_picture(0, *_GENERATED)]
    else:
        paths = list(find_pictures([given.pictures]).values())[: given.number]
        pictures = [open_picture(path) for path in paths]
    measured = measure(_SMALL if given.small else Architecture(), pictures, given.rounds)
    speed_report.publish(MODULE, given, _rows(measured), **measured)


def measure(
    architecture: Architecture, pictures: Sequence[Image.Image], rounds: int
) -> dict[str, Any]:
    """Seconds of each setting by part, and how far its regions are from the exact ones."""
    with tempfile.TemporaryDirectory() as temporary:
        detectors = _detectors(architecture, Path(temporary))
        parts = {
            name: _PartTimer(detector)
            for name, detector in detectors.items()
            if isinstance(detector, BottomUpDetector)
        }
        seconds: dict[str, list[float]] = {name: [] for name in detectors}
        by_part: dict[str, list[dict[str, float]]] = {name: [] for name in parts}
        found: dict[str, list[Regions]] = {name: [] for name in detectors}
        for number, picture in enumerate(pictures, 1):
            speed_report.status(f"picture {number} of {len(pictures)}")
            latest: dict[str, Regions] = {}
            systems = {
                name: _run(name, detector, picture, latest, parts, by_part)
                for name, detector in detectors.items()
            }
            if number == 1:  # the first picture of a detector allocates and prepares
                for run in systems.values():
                    run()
                for records in by_part.values():
                    records.clear()
            if number % 2 == 0:  # one round has the same order for each picture
                systems = dict(reversed(systems.items()))
            samples = time_in_rounds(
                systems, rounds=rounds, seconds=0, warm_up=0, clock=time.process_time
            )
            for name in detectors:
                seconds[name] += samples[name]
                found[name].append(latest[name])
    return {
        "pictures": [[picture.height, picture.width] for picture in pictures],
        "threads": torch.get_num_threads(),
        "settings": {
            name: {
                "total": speed_report.seconds(seconds[name]),
                "parts": {
                    part: speed_report.seconds([record[part] for record in by_part[name]])
                    for part in (PARTS if name in by_part else ())
                },
                "times_as_fast_as_exact": median_ratio(
                    seconds["exact"], seconds[name]
                ).model_dump(),
                "regions": _compare(found["exact"], found[name]),
            }
            for name in detectors
        },
    }


def _detectors(architecture: Architecture, folder: Path) -> dict[str, Detector]:
    config = {
        "input": {"min_size_test": architecture.short_side, "max_size_test": architecture.long_side}
    }
    (folder / CONFIG_NAME).write_text(yaml.safe_dump(config))
    torch.save(random_network(0, architecture).state_dict(), folder / WEIGHTS_NAME)
    exact = BottomUpDetector(folder, architecture=architecture, setting=EXACT)
    screened = BottomUpDetector(folder, architecture=architecture, setting=DetectorSetting("fp32"))
    speed_report.status("exporting the detector")
    file = export_detector(screened, folder / "onnx").path
    return {
        "exact": exact,
        "screened": screened,
        "screened, ONNX Runtime": OnnxBottomUpDetector(file, torch.get_num_threads()),
    }


class _PartTimer:
    """Notes the times at which the parts of a detector end."""

    def __init__(self, detector: BottomUpDetector) -> None:
        self._ends: list[float] = []
        network = detector.network
        network.backbone.register_forward_pre_hook(lambda *_: self._note())
        for part in (network.backbone, network.proposal_generator, network):
            part.register_forward_hook(lambda *_: self._note())

    def _note(self) -> None:
        self._ends.append(time.process_time())

    def time(self, run: Callable[[], object]) -> dict[str, float]:
        """Seconds of each part of one picture."""
        self._ends = [time.process_time()]
        run()
        self._note()
        differences = np.diff(self._ends).tolist()
        return dict(zip(PARTS, differences, strict=True))


def _run(
    name: str,
    detector: Detector,
    picture: Image.Image,
    latest: dict[str, Regions],
    parts: dict[str, _PartTimer],
    by_part: dict[str, list[dict[str, float]]],
) -> Callable[[], None]:
    def detect() -> None:
        (latest[name],) = detector.detect([picture])

    def detect_by_part() -> None:
        by_part[name].append(parts[name].time(detect))

    return detect_by_part if name in parts else detect


def _compare(exact: Sequence[Regions], other: Sequence[Regions]) -> dict[str, Any]:
    compared = [compare_regions(*pair) for pair in zip(exact, other, strict=True)]
    return {
        "matched": sum(one.matched for one in compared),
        "exact": sum(one.regions for one in compared),
        "largest_feature_difference": max(one.feature_difference for one in compared),
    }


def _rows(measured: dict[str, Any]) -> list[dict[str, str]]:
    rows = []
    for name, record in measured["settings"].items():
        parts = ", ".join(f"{part} {time['median']:.3g}" for part, time in record["parts"].items())
        regions, ratio = record["regions"], record["times_as_fast_as_exact"]["estimate"]
        rows.append(
            {
                "what": name,
                "text": f"{record['total']['median']:.3g} s{f' ({parts})' if parts else ''}, "
                f"{ratio:.2f} times as fast as exact; {regions['matched']} of {regions['exact']} "
                f"regions, features differ by {regions['largest_feature_difference']:.1e}",
            }
        )
    return rows


if __name__ == "__main__":
    main()
