"""`lxcompress export`: write each variant, check it, and only then move it to the output folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import LxmertForQuestionAnswering

import lxcompress
from exporters.encodings.encode_model import encode_model
from exporters.encodings.size_formula import expected_bytes
from exporters.graph.graphs import Graphs
from exporters.graph.metadata import AnswerMetadata, read_labels
from exporters.graph.onnx_file import OnnxFile, data_file, file_hashes, write_model
from exporters.graph.structure import Structure
from exporters.graph.trace import Graph
from exporters.records import EXPORT_REPORT, ExportRecord, ExportReport, FileCheck, Provenance
from exporters.source import Source, open_questions
from exporters.variants import Variant
from exporters.verify.answers import check_answers, reference_logits
from exporters.verify.structure import check_structure
from exporters.verify.weights import check_weights
from lxcompress.data.batches import EncodedQuestions
from lxcompress.errors import RunError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.unused_branch import unused_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.system.cache import writable_cache
from lxcompress.system.files import locked, remove_leftovers, temporary_name
from lxcompress.system.machine.environment import describe
from lxcompress.system.output_folder import check_writable
from lxcompress.ticket import load_mask

_WORK = "export"  # basis for the name of the temporary folder


@dataclass(frozen=True)
class _LoadedModel:
    """One model of the source, and what all its variants share.

    model: with dense shapes.
    mask: of a ticket; None for the dense model.
    structure: the units that its files have.
    reference: logits in PyTorch, float32 `[questions, answers]`.
    """

    model: LxmertForQuestionAnswering
    mask: Mask | None
    structure: Structure
    answers: AnswerMetadata
    questions: EncodedQuestions
    reference: np.ndarray


def export(source: Source, variants: Sequence[Variant], device: str) -> ExportReport:
    """Write the files that are missing or out of date, and return the report of the folder.

    Each file is checked on `device` before it is moved to the output folder. If the process is
    killed, the same call continues with the next file.

    Raises:
        ConfigError: the output folder or the cache cannot be written to.
        RunError: the output folder is a file, or another process exports to it.
        ModelError: a model cannot be loaded, or a file does not pass its checks.
        DataError: the validation questions cannot be read, or do not fit the model.
    """
    onnx = source.onnx
    if onnx.exists() and not onnx.is_dir():
        raise RunError(f"--output {onnx} is a file")
    name = hashlib.sha256(str(onnx.resolve()).encode()).hexdigest()
    check_writable("--output", onnx)
    # Not in the output folder, which users upload as it is.
    lock = writable_cache("locks") / f"{name}.lock"
    with locked(lock, f"another process is exporting to {onnx}"):
        return _export(source, variants, device)


def _export(source: Source, variants: Sequence[Variant], device: str) -> ExportReport:
    remove_leftovers(source.onnx / _WORK)
    report = _read_report(source)
    graphs = None
    for sparse in (False, True):  # one model in memory at a time
        chosen = [variant for variant in variants if variant.sparse == sparse]
        if not chosen:
            continue
        provenance = source.provenance(chosen[0], device)
        missing = [
            variant for variant in chosen if not _is_exported(source, variant, report, provenance)
        ]
        if not missing:
            continue
        loaded = _load(source, missing[0], device)
        graphs = graphs or Graphs(loaded.model.config)
        graph = graphs.with_units(loaded.structure.counts)
        for variant in missing:
            record = _export_file(source, variant, graph, loaded, device, provenance)
            report.files[variant.file] = record
            report.write(source.onnx)
        del loaded
    return report


def compare(file: OnnxFile, source: Source, device: str) -> FileCheck:
    """Repeat the checks of an export on an existing file.

    Raises:
        ModelError: the file does not pass.
        ConfigError: the source has no model for the file's variant.
    """
    read_labels(file)
    (variant,) = source.variants([file.metadata["variant"]])
    return _check(file, _load(source, variant, device), device)


def _load(source: Source, variant: Variant, device: str) -> _LoadedModel:
    folder = source.model_folder(variant)
    model, tokenizer = source.load(variant)
    mask = load_mask(folder, model) if variant.sparse else None
    questions = open_questions(source, model.config, tokenizer)
    return _LoadedModel(
        model=model,
        mask=mask,
        structure=Structure.of(model, mask) if mask is not None else Structure(),
        answers=AnswerMetadata.of(labels_of(model.config), tokenizer, source.max_tokens),
        questions=questions,
        reference=reference_logits(model, questions, device),
    )


def _export_file(
    source: Source,
    variant: Variant,
    graph: Graph,
    loaded: _LoadedModel,
    device: str,
    provenance: Provenance,
) -> ExportRecord:
    parameters = dict(loaded.model.named_parameters())
    structure = loaded.structure
    model = encode_model(graph, parameters, variant, loaded.answers, loaded.mask, structure)
    source.onnx.mkdir(parents=True, exist_ok=True)
    with _work_folder(source.onnx) as folder:
        path = folder / variant.file
        write_model(model, path)
        del model
        file = OnnxFile(path)
        record = ExportRecord(
            variant=variant.name,
            precision=variant.precision,
            encoding=file.metadata["encoding"],
            dense_fp32_bytes=_dense_fp32_bytes(loaded.model),
            formula=expected_bytes(graph, variant, loaded.mask, structure),
            **_check(file, loaded, device).model_dump(),
            checked_on=describe(device),
            made_of=provenance,
        )
        for written in (data_file(path), path):  # the model last, once its data are in place
            if written.exists():
                written.replace(source.onnx / written.name)
            else:  # external data of an earlier, larger model
                (source.onnx / written.name).unlink(missing_ok=True)
    return record


def _dense_fp32_bytes(model: LxmertForQuestionAnswering) -> int:
    unused = unused_parameters(model)
    return 4 * sum(p.numel() for name, p in model.named_parameters() if name not in unused)


def _check(file: OnnxFile, loaded: _LoadedModel, device: str) -> FileCheck:
    return FileCheck(
        **check_structure(file, loaded.mask).model_dump(),
        **check_weights(file, loaded.model).model_dump(),
        **check_answers(file, loaded.questions, loaded.reference, device).model_dump(),
    )


@contextmanager
def _work_folder(onnx: Path) -> Iterator[Path]:
    folder = temporary_name(onnx / _WORK)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _read_report(source: Source) -> ExportReport:
    if (source.onnx / EXPORT_REPORT).exists():
        return ExportReport.read(source.onnx)
    return ExportReport(lxcompress=lxcompress.__version__, files={})


def _is_exported(
    source: Source, variant: Variant, report: ExportReport, provenance: Provenance
) -> bool:
    record, path = report.files.get(variant.file), source.onnx / variant.file
    return (
        record is not None
        and record.provenance == provenance
        and path.exists()
        and file_hashes(path) == record.sha256
    )
