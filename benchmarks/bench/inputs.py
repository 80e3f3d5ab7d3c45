"""The inputs of a benchmark: a run whose exported files fit its models and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporters.graph.onnx_file import file_hashes
from exporters.records import EXPORT_REPORT, ExportRecord, ExportReport
from exporters.source import Source, open_questions
from exporters.variants import VARIANTS
from lxcompress.data.batches import EncodedQuestions
from lxcompress.errors import ConfigError, RunError
from lxcompress.model.lxmert import read_config
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.result import RunResult
from lxcompress.run import Run
from lxcompress.system.shell import lxcompress_command


@dataclass(frozen=True)
class BenchInputs:
    """`records` are those of export.json by file name, `variants` their names, dense ones first."""

    run: Run
    result: RunResult
    records: dict[str, ExportRecord]
    variants: list[str]
    data: EncodedQuestions

    @classmethod
    def open(cls, folder: Path) -> BenchInputs:
        """Check the run in `folder` before anything is measured; nothing in it is changed.

        Raises:
            RunError: the run is not finished, or exports are missing, were changed, or are of
                other models or data.
            DataError: the data are gone, or not those of the run.
        """
        run = Run.open_finished(folder)
        source = Source.of(run.folder, None, None)
        records = _records(run)
        chosen = [name for name, variant in VARIANTS.items() if variant.file in records]
        _check_variants(run, chosen)
        records = {VARIANTS[name].file: records[VARIANTS[name].file] for name in chosen}
        result = run.read_result()
        _check_files(run, source, records, source.dataset.fingerprint)
        tokenizer, config = load_tokenizer(run.ticket), read_config(run.ticket)
        data = open_questions(source, config, tokenizer)
        return cls(run, result, records, chosen, data)

    def check_batch_sizes(self, sizes: Sequence[int]) -> None:
        """Raise ConfigError when the data have fewer questions than a batch."""
        if max(sizes) > len(self.data):
            raise ConfigError(
                f"--batch-size {max(sizes)}: the data have only {len(self.data)} questions"
            )

    def fingerprints(self) -> dict[str, str]:
        """Return the SHA-256 of each exported file, and the fingerprint of the data."""
        files = {name: record.sha256 for name, record in self.records.items()}
        return {**files, "data": self.result.dataset.fingerprint}


def _records(run: Run) -> dict[str, ExportRecord]:
    if not (run.onnx / EXPORT_REPORT).exists():
        raise RunError(f"{run.folder} has no exported files; {_command(run)} makes them")
    return ExportReport.read(run.onnx).files


def _command(run: Run, variants: Sequence[str] = ()) -> str:
    options = [word for name in variants for word in ("--variant", name)]
    return f"`{lxcompress_command('export', run.folder, *options)}`"


def _check_variants(run: Run, chosen: Sequence[str]) -> None:
    """Every ticket needs the dense file of its precision, and all files need dense fp32."""
    tickets = [VARIANTS[name] for name in chosen if VARIANTS[name].sparse]
    needed: list[str] = ["fp32", *(ticket.precision for ticket in tickets)]
    missing = [name for name in dict.fromkeys(needed) if name not in chosen]
    if not tickets:
        missing += [name for name, variant in VARIANTS.items() if variant.sparse]
    if missing:
        raise RunError(
            f"{run.folder} has no exported {', '.join(missing)} to compare with; "
            f"{_command(run, missing)} exports what is missing"
        )


def _check_files(run: Run, source: Source, records: Mapping[str, ExportRecord], data: str) -> None:
    hashes: dict[bool, dict[str, str]] = {}
    for name, record in records.items():
        path, variant = run.onnx / name, VARIANTS[record.variant]
        again = f"{_command(run, [variant.name])} exports it again"
        if not path.exists():
            raise RunError(f"{path} does not exist any more; {again}")
        if file_hashes(path) != record.sha256:
            raise RunError(f"{path} is not the file that was exported; {again}")
        if variant.sparse not in hashes:
            hashes[variant.sparse] = source.hashes(variant)
        exported = record.provenance
        for recorded, found, what in (
            (exported.data, data, "data"),
            (exported.max_tokens, source.max_tokens, "token limits"),
            (exported.files, hashes[variant.sparse], "models"),
        ):
            if recorded != found:
                raise RunError(f"{path} was exported with other {what} than the run's; {again}")
