"""Fill in a ticket's model card, the template ticket.md.

The template contains no figures: all come from result.json, export.json and the ticket's
config.json. Names chosen by users (dataset, answers, models) are escaped and reduced to one line.
Of a path only the last part is shown, because a card is public and home directories are not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from transformers import LxmertConfig

from exporters.records import ExportRecord
from exporters.targets.cards.parts import (
    FOLDER,
    HUB_NAME,
    TASK,
    checked_on,
    citation,
    describe_detector,
    describe_model,
    file_table,
    hub_id,
    license_of,
    machine,
    public_name,
    usage,
)
from exporters.targets.markdown import escape_markdown, fill_template
from lxcompress.choices import (
    Choice,
    Criterion,
    Pattern,
    Rewind,
    Schedule,
    Scope,
    Subnetwork,
    n_of_m,
)
from lxcompress.config import EMBEDDED_DATA, EMBEDDED_MODEL
from lxcompress.result import Measured, RunResult
from lxcompress.system.text import one_line

_TAGS = ["lxmert", "lottery-ticket", "pruning", "onnx", "sparse", TASK]
_RECIPE = ("epochs", "batch-size", "learning-rate", "seed", "precision", "max-tokens")
_CHOICES: dict[str, type[Choice]] = {
    "criterion": Criterion,
    "subnetwork": Subnetwork,
    "scope": Scope,
    "schedule": Schedule,
    "rewind": Rewind,
}
_GIVEN_MASK = "none: the mask was given"
_SHAPES_NOTE = (
    " Their pictures are generated drawings of coloured shapes; photographs are out of "
    "distribution."
)
_STORED = {  # by encoding
    "compact": "An ONNX file has only the attention heads and feed-forward neurons that remain.",
    "bitmask": "An ONNX file stores a matrix with pruned weights as one bit for each weight, and "
    "the values of the remaining ones.",
}
_SPEED = {  # by whether the files are compact
    True: "Heads and neurons that are pruned whole are not in the ONNX files, whose matrix "
    "products are faster in proportion. Other pruned weights make files smaller only, and PyTorch "
    "computes with all zeros.",
    False: "Its pruned weights make files smaller, but not matrix products faster.",
}
_N_OF_M = (
    " In every row, {n} of every {m} weights are left. TensorRT can use 2:4 (ONNX Runtime's option "
    "`trt_sparsity_enable`) in a file with decoded weights; no speed was measured."
)
# Options that affect how a run is computed, not its result; and what every exported ticket has.
_NOT_IN_COMMAND = {"workers", "tensorboard", "enforce-mask", "control"}


def ticket_card(
    name: str, result: RunResult, files: Mapping[str, ExportRecord], config: LxmertConfig
) -> str:
    """The README.md of a ticket, from its result, the report's records of its files, its config."""
    metadata = _metadata(one_line(name) or "ticket", result).to_yaml()
    return f"---\n{metadata}\n---\n\n{_body(result, files, config)}"


def _metadata(name: str, result: RunResult) -> ModelCardData:
    data = one_line(result.dataset.name)
    hub_name = data if HUB_NAME.fullmatch(data) else None
    slug = hub_name or re.sub(r"[^\w.-]+", "-", data, flags=re.ASCII).strip("-") or "dataset"
    # The dense model's accuracies have a metric type of their own: they are not this model's.
    models = (
        (result.ticket, "accuracy", ""),
        (result.dense, "accuracy_of_dense_model", ", dense model"),
    )
    accuracies = [
        EvalResult(
            task_type=TASK,
            dataset_type=slug,
            dataset_name=data or slug,
            dataset_split="validation",
            metric_type=metric,
            metric_name=f"{result.metric}, {answer_type}{suffix}",
            metric_value=value,
        )
        for model, metric, suffix in models
        for answer_type, value in model.accuracy.items()
        if value is not None
    ]
    return ModelCardData(
        license="apache-2.0" if _is_embedded(result.config) else None,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=_TAGS,
        base_model=hub_id(_start_model(result.config)),
        datasets=[hub_name] if hub_name else None,
        model_name=name,
        eval_results=accuracies,
    )


def _body(result: RunResult, files: Mapping[str, ExportRecord], config: LxmertConfig) -> str:
    settings, data = result.config, result.dataset
    model = _start_model(settings)
    start = escape_markdown(public_name(model or settings["model-config"]))
    encodings = {part for record in files.values() for part in record.encoding.split("+")}
    choices = {
        key: f"{choice}: {choice.description}"
        for key, kind in _CHOICES.items()
        if (choice := kind.parse(settings[key]))
    }
    if result.mask is not None:
        choices |= dict.fromkeys(("criterion", "subnetwork", "scope"), _GIVEN_MASK)
    return fill_template(
        FOLDER / "ticket.md",
        **{name: f"{count:,}" for name, count in result.weights},
        **{f"{of}_share": f"{share:.1%}" for of, share in result.ticket.sparsity},
        pattern="; then ".join(f"{it}: {Pattern.of(it).description}" for it in result.patterns),
        **choices,
        **{key.replace("-", "_"): escape_markdown(settings[key]) for key in _RECIPE},
        sparsity=f"{100 * result.ticket.sparsity.prunable:.3g}%",
        control=_control(result),
        start=start if model else f"none: {start}, from scratch",
        **describe_model(config),
        data=escape_markdown(data.name),
        **{name: f"{count:,}" for name, count in data.questions.items()},
        detector=describe_detector(data.detector),
        metric=escape_markdown(result.metric),
        accuracy_table=_accuracy_table(result),
        dense=_dense(result),
        file_table=file_table(files),
        stored=" ".join(text for part, text in _STORED.items() if part in encodings),
        speed=_SPEED["compact" in encodings] + _n_of_m(files),
        usage=usage(data.detector, files, config, settings["max-tokens"]),
        citation=citation(),
        pictures=_SHAPES_NOTE if settings["data"] == EMBEDDED_DATA else "",
        command=_command(settings),
        fingerprint=escape_markdown(data.fingerprint),
        machine=machine(result.environment),
        checked=checked_on(files),
        license=_license(settings),
    )


def _start_model(settings: Mapping[str, Any]) -> str | None:
    """The model that the start weights are from: with `--finetuned` alone, that one."""
    return settings["model"] or settings.get("finetuned")


def _dense(result: RunResult) -> str:
    """What the dense model is."""
    if result.finetuned is None:
        return "the same LXMERT, trained the same way but not pruned"
    model = escape_markdown(public_name(result.finetuned.model))
    return f"the fine-tuned LXMERT that was pruned, {model}; it was trained elsewhere"


def _n_of_m(files: Mapping[str, ExportRecord]) -> str:
    """What can be done with the pattern of the files, if it is N:M."""
    pairs = {n_of_m(record.pattern) for record in files.values()}
    return "".join(_N_OF_M.format(n=pair[0], m=pair[1]) for pair in pairs if pair)


def _control(result: RunResult) -> str:
    if result.dense_control is None:
        return ""
    epochs = result.dense_control.epochs
    return f' "control" is the dense model trained for {epochs} epochs in all, as the ticket was.'


def _accuracy_table(result: RunResult) -> str:
    models: dict[str, Measured | None] = {
        "dense": result.dense,
        "control": result.dense_control,
        "ticket": result.ticket,
    }
    shown = {name: model.accuracy for name, model in models.items() if model is not None}
    rows = [["accuracy %", *shown], ["---"] * (1 + len(shown))]
    rows += [
        [escape_markdown(kind), *(f"{accuracy[kind]:.2f}" for accuracy in shown.values())]
        for kind, of_ticket in result.ticket.accuracy.items()
        if of_ticket is not None
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _command(settings: dict[str, Any]) -> str:
    words = ["lxcompress", "prune"]
    for option, value in settings.items():
        if option in _NOT_IN_COMMAND:
            continue
        if value is True:
            words.append(f"--{option}")
        elif value is not None and value is not False:
            words += [f"--{option}", public_name(value) if isinstance(value, str) else str(value)]
    return shlex.join(words)


def _is_embedded(settings: dict[str, Any]) -> bool:
    """Whether the start weights and the data are both part of lxcompress."""
    return settings["model"] == EMBEDDED_MODEL and settings["data"] == EMBEDDED_DATA


def _license(settings: dict[str, Any]) -> str:
    if _is_embedded(settings):
        return "Apache-2.0: the start weights and the data are part of lxcompress."
    model = _start_model(settings)
    return license_of(model and f"the base model, {escape_markdown(public_name(model))},")
