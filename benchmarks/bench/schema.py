"""The records of `bench/report.json`, with every field described.

`Report.model_json_schema()` is its JSON schema. Sizes are in bytes of 8 bits, times in seconds,
accuracies in percent.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from benchmarks.measure.statistics import McNemar
from benchmarks.report.records import Interval, Samples
from exporters import variants
from lxcompress.result import Control, DatasetRecord, Sparsity, Speedup
from lxcompress.system.record import Record

SCHEMA: Final = "lxcompress-bench/3"

Model = Annotated[Literal["dense", "ticket"], Field(description="whose weights")]
SystemModel = Annotated[
    Literal["dense", "dense control", "ticket"],
    Field(description="whose weights; the dense control was trained as long in all as the ticket"),
]
Precision = Annotated[
    variants.Precision,
    Field(description="of the weights; int8 is computed in fp16 on CUDA"),
]
Isolates = Annotated[
    Literal[
        "pruning",
        "sparsity",
        "structure",
        "training",
        "precision",
        "runtime",
        "both",
        "all",
        "control",
    ],
    Field(
        description="what the two differ in: pruning (for speed: sparsity, zeros in the same "
        "shapes, or structure, fewer heads and neurons), length of training, precision, runtime "
        "with its graph optimizations, both pruning and precision, or all of these; a control "
        "compares a system with itself"
    ),
]


class Weights(Record):
    mask: int = Field(description="bytes of the mask bits of pruned weight matrices")
    values: int = Field(description="bytes of the remaining prunable weights")
    unpruned: int = Field(description="bytes of the weights that are stored whole")
    scales: int = Field(description="bytes of the float32 scales of int8 weights")

    @property
    def total(self) -> int:
        return self.mask + self.values + self.unpruned + self.scales


class FileSize(Record):
    file: str = Field(description="name in the onnx/ folder")
    variant: str = Field(description="name of the variant in `lxcompress export`")
    model: Model
    precision: Precision
    encoding: str = Field(description="dense, compact (fewer heads and neurons), bitmask or both")
    bytes: int = Field(description="size of the file, external data included")
    weights: Weights = Field(description="bytes of all its weights, by kind")
    container: int = Field(description="bytes - weights: graph, names, answers, tokenizer")
    formula: int = Field(description="bytes of its weights, computed from their shapes alone")
    entropy_bound: int = Field(
        description="the formula with each mask bit at its entropy: a lower bound for any code of "
        "a random mask"
    )
    of_dense_fp32: float = Field(description="bytes / bytes of the dense fp32 file")
    of_dense_same_precision: float = Field(
        description="bytes / bytes of the dense file of this precision: the effect of pruning alone"
    )
    parts: dict[str, Weights] = Field(
        description="`weights` by part of the model: language, vision, cross-modality (pooler "
        "included), embeddings (of words, regions and boxes), head (the answer head)"
    )


class OtherFormat(Record):
    name: str = Field(description="model and format")
    bytes: int = Field(description="size")
    how: str = Field(description="how the size was determined")


class Size(Record):
    files: list[FileSize] = Field(description="every ONNX file, dense ones first")
    other_formats: list[OtherFormat] = Field(description="sizes of the models in other formats")

    @property
    def tickets(self) -> list[FileSize]:
        """The sparse files, fp32 first."""
        return [file for file in self.files if file.model == "ticket"]

    @property
    def compact(self) -> bool:
        """Whether the ticket's files have fewer heads or neurons than the dense ones."""
        return any("compact" in file.encoding for file in self.tickets)


class Units(Record):
    """The units of one sublayer that the ticket's files have."""

    module: str = Field(description="name of the sublayer's module in PyTorch")
    part: Literal["language", "vision", "cross-modality"] = Field(description="of the model")
    layer: int = Field(description="index of the layer within its part")
    sublayer: str = Field(description="an attention or a feed-forward, and of which stream")
    kind: Literal["heads", "neurons"] = Field(description="what the units are")
    left: int = Field(description="units in the ticket's files")
    of: int = Field(description="units in the dense model")


class Network(Record):
    """The shapes of the networks that the files compute."""

    tokens: int = Field(description="of the question: the median of the first batch size")
    regions: int = Field(description="of its picture: the median of the first batch size")
    dense: int = Field(description="multiply-adds of the dense model for that question")
    ticket: int | None = Field(
        description="multiply-adds of the ticket's files for that question; null without a ticket"
    )
    units: list[Units] = Field(
        description="heads and neurons of every sublayer; empty if none has lost a unit"
    )

    @property
    def share(self) -> float:
        """The ticket's multiply-adds as a fraction of the dense model's."""
        assert self.ticket is not None
        return self.ticket / self.dense


class Loading(Record):
    file: str = Field(description="name in the onnx/ folder")
    model: Model
    precision: Precision
    loader: Literal["stock", "runtime"] = Field(
        description="ONNX Runtime alone, or exporters.runtime, which decodes the weights first"
    )
    seconds: Samples = Field(description="from the file in the page cache to a session")
    peak_bytes: Samples = Field(description="peak memory while loading, above that before it")
    kept_bytes: Samples = Field(description="memory after loading, above that before it")


class System(Record):
    """One way to compute an answer: a model in a runtime."""

    name: str = Field(description="runtime, model and precision; unique within a report")
    runtime: str = Field(description="PyTorch eager, PyTorch compiled or ONNX Runtime")
    model: SystemModel
    precision: Precision

    @classmethod
    def of(cls, runtime: str, model: SystemModel, precision: Precision) -> System:
        name = f"{runtime} {model} {precision}"
        return cls(name=name, runtime=runtime, model=model, precision=precision)


class Pair(Record):
    of: str = Field(description="name of a system")
    against: str = Field(description="name of the system that it is compared with")
    isolates: Isolates


class Latency(Record):
    system: System = Field(description="what was timed")
    p50: float = Field(description="median seconds from input arrays to logits on the host")
    p90: float = Field(description="90th percentile, seconds")
    p99: float = Field(description="99th percentile, seconds")
    samples: list[float] = Field(description="seconds of each run; run i is of round i")
    questions_per_second: float = Field(description="questions answered / seconds spent on them")


class Ratio(Pair):
    times_as_fast: Interval = Field(
        description="speedup: median over rounds of seconds(against) / seconds(of); above 1, `of` "
        "is faster"
    )


class LatencyOfBatch(Record):
    batch_size: int = Field(description="questions in a batch")
    batches: int = Field(description="number of different batches, used cyclically")
    tokens: list[int] = Field(description="tokens of each batch: those of its longest question")
    regions: list[int] = Field(description="regions of each batch: those of its fullest picture")
    systems: list[Latency] = Field(description="every system, each run once a round")
    ratios: list[Ratio] = Field(description="pairs of systems, each with what it isolates")


class Accuracy(Record):
    system: System = Field(description="what answered")
    accuracy: dict[str, Interval | None] = Field(
        description="percent, overall and by answer type; null for a type that the data lack"
    )


class Paired(Record):
    questions: int = Field(description="questions of the type")
    difference: Interval = Field(
        description="points: `of` - `against`, paired bootstrap over pictures"
    )
    mcnemar: McNemar = Field(description="correct and wrong answers to the same questions")


class Comparison(Pair):
    same_answers: float = Field(description="fraction of questions with the same answer")
    by_type: dict[str, Paired | None] = Field(
        description="overall and by answer type; null for a type that the data lack"
    )


class Accuracies(Record):
    metric: str = Field(description="VQA v2 accuracy, LXMERT soft score or GQA accuracy")
    split: str = Field(description="of the dataset")
    questions: int = Field(description="all of the split, the same for every system")
    seed: int = Field(description="of the bootstrap over pictures")
    resamples: int = Field(description="of the bootstrap over pictures")
    systems: list[Accuracy] = Field(description="each system's accuracy")
    comparisons: list[Comparison] = Field(description="pairs of systems")


class Agreement(Record):
    """How often the systems answer alike, whether the answers are right or not."""

    against: str = Field(description="name of the system that all are compared with")
    questions: int = Field(description="the same for every system")
    same_answers: dict[str, float] = Field(
        description="fraction of questions with the same answer, by name of the system"
    )


class Report(Record):
    schema_: Literal["lxcompress-bench/3"] = Field(alias="schema", description="of this file")
    command: str = Field(description="the command that created it, with all options")
    finished: str = Field(description="UTC, ISO 8601")
    name: str = Field(description="of the run directory or the model folder, or a hub id")
    dataset: DatasetRecord | None = Field(
        description="as in result.json; null for generated questions and regions"
    )
    sparsity: Sparsity | None = Field(description="of the ticket; null without one")
    dense_control: Control | None = Field(
        description="as in result.json: the dense model trained as long as the ticket; null if "
        "there is none"
    )
    speedup: Speedup | None = Field(
        description="as in result.json: the speedup that the ticket was pruned to; null without "
        "--speedup"
    )
    size: Size = Field(description="bytes of the files")
    network: Network = Field(description="heads, neurons and multiply-adds of the files")
    loading: list[Loading] = Field(description="each load in a new process")
    latency: list[LatencyOfBatch] = Field(description="one for each batch size")
    agreement: Agreement = Field(description="of all systems with PyTorch's dense fp32")
    accuracy: Accuracies | None = Field(
        description="on the validation questions; null if nobody knows the right answers"
    )
    findings: dict[str, list[str]] = Field(description="sentences computed from the figures")
    environment: dict[str, Any] = Field(description="versions and machine of all measurements")

    @property
    def has_ticket(self) -> bool:
        """Whether a ticket is compared with the dense model: the report of a run."""
        return bool(self.size.tickets)
