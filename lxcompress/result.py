"""The content of a run's `result.json`, every field described.

Accuracies are percent, sizes are bytes, sparsities are fractions in 0-1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field

from lxcompress.choices import Pattern
from lxcompress.errors import RunError
from lxcompress.system.files import write_json
from lxcompress.system.record import Record

Accuracy = dict[str, float | None]
"""Percent by "overall", "yes/no", "number" and "other"; None for a type that the data lacks."""


class Measured(Record):
    accuracy: Accuracy = Field(description="on the validation split")


class Sparsity(Record):
    prunable: float = Field(description="pruned weights / prunable weights")
    model: float = Field(description="pruned weights / all parameters of the model")


class DenseResult(Measured):
    epochs: int = Field(description="of its training; 0 where it was given")


class Speedup(Record):
    """Of the ticket over the dense model, both in ONNX Runtime on the CPU (`--speedup` only)."""

    target: float = Field(description="that was required")
    predicted: float = Field(description="by latencies measured before the ticket was found")
    precision: str = Field(description="of the weights, fp32 or int8")
    batch: int = Field(description="questions at once")
    tokens: int = Field(description="length of the questions, [CLS] and [SEP] included")
    regions: int = Field(description="regions of the pictures")
    machine: dict[str, Any] = Field(description="that the latencies were measured on")


class TicketResult(Measured):
    epochs: list[int] = Field(
        description="of each training behind the ticket, from θ0, or a given dense model, on"
    )
    sparsity: Sparsity = Field(description="of the mask that the ticket was trained under")
    structure: list[dict[str, str | list[int]]] | None = Field(
        default=None,
        description="heads or neurons of each sublayer, [left, of] (structured pattern only)",
    )
    speedup: Speedup | None = Field(default=None, description="with --speedup only")


class Control(Measured):
    epochs: int = Field(
        description="that it was trained for in all, as the ticket was; a given dense model: again"
    )


class GivenModel(Record):
    """The dense model that the run was given (`--finetuned` only)."""

    model: str = Field(description="folder or hub id; the run did not train it without a mask")
    start_weights: str = Field(description="what θ0 is: `--model`, or without it the given model")
    answers: int = Field(description="length of its answer list, which the ticket has too")
    missing_answers: int = Field(description="answers of the dataset's list that it lacks")
    unanswerable_questions: dict[str, int] = Field(
        description="by split, questions with an answer in the dataset's list and none in its own"
    )


class GivenMask(Record):
    """The mask that the run was given (`--mask` only)."""

    file: str = Field(description="absolute path")
    sha256: str = Field(description="of the file, when the run began")


class PruningStep(Measured):
    sparsity: float = Field(description="of the prunable weights, after this step")
    retrained_accuracy: Accuracy | None = Field(
        default=None,
        description="after fine-tuning under this step's mask (iterative schedule only)",
    )


class WeightCounts(Record):
    pruned: int = Field(description="weights that the mask removes")
    prunable: int = Field(description="weights that the mask covers")
    parameters: int = Field(description="all parameters of the model")
    zeros: int = Field(description="prunable weights that are exactly zero in the ticket")


class TicketBytes(Record):
    dense: int = Field(description="the model in fp32")
    bitmask: int = Field(description="the ticket in fp32: one bit a prunable weight, and values")
    mask: int = Field(description="the bits alone")


class DatasetRecord(Record):
    name: str = Field(description="as in dataset.yaml")
    folder: str = Field(description="absolute path of the dataset folder")
    detector: str | None = Field(description="what made the regions")
    questions: dict[str, int] = Field(description="number of questions by split")
    answers: int = Field(description="length of the answer list")
    fingerprint: str = Field(description="SHA-256 over questions, answers and region indices")


class RunResult(Record):
    """Everything that a finished run found."""

    dense: DenseResult = Field(description="fine-tuned without a mask, by the run or as given")
    ticket: TicketResult = Field(description="fine-tuned under the mask")
    dense_control: Control | None = Field(
        default=None,
        description="the dense model trained as long in all as the ticket (--rewind lr or late)",
    )
    theta0_masked: Measured = Field(description="the start weights under the ticket's mask")
    pruning_steps: list[PruningStep] = Field(description="trained weights, pruned step by step")
    finetuned: GivenModel | None = Field(default=None, description="with --finetuned only")
    mask: GivenMask | None = Field(default=None, description="with --mask only")
    metric: str = Field(description="VQA v2 accuracy, LXMERT soft score or GQA accuracy")
    weights: WeightCounts = Field(description="of the ticket")
    bytes: TicketBytes = Field(description="of the weights")
    config: dict[str, Any] = Field(description="effective settings by option name")
    environment: dict[str, Any] = Field(description="versions and machine")
    dataset: DatasetRecord = Field(description="what the run was trained and measured on")

    @property
    def patterns(self) -> list[str]:
        """What was pruned: one pattern, or structured before the one of the settings."""
        own = str(self.config["pattern"])
        before = [Pattern.STRUCTURED.value] if self.ticket.structure else []
        return list(dict.fromkeys([*before, own]))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `result.json`; raise RunError when it is missing, damaged or of another form."""
        return cls.load(path, "result", RunError)

    def write(self, path: Path) -> None:
        """Write `result.json`, whole or not at all."""
        write_json(path, self.model_dump(mode="json", exclude_unset=True))
