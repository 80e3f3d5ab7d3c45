"""The model card of a ticket, made from the figures by the text in model_card.md.

No figure is typed there: all are from result.json, export.json and the ticket's own config.json.
What users named (dataset, answers, models) becomes one printable line, escaped in Markdown; of a
folder only the last name is told, for a card is public and home directories are not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from exporters.graph.interface import OPSET
from exporters.records import ExportRecord
from lxcompress.config import EMBEDDED_DATA, EMBEDDED_MODEL
from lxcompress.system.text import one_line
from lxcompress.vision.detectors import DETECTORS

_TEXT = Path(__file__).with_name("model_card.md")
_TASK = "visual-question-answering"
_TAGS = ["lxmert", "lottery-ticket", "pruning", "onnx", "sparse", _TASK]
_HUB_NAME = re.compile(r"([\w-]+/)?[\w.-]+", re.ASCII)  # what the Hub takes for a dataset's name
_SHOWN_ANSWERS = 30
_LAYERS = {"l_layers": "language", "r_layers": "vision", "x_layers": "cross-modality"}
_RECIPE = ("epochs", "batch-size", "learning-rate", "seed", "precision", "max-tokens")
_MEANING = {
    "subnetwork": {
        "low": "the weights of smallest magnitude were removed, as the paper's winning tickets",
        "high": "the weights of largest magnitude were removed; a control, no winning ticket",
        "random": "the weights to remove were drawn by lot; a control, no winning ticket",
    },
    "scope": {
        "global": "all prunable weights ranked together",
        "layer": "each weight matrix ranked by itself",
        "modality": "language, vision and cross-modality each ranked by itself",
    },
    "schedule": {
        "paper": "trained, pruned in steps, trained once more",
        "iterative": "pruned in steps, trained again after each",
    },
    "rewind": {
        "weights": "trained again from the start weights",
        "late": "trained again from the weights after the first steps of dense training",
        "lr": "trained on from the trained weights; only the learning rate started again",
    },
}
_SHAPES = " Their pictures are generated, coloured shapes; it knows nothing of photographs."


def model_card(
    name: str,
    result: dict[str, Any],
    files: Mapping[str, ExportRecord],
    architecture: dict[str, Any],
) -> str:
    """README.md for a result, the report's records of its files and the model's config.json."""
    metadata = _metadata(one_line(name) or "ticket", result).to_yaml()
    return f"---\n{metadata}\n---\n\n{_body(result, files, architecture)}"


def _text(value: object) -> str:
    """It as Markdown that says just this, in a table too: no mark-up, HTML or link."""
    text = one_line(value) or "unnamed"
    return re.sub(r"[^\w .,/+()%='?-]|_", lambda mark: f"&#{ord(mark[0])};", text)


def _hub_id(model: str | None) -> str | None:
    """The start model where it is a hub id: owner/name, and no folder of that name is here."""
    is_id = model and "/" in model and _HUB_NAME.fullmatch(model)
    return model if model and is_id and not Path(model).parent.exists() else None


def _name(value: str) -> str:
    """What may be told of a folder, file or hub id."""
    return one_line(_hub_id(value) or Path(value).name or value)


def _metadata(name: str, result: dict[str, Any]) -> ModelCardData:
    data = one_line(result["dataset"]["name"])
    known = data if _HUB_NAME.fullmatch(data) else None
    slug = known or re.sub(r"[^\w.-]+", "-", data, flags=re.ASCII).strip("-") or "dataset"
    # The dense model's figures are there to compare with, so their type is one of their own.
    models = {"ticket": ("accuracy", ""), "dense": ("accuracy_of_dense_model", ", dense model")}
    figures = [
        EvalResult(
            task_type=_TASK,
            dataset_type=slug,
            dataset_name=data or slug,
            dataset_split="validation",
            metric_type=metric,
            metric_name=f"{result['metric']}, {kind}{of_dense}",
            metric_value=value,
        )
        for model, (metric, of_dense) in models.items()
        for kind, value in result[model]["accuracy"].items()
        if value is not None
    ]
    return ModelCardData(
        license="apache-2.0" if _is_default(result["config"]) else None,
        library_name="transformers",
        pipeline_tag=_TASK,
        tags=_TAGS,
        base_model=_hub_id(result["config"]["model"]),
        datasets=[known] if known else None,
        model_name=name,
        eval_results=figures,
    )


def _body(
    result: dict[str, Any], files: Mapping[str, ExportRecord], architecture: dict[str, Any]
) -> str:
    config, data, features = result["config"], result["dataset"], architecture["visual_feat_dim"]
    labels = architecture["id2label"]
    answers = [_text(labels[index]) for index in sorted(labels, key=int)]
    start = _text(_name(config["model"] or config["model-config"]))
    detector = "the detector"
    if data["detector"]:
        own = " (part of lxcompress)" if data["detector"] in DETECTORS else ""
        detector = f'the detector "{_text(data["detector"])}"{own}'
    checked = dict.fromkeys(_machine(file.checked_on) for file in files.values())
    return Template(_TEXT.read_text(encoding="utf-8")).substitute(
        {name: f"{count:,}" for name, count in result["weights"].items()},
        **{f"{of}_share": f"{share:.1%}" for of, share in result["ticket"]["sparsity"].items()},
        **{key: f"{config[key]}: {meaning[config[key]]}" for key, meaning in _MEANING.items()},
        **{key.replace("-", "_"): _text(config[key]) for key in _RECIPE},
        asked=f"{100 * config['sparsity']:g}%",
        start=start if config["model"] else f"none: {start}, from scratch",
        layers=", ".join(f"{architecture[key]} {kind}" for key, kind in _LAYERS.items()),
        width=architecture["hidden_size"],
        data=_text(data["name"]),
        **{name: f"{count:,}" for name, count in data["questions"].items()},
        detector=detector,
        features=features,
        count=f"{len(answers):,}",
        answers=", ".join(answers[:_SHOWN_ANSWERS] + ["…"] * (len(answers) > _SHOWN_ANSWERS)),
        metric=_text(result["metric"]),
        accuracy_table=_accuracy_table(result),
        file_table=_file_table(files),
        regions=_regions(data["detector"]),
        file=f"onnx/{min(files, key=lambda name: files[name].bytes)}",
        opset=OPSET,
        pictures=_SHAPES if config["data"] == EMBEDDED_DATA else "",
        command=_command(config),
        fingerprint=_text(data["fingerprint"]),
        machine=_machine(result["environment"]),
        checked="; ".join(checked),
        license=_license(config),
    )


def _accuracy_table(result: dict[str, Any]) -> str:
    dense, ticket = result["dense"]["accuracy"], result["ticket"]["accuracy"]
    rows = [
        f"| {_text(kind)} | {dense[kind]:.2f} | {found:.2f} |"
        for kind, found in ticket.items()
        if found is not None
    ]
    return "\n".join(["| accuracy % | dense | ticket |", "|---|---|---|", *rows])


def _file_table(files: Mapping[str, ExportRecord]) -> str:
    rows = [
        "| file | weights | MB | of dense fp32 weights | accuracy % | answers as in PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in files.items():
        accuracy = f"{found.accuracy['overall']:.2f}" if found.accuracy else "not measured"
        share = found.bytes / found.dense_fp32_bytes
        rows.append(
            f"| `onnx/{name}` | {found.precision} | {found.bytes / 1e6:.2f} | {share:.1%} "
            f"| {accuracy} | {found.same_answers:.2%} |"
        )
    return "\n".join(rows)


def _regions(detector: str | None) -> str:
    """Code that imports what it needs and sets `regions`."""
    if detector not in DETECTORS:
        return """\
from lxcompress.vision.regions import Regions

regions = Regions(features, boxes)  # yours, of the form told above"""
    return f"""\
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.pictures import open_picture

(regions,) = get_detector("{detector}").detect([open_picture(Path("picture.png"))])"""


# How one machine did it; and what every exported ticket has.
_NOT_OF_THE_TICKET = {"workers", "tensorboard", "enforce-mask"}


def _command(config: dict[str, Any]) -> str:
    words = ["lxcompress", "prune"]
    for option, value in config.items():
        if option in _NOT_OF_THE_TICKET:
            continue
        if value is True:
            words.append(f"--{option}")
        elif value is not None and value is not False:
            words += [f"--{option}", _name(value) if isinstance(value, str) else str(value)]
    return shlex.join(words)


def _machine(found: dict[str, Any]) -> str:
    wanted = ("lxcompress", "python", "torch", "transformers", "onnxruntime", "onnxruntime-gpu")
    versions = [f"{name} {found['versions'][name]}" for name in wanted if name in found["versions"]]
    threads = f"{found['cores']} cores, {found['torch_threads']} torch threads"
    parts = [found["device"], found.get("gpu"), found["processor"], threads, *versions]
    return _text(", ".join(part for part in parts if part))


def _is_default(config: dict[str, Any]) -> bool:
    """Whether these weights come from nothing but what lxcompress brings along."""
    return config["model"] == EMBEDDED_MODEL and config["data"] == EMBEDDED_DATA


def _license(config: dict[str, Any]) -> str:
    if _is_default(config):
        return "Apache-2.0: start weights and data are those that lxcompress brings along."
    whose = "Whoever trained this model decides"
    if config["model"]:
        whose = f"The license of the base model, {_text(_name(config['model']))}, applies"
    return f"{whose}; the training data may have terms too."
