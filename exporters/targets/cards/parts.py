"""What the cards of tickets and of other models share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import LxmertConfig

from exporters.graph.interface import OPSET
from exporters.records import ExportRecord
from exporters.targets.markdown import escape_markdown, fill_template
from lxcompress.model.answer_head import labels_of
from lxcompress.system.text import one_line
from lxcompress.vision.detectors import DETECTORS

ONNX_FOLDER = "onnx"  # of a repository on the Hub, where transformers.js expects the files
TASK = "visual-question-answering"
HUB_NAME = re.compile(r"([\w-]+/)?[\w.-]+", re.ASCII)  # what the Hub accepts as a dataset's name
FOLDER = Path(__file__).parent  # of the templates
_MAX_LISTED_ANSWERS = 30
_LAYERS = {"l_layers": "language", "r_layers": "vision", "x_layers": "cross-modality"}


def hub_id(model: str | None) -> str | None:
    """The model's name if it is a hub id: owner/name, and not an existing folder."""
    is_id = model and "/" in model and HUB_NAME.fullmatch(model)
    return model if model and is_id and not Path(model).parent.exists() else None


def public_name(value: str) -> str:
    """A hub id, or the last part of a path."""
    name = Path(value).name
    if name in ("", ".."):  # relative to where the user is
        name = Path(value).resolve().name
    return one_line(hub_id(value) or name or value)


def describe_model(config: LxmertConfig) -> dict[str, Any]:
    """The values of `$layers`, `$width`, `$features`, `$count` and `$answers`."""
    answers = [escape_markdown(label) for label in labels_of(config)]
    more = ["…"] if len(answers) > _MAX_LISTED_ANSWERS else []
    return {
        "layers": ", ".join(f"{getattr(config, key)} {kind}" for key, kind in _LAYERS.items()),
        "width": config.hidden_size,
        "features": config.visual_feat_dim,
        "count": f"{len(answers):,}",
        "answers": ", ".join(answers[:_MAX_LISTED_ANSWERS] + more),
    }


def describe_detector(detector: str | None) -> str:
    """The detector whose regions the model takes."""
    if not detector:
        return "the detector"
    origin = " (part of lxcompress)" if detector in DETECTORS else ""
    return f'the detector "{escape_markdown(detector)}"{origin}'


def usage(
    detector: str | None, files: Mapping[str, ExportRecord], config: LxmertConfig, max_tokens: int
) -> str:
    """The section with code that answers a question."""
    smallest = min(files, key=lambda name: files[name].bytes)
    return fill_template(
        FOLDER / "usage.md",
        regions=_regions_code(detector),
        file=f"{ONNX_FOLDER}/{smallest}",
        opset=OPSET,
        features=config.visual_feat_dim,
        max_tokens=max_tokens,
    )


def citation() -> str:
    """The section with the papers."""
    return fill_template(FOLDER / "citation.md")


def file_table(files: Mapping[str, ExportRecord]) -> str:
    """A table of the ONNX files, by file name."""
    rows = [
        "| file | weights | MB | of dense fp32 weights | accuracy % | same answers as PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for name, record in files.items():
        accuracy = f"{record.accuracy['overall']:.2f}" if record.accuracy else "not measured"
        share = record.bytes / record.dense_fp32_bytes
        rows.append(
            f"| `{ONNX_FOLDER}/{name}` | {record.precision} | {record.bytes / 1e6:.2f} "
            f"| {share:.1%} | {accuracy} | {record.same_answers:.2%} |"
        )
    return "\n".join(rows)


def checked_on(files: Mapping[str, ExportRecord]) -> str:
    """The machines on which the files were checked, each once."""
    return "; ".join(dict.fromkeys(machine(record.checked_on) for record in files.values()))


def machine(environment: dict[str, Any]) -> str:
    """Device, processor and versions of an environment."""
    packages = ("lxcompress", "python", "torch", "transformers", "onnxruntime", "onnxruntime-gpu")
    versions = environment["versions"]
    parts = [
        environment["device"],
        environment.get("gpu"),
        environment["processor"],
        f"{environment['cores']} cores, {environment['torch_threads']} torch threads",
        *(f"{name} {versions[name]}" for name in packages if name in versions),
    ]
    return escape_markdown(", ".join(part for part in parts if part))


def license_of(model: str | None) -> str:
    """What license applies.

    model: the published model that this one is or was trained from ("the base model, x"); None for
        a model of unknown origin.
    """
    terms = "It is up to whoever trained this model"
    if model:
        terms = f"The license of {model} applies"
    return f"{terms}; the training data may have terms of their own."


def _regions_code(detector: str | None) -> str:
    """Python code that assigns `regions`, with the imports it needs."""
    if detector not in DETECTORS:
        return """\
from lxcompress.vision.regions import Regions

regions = Regions(features, boxes)  # your own, in the format above"""
    return f"""\
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.pictures import open_picture

(regions,) = get_detector("{detector}").detect([open_picture(Path("picture.png"))])"""
