"""`lxcompress export`: each variant is made, checked, and only then put in its place."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import LxmertForQuestionAnswering

import lxcompress
from exporters.encodings.encode_model import Answerer, assemble
from exporters.encodings.size_formula import formula
from exporters.graph.onnx_file import OnnxFile, data_file, file_hashes, write_model
from exporters.graph.trace import Graph, build_graph
from exporters.records import EXPORT_REPORT, ExportRecord, ExportReport, FileCheck, Provenance
from exporters.runtime.vqa_model import read_labels
from exporters.source import Source, open_questions
from exporters.variants import Variant
from exporters.verify import check_answers, check_structure, check_weights, reference_logits
from lxcompress.data.batches import EncodedQuestions
from lxcompress.errors import RunError
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.pruning.mask import Mask
from lxcompress.system.cache import writable_cache
from lxcompress.system.environment import describe
from lxcompress.system.files import locked, remove_leftovers, temporary_name
from lxcompress.system.output_folder import check_writable

_WORK = "export"


@dataclass(frozen=True)
class _Loaded:
    """One model of the source, and what all its variants have in common."""

    model: LxmertForQuestionAnswering
    mask: Mask | None
    answerer: Answerer
    questions: EncodedQuestions
    reference: np.ndarray


def export(source: Source, variants: Sequence[Variant], device: str) -> ExportReport:
    """Make and check the files that are not there yet; the content of `onnx/export.json`.

    A file that does not pass its checks (on `device`) is not left behind. Killed at any moment, the
    same call continues with the next file. Raises what the models, the data and the checks raise.
    """
    onnx = source.onnx
    if onnx.exists() and not onnx.is_dir():
        raise RunError(f"--output {onnx} is a file")
    name = hashlib.sha256(str(onnx.resolve()).encode()).hexdigest()
    check_writable("--output", onnx)
    # Not in the folder itself, which others upload as it is.
    with locked(
        writable_cache("locks") / f"{name}.lock", f"another process is exporting to {onnx}"
    ):
        return _export(source, variants, device)


def _export(source: Source, variants: Sequence[Variant], device: str) -> ExportReport:
    remove_leftovers(source.onnx / _WORK)
    report = _report(source)
    graph = None
    for sparse in (False, True):  # one model in memory at a time
        chosen = [variant for variant in variants if variant.sparse == sparse]
        if not chosen:
            continue
        provenance = source.provenance(chosen[0], device)
        todo = [variant for variant in chosen if not _is_done(source, variant, report, provenance)]
        if not todo:
            continue
        loaded = _load(source, todo[0], device)
        graph = graph or build_graph(loaded.model.config)
        for variant in todo:
            record = _make(source, variant, graph, loaded, device, provenance)
            report.files[variant.file] = record
            report.write(source.onnx)
        del loaded
    return report


def compare(path: Path, source: Source, device: str) -> FileCheck:
    """The checks of an export again, of a file made earlier from `source`.

    Raises ModelError where it differs, or was made of something that the source does not have.
    """
    file = OnnxFile(path)
    read_labels(file)
    (variant,) = source.variants([file.metadata["variant"]])
    loaded = _load(source, variant, device)
    return _check(path, loaded, device)


def _load(source: Source, variant: Variant, device: str) -> _Loaded:
    folder = source.model_folder(variant)
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    mask = None
    if variant.sparse:
        weights = prunable_parameters(model)
        mask = Mask.load(folder / source.mask_name, weights)
        mask.verify(weights, str(folder))
    questions = open_questions(source, model.config, tokenizer)
    return _Loaded(
        model=model,
        mask=mask,
        answerer=Answerer.of(model.config, tokenizer, source.max_tokens),
        questions=questions,
        reference=reference_logits(model, questions, device),
    )


def _make(
    source: Source,
    variant: Variant,
    graph: Graph,
    loaded: _Loaded,
    device: str,
    provenance: Provenance,
) -> ExportRecord:
    parameters = dict(loaded.model.named_parameters())
    model = assemble(graph, parameters, variant, loaded.answerer, loaded.mask)
    source.onnx.mkdir(parents=True, exist_ok=True)
    with _work_folder(source.onnx) as folder:
        path = folder / variant.file
        write_model(model, path)
        del model
        record = ExportRecord(
            variant=variant.name,
            precision=variant.precision,
            encoding=variant.encoding,
            dense_fp32_bytes=4 * sum(math.prod(shape) for shape in graph.weights.values()),
            formula=formula(graph, variant, loaded.mask),
            **_check(path, loaded, device).model_dump(),
            checked_on=describe(device),
            made_of=provenance,
        )
        for made in (data_file(path), path):  # the model last, when its data are in place
            if made.exists():
                made.replace(source.onnx / made.name)
            else:  # of an older, larger model
                (source.onnx / made.name).unlink(missing_ok=True)
    return record


def _check(path: Path, loaded: _Loaded, device: str) -> FileCheck:
    return FileCheck(
        **check_structure(path, loaded.mask).model_dump(),
        **check_weights(path, loaded.model).model_dump(),
        **check_answers(path, loaded.questions, loaded.reference, device).model_dump(),
    )


@contextmanager
def _work_folder(onnx: Path) -> Iterator[Path]:
    folder = temporary_name(onnx / _WORK)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _report(source: Source) -> ExportReport:
    if (source.onnx / EXPORT_REPORT).exists():
        return ExportReport.read(source.onnx)
    return ExportReport(lxcompress=lxcompress.__version__, files={})


def _is_done(
    source: Source, variant: Variant, report: ExportReport, provenance: Provenance
) -> bool:
    record, path = report.files.get(variant.file), source.onnx / variant.file
    return (
        record is not None
        and record.provenance == provenance
        and path.exists()
        and file_hashes(path) == record.sha256
    )
