"""Fill in the card of a model that no run of lxcompress has trained, the template model.md.

Its accuracy is known only where the export had data with answers; otherwise the card says that it
was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from huggingface_hub import ModelCardData
from transformers import LxmertConfig

from exporters.records import ExportRecord
from exporters.source import Source
from exporters.targets.cards.parts import (
    FOLDER,
    TASK,
    checked_on,
    citation,
    describe_detector,
    describe_model,
    file_table,
    hub_id,
    license_of,
    public_name,
    usage,
)
from exporters.targets.markdown import escape_markdown, fill_template
from lxcompress.errors import ConfigError
from lxcompress.system.text import one_line
from lxcompress.vision.detectors import detector_of

_TAGS = ["lxmert", "onnx", TASK]
_TICKET_TAGS = ["lottery-ticket", "pruning", "sparse"]


def export_card(
    name: str, source: Source, files: Mapping[str, ExportRecord], config: LxmertConfig
) -> str:
    """Return the README.md of a model folder or hub id.

    Args:
        files: the report's records of its files, by name.
        config: with its answers.
    """
    assert source.model is not None
    metadata = ModelCardData(
        library_name="transformers",
        pipeline_tag=TASK,
        tags=_TAGS + (_TICKET_TAGS if source.ticket else []),
        base_model=hub_id(source.model.name),
        model_name=one_line(name) or "model",
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{_body(source, files, config)}"


def _body(source: Source, files: Mapping[str, ExportRecord], config: LxmertConfig) -> str:
    assert source.model is not None
    first = next(iter(files.values()))
    origin = escape_markdown(public_name(source.model.name))
    detector = _detector(source, config)
    weights = f"{first.parameters:,}"
    if first.prunable:
        share = first.pruned / first.prunable
        weights += (
            f"; {first.pruned:,} of {first.prunable:,} prunable ones are pruned ({share:.1%})"
        )
    return fill_template(
        FOLDER / "model.md",
        title=origin,
        origin=origin,
        weights=weights,
        **describe_model(config),
        detector=describe_detector(detector),
        accuracy=_accuracy(source, first),
        file_table=file_table(files),
        questions=_questions(source, first),
        usage=usage(detector, files, config, source.max_tokens),
        max_tokens=source.max_tokens,
        checked=checked_on(files),
        fingerprint="" if source.data is None else f" Dataset: SHA-256 {source.data_fingerprint}.",
        license=license_of(hub_id(source.model.name) and origin),
        citation=citation(),
    )


def _detector(source: Source, config: LxmertConfig) -> str | None:
    """The dataset's detector, or the one that gives so many features; None if none does."""
    if source.data is not None:
        return source.dataset.detector
    try:
        return detector_of(config.visual_feat_dim)
    except ConfigError:
        return None


def _questions(source: Source, record: ExportRecord) -> str:
    if source.data is None:
        return f"{record.questions:,} generated questions about generated regions"
    return (
        f"the {record.questions:,} validation questions of {escape_markdown(source.dataset.name)}"
    )


def _accuracy(source: Source, record: ExportRecord) -> str:
    if record.accuracy_in_pytorch is None:
        return (
            "Not measured: nobody knows the right answers to the questions that the files were "
            "checked on. `lxcompress evaluate MODEL --data DATA` measures it."
        )
    rows = ["| accuracy % | |", "|---|---|"]
    rows += [
        f"| {escape_markdown(kind)} | {value:.2f} |"
        for kind, value in record.accuracy_in_pytorch.items()
        if value is not None
    ]
    table = "\n".join(rows)
    return f"{table}\n\nIn PyTorch, on {_questions(source, record)}."
