"""The inputs of a benchmark: a run or a model whose exported files fit it, and questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from transformers import LxmertConfig, LxmertForQuestionAnswering

from benchmarks.bench.schema import Model
from benchmarks.bench.subject import Subject
from exporters.graph.onnx_file import file_hashes
from exporters.records import EXPORT_REPORT, ExportRecord, ExportReport
from exporters.source import Source, open_questions
from exporters.variants import VARIANTS, Variant
from lxcompress.config import MAX_TOKENS
from lxcompress.data.batches import EncodedQuestions
from lxcompress.errors import ConfigError, RunError
from lxcompress.model.lxmert import without_weights
from lxcompress.result import DatasetRecord, RunResult

_LOADED_AS: dict[Model, Variant] = {
    "dense": VARIANTS["fp32"],
    "ticket": VARIANTS["sparse-fp32"],
}


@dataclass(frozen=True)
class BenchInputs:
    """What is measured.

    subject: as the user named it.
    source: the models and the folder of their exported files.
    result: of the run; None for a model.
    records: those of export.json by file name.
    variants: their names, dense ones first.
    config: of the dense model.
    data: the questions.
    """

    subject: Subject
    source: Source
    result: RunResult | None
    records: dict[str, ExportRecord]
    variants: list[str]
    config: LxmertConfig
    data: EncodedQuestions

    @classmethod
    def open(cls, subject: Subject) -> BenchInputs:
        """Check everything before anything is measured; nothing is changed.

        Raises:
            RunError: the run is not finished, or exports are missing, were changed, or are of
                other models or data.
            ModelError: there is no such model, or it has no answers or no tokenizer.
            ConfigError: an option does not fit the run or the model.
            DataError: the data are gone, or not those of the run.
        """
        source = subject.open()
        records = _read_records(subject, source)
        chosen = [found.name for found in source.variants([]) if found.file in records]
        _check_variants(subject, source, chosen)
        records = {VARIANTS[name].file: records[VARIANTS[name].file] for name in chosen}
        if source.run is None:  # --max-tokens of the export
            tokens = records[VARIANTS["fp32"].file].provenance.max_tokens
            source = replace(source, max_tokens=tokens)
        result = source.run.read_result() if source.run else None
        _check_files(subject, source, records)
        model = source.model_source(VARIANTS["fp32"])
        config = model.read_config()
        data = open_questions(source, config, model.load_tokenizer())
        return cls(subject, source, result, records, chosen, config, data)

    @property
    def models(self) -> list[Model]:
        """The models that are measured: the dense one, and the ticket of a run."""
        return ["dense"] if self.source.ticket is None else ["dense", "ticket"]

    def load(self, model: Model) -> LxmertForQuestionAnswering:
        """Load one of the models in PyTorch, in fp32."""
        return self.source.model_source(_LOADED_AS[model]).load_model()

    @cached_property
    def parameters(self) -> int:
        """Parameters of the dense model."""
        return sum(parameter.numel() for parameter in self.shapes().parameters())

    def shapes(self) -> LxmertForQuestionAnswering:
        """Return the dense model without its weights, on the device "meta"."""
        return without_weights(self.config)

    @property
    def dataset(self) -> DatasetRecord | None:
        """The data; None for generated questions."""
        if self.result is not None:
            return self.result.dataset
        if self.source.data is None:
            return None
        dataset = self.source.dataset
        return DatasetRecord(
            name=dataset.name,
            folder=str(dataset.folder.resolve()),
            detector=dataset.detector,
            questions={"val": len(self.data)},
            answers=self.config.num_qa_labels,
            fingerprint=dataset.fingerprint,
        )

    def check_batch_sizes(self, sizes: Sequence[int]) -> None:
        """Raise ConfigError when there are fewer questions than in a batch."""
        if max(sizes) > len(self.data):
            have = (
                f"only {len(self.data)} questions are generated; --data names a dataset with more"
                if self.source.data is None
                else f"the data have only {len(self.data)} questions"
            )
            raise ConfigError(f"--batch-size {max(sizes)}: {have}")

    def fingerprints(self) -> dict[str, str]:
        """Return the SHA-256 of each exported file, and the fingerprint of the data."""
        files = {name: record.sha256 for name, record in self.records.items()}
        return {**files, "data": self.source.data_fingerprint}


def _read_records(subject: Subject, source: Source) -> dict[str, ExportRecord]:
    if not (source.onnx / EXPORT_REPORT).exists():
        where = f" in {source.onnx}" if subject.onnx is not None else ""
        raise RunError(
            f"{subject.path} has no exported files{where}; `{subject.export_command()}` makes them"
        )
    return ExportReport.read(source.onnx).files


def _check_variants(subject: Subject, source: Source, chosen: Sequence[str]) -> None:
    """Every ticket needs the dense file of its precision, and all files need dense fp32."""
    tickets = [VARIANTS[name] for name in chosen if VARIANTS[name].sparse]
    needed: list[str] = ["fp32", *(ticket.precision for ticket in tickets)]
    missing = [name for name in dict.fromkeys(needed) if name not in chosen]
    if source.ticket is not None and not tickets:
        missing += [name for name, variant in VARIANTS.items() if variant.sparse]
    if missing:
        raise RunError(
            f"{subject.path} has no exported {', '.join(missing)} to compare with; "
            f"`{subject.export_command(missing)}` exports what is missing"
        )


def _check_files(subject: Subject, source: Source, records: dict[str, ExportRecord]) -> None:
    """Raise RunError for a file that was changed, or is of another model than the source's.

    Files of a run must also have been checked on its data. Those of a model may have been checked
    on others: the files are the same, and the benchmark asks all of them its own questions.
    """
    hashes: dict[bool, dict[str, str]] = {}
    data, of_run = source.data_fingerprint, source.run is not None
    limits, models = (
        ("token limits than the run's", "models than the run's")
        if of_run
        else ("token limits than the fp32 file", "weights, answers or tokenizer than given")
    )
    tokens = None if of_run or source.max_tokens == MAX_TOKENS else source.max_tokens
    for name, record in records.items():
        path, variant = source.onnx / name, VARIANTS[record.variant]
        again = f"`{subject.export_command([variant.name], tokens)}` exports it again"
        if not path.exists():
            raise RunError(f"{path} does not exist any more; {again}")
        if file_hashes(path) != record.sha256:
            raise RunError(f"{path} is not the file that was exported; {again}")
        if variant.sparse not in hashes:
            hashes[variant.sparse] = source.hashes(variant)
        exported = record.provenance
        for recorded, found, what in (
            (exported.data if of_run else data, data, "data than the run's"),
            (exported.max_tokens, source.max_tokens, limits),
            (exported.files, hashes[variant.sparse], models),
        ):
            if recorded != found:
                raise RunError(f"{path} was exported with other {what}; {again}")
