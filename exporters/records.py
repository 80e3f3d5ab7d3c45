"""The content of `export.json`, every field described.

Sizes are bytes, sparsities and shares are fractions in 0-1, accuracies are percent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field

from exporters.variants import Precision
from lxcompress.errors import RunError
from lxcompress.result import Accuracy
from lxcompress.system.files import write_json
from lxcompress.system.record import Record

EXPORT_REPORT = "export.json"


class WeightBytes(Record):
    """The bytes that the weights of a file must have, computed from their shapes."""

    mask: int = Field(description="one bit for each weight of the pruned tensors")
    values: int = Field(description="the remaining weights of the pruned tensors")
    unpruned: int = Field(description="the tensors that are not pruned")
    scales: int = Field(description="float32 scales of int8 weights")
    total: int = Field(description="sum of the above")
    entropy_bound: int = Field(
        description="the total with each mask bit at its entropy: no code for a random mask of "
        "this sparsity is shorter"
    )


class FileDescription(Record):
    """What a file is."""

    variant: str = Field(description="name of the variant, as in --variant")
    precision: Precision = Field(description="of the weights")
    encoding: str = Field(description="dense, compact (fewer heads and neurons), bitmask or both")
    dense_fp32_bytes: int = Field(description="size of the same weights as dense fp32")
    formula: WeightBytes = Field(description="expected size of the weights")


class StructureCheck(Record):
    """What the file alone shows."""

    bytes: int = Field(description="size of the file, external data included")
    sha256: str = Field(description="of the file; after a space, of its external data")
    pattern: str = Field(description="of what is pruned: structured, unstructured or N:M; or dense")
    units: dict[str, dict[str, tuple[int, int]]] = Field(
        description='"heads" and "neurons" of each part of the model: left, of the dense model'
    )
    parameters: int = Field(description="number of weights in the file")
    prunable: int = Field(description="prunable weights of the dense model; 0 in a dense file")
    pruned: int = Field(description="of these, weights that the ticket lacks")
    zeros: int = Field(
        description="prunable weights that are zero or removed, those of rounding included"
    )


class WeightCheck(Record):
    """The weights of the file compared with the model's."""

    largest_weight_difference: float = Field(description="absolute, over all weights")


class AnswerCheck(Record):
    """The answers of the file in stock ONNX Runtime compared with the model's in PyTorch."""

    questions: int = Field(description="number of validation questions")
    largest_logit_difference: float = Field(description="absolute, over all questions and answers")
    relative_logit_difference: float = Field(
        description="root mean square difference / mean standard deviation of a question's logits"
    )
    same_answers: float = Field(description="share of questions with the same answer")
    accuracy: Accuracy | None = Field(description="of the file; None without annotations")
    accuracy_in_pytorch: Accuracy | None = Field(description="of the model")


# Pydantic orders the fields from the last base to the first.
class FileCheck(AnswerCheck, WeightCheck, StructureCheck):
    """Everything that is checked of a file."""


class Provenance(Record):
    """The inputs of an export and of its checks; a file of equal provenance is up to date."""

    lxcompress: str = Field(description="version that wrote the file")
    files: dict[str, str] = Field(description="SHA-256 of each file of the model folder, by name")
    data: str = Field(description="fingerprint of the dataset")
    max_tokens: int = Field(description="longest question, [CLS] and [SEP] included")
    checked_on: str = Field(description="device of the checks: cpu or cuda")


class ExportRecord(FileCheck, FileDescription):
    """One exported file."""

    checked_on: dict[str, Any] = Field(description="versions and machine")
    provenance: Provenance = Field(alias="made_of", description="inputs of the export")


class DeliveredSpeedup(Record):
    """The ticket's file against the dense file in stock ONNX Runtime on the CPU, interleaved."""

    target: float = Field(description="that the ticket was found for (--speedup)")
    predicted: float = Field(description="by latencies measured before the ticket was found")
    measured: float = Field(description="median over rounds of dense time / ticket's time")
    precision: Precision = Field(description="of the weights of both files")
    batch: int = Field(description="questions at once, of the validation split")
    dense_seconds: float = Field(description="median of a round")
    ticket_seconds: float = Field(description="median of a round")
    rounds: int = Field(description="in each, both files answer one batch")
    files: dict[str, str] = Field(description="SHA-256 of the two files, by name")
    machine: dict[str, Any] = Field(description="versions and machine")


class ExportReport(Record):
    """All exported files of a folder, including those of earlier exports."""

    lxcompress: str = Field(description="version that wrote the first file")
    files: dict[str, ExportRecord] = Field(description="by file name")
    speedup: DeliveredSpeedup | None = Field(
        default=None, description="of a run with --speedup, once both files are exported"
    )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the report in `folder`.

        Raises:
            RunError: it is missing, damaged or of another form.
        """
        return cls.load(
            folder / EXPORT_REPORT, "export report", RunError, remedy="delete it and export again"
        )

    def write(self, folder: Path) -> None:
        """Write the report into `folder`, whole or not at all."""
        write_json(folder / EXPORT_REPORT, self.model_dump(mode="json", by_alias=True))
