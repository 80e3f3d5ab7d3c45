"""The content of `bench/report.json`, every field described; `Report.model_json_schema()` is its
JSON schema. Sizes are bytes of 8 bits, times seconds, accuracies percent."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from benchmarks.report.record import Interval, Record

SCHEMA = "lxcompress-bench/1"

Precision = Literal["fp32", "fp16", "int8"]
Model = Literal["dense", "ticket"]
# What the two sides of a comparison differ in; a control compares a system with itself.
Isolates = Literal["sparsity", "precision", "both", "control"]


class Weights(Record):
    mask: int = Field(description="bytes of the bits that say which weights stay")
    values: int = Field(description="bytes of the prunable weights that stay")
    unpruned: int = Field(description="bytes of the weights that are stored whole")
    scales: int = Field(description="bytes of the float32 scales of int8 weights")

    @property
    def total(self) -> int:
        return self.mask + self.values + self.unpruned + self.scales


class FileSize(Record):
    file: str = Field(description="name in the run's onnx/ folder")
    variant: str = Field(description="name of the variant in `lxcompress export`")
    model: Model = Field(description="whose weights it holds")
    precision: Precision = Field(description="of its weights")
    bytes: int = Field(description="size of the file, external data included")
    weights: Weights = Field(description="bytes of all its weights, by kind")
    container: int = Field(description="bytes - weights: graph, names, answers, tokenizer")
    formula: int = Field(description="bytes that its weights must have, from their shapes alone")
    entropy_bound: int = Field(
        description="the formula with each mask bit at its entropy: no code of a random mask is "
        "shorter"
    )
    of_dense_fp32: float = Field(description="bytes / bytes of the dense fp32 file")
    of_dense_same_precision: float = Field(
        description="bytes / bytes of the dense file of this precision: what sparsity alone saves"
    )
    parts: dict[str, Weights] = Field(
        description="`weights` by part of the model: language, vision, cross-modality (pooler "
        "included), embeddings (of words, regions and boxes), head (the answer head)"
    )


class OtherFormat(Record):
    name: str = Field(description="format, and whose weights")
    bytes: int = Field(description="size")
    how: str = Field(description="how it was found")


class Size(Record):
    files: list[FileSize] = Field(description="every ONNX file of the run, dense ones first")
    other_formats: list[OtherFormat] = Field(description="the same models in fp32, elsewhere")

    @property
    def tickets(self) -> list[FileSize]:
        """The sparse files, fp32 first."""
        return [file for file in self.files if file.model == "ticket"]


class Samples(Record):
    unit: str = Field(description="of the median and of the samples")
    median: float = Field(description="of the samples")
    samples: list[float] = Field(description="one for each process")


class Loading(Record):
    file: str = Field(description="name in the run's onnx/ folder")
    model: Model = Field(description="whose weights it holds")
    precision: Precision = Field(description="of its weights")
    loader: Literal["stock", "runtime"] = Field(
        description="ONNX Runtime by itself, or exporters.runtime, which decodes in front of it"
    )
    seconds: Samples = Field(description="from the file in the system's cache to a session")
    peak_bytes: Samples = Field(description="most memory while loading, above what was there")
    kept_bytes: Samples = Field(description="memory afterwards, above what was there before")


class System(Record):
    name: str = Field(description="runtime, model and precision; unique")
    runtime: str = Field(description="PyTorch eager, PyTorch compiled or ONNX Runtime")
    model: Model = Field(description="whose weights answer")
    precision: Precision = Field(description="of the weights; int8 on CUDA computes in fp16")


class Latency(Record):
    system: System = Field(description="what answered")
    p50: float = Field(description="median seconds from input arrays to logits on the host")
    p90: float = Field(description="90th percentile, seconds")
    p99: float = Field(description="99th percentile, seconds")
    samples: list[float] = Field(description="seconds of each run; run i of all systems is turn i")
    questions_per_second: float = Field(description="questions answered / seconds spent on them")


class Ratio(Record):
    of: str = Field(description="name of a system")
    against: str = Field(description="name of the system it is compared with")
    isolates: Isolates = Field(description="what the two differ in")
    times_as_fast: Interval = Field(
        description="median over turns of seconds(against) / seconds(of); above 1, `of` is faster"
    )


class LatencyOfBatch(Record):
    batch_size: int = Field(description="questions in a batch")
    batches: int = Field(description="different batches of real questions, gone over in turn")
    tokens: list[int] = Field(description="tokens of each batch: its longest question")
    systems: list[Latency] = Field(description="every system, timed in turns within one run")
    ratios: list[Ratio] = Field(description="pairs of one precision only, and the control")


class McNemar(Record):
    both: int = Field(description="questions that both got right (a score above 0.5)")
    only_of: int = Field(description="questions that only `of` got right")
    only_against: int = Field(description="questions that only `against` got right")
    neither: int = Field(description="questions that neither got right")
    p: float = Field(description="exact two-sided p-value, for this one comparison")


class Accuracy(Record):
    system: System = Field(description="what answered")
    accuracy: dict[str, Interval | None] = Field(
        description="percent, overall and by answer type; null for a type that the data lack"
    )


class Paired(Record):
    questions: int = Field(description="questions of the type")
    difference: Interval = Field(description="points: `of` - `against`, paired bootstrap")
    mcnemar: McNemar = Field(description="right and wrong on the same questions")


class Comparison(Record):
    of: str = Field(description="name of a system")
    against: str = Field(description="name of the system it is compared with")
    isolates: Isolates = Field(description="what the two differ in")
    same_answers: float = Field(description="fraction of questions with the same answer")
    by_type: dict[str, Paired | None] = Field(
        description="overall and by answer type; null for a type that the data lack"
    )


class Accuracies(Record):
    metric: str = Field(description="VQA v2 accuracy or LXMERT soft score")
    split: str = Field(description="of the run's dataset")
    questions: int = Field(description="all of the split, the same for every system")
    seed: int = Field(description="of the bootstrap")
    resamples: int = Field(description="of the bootstrap")
    systems: list[Accuracy] = Field(description="each system's accuracy")
    comparisons: list[Comparison] = Field(description="systems two by two")


class Report(Record):
    schema_: Literal["lxcompress-bench/1"] = Field(alias="schema", description="of this file")
    command: str = Field(description="what made it, all options spelt out")
    finished: str = Field(description="UTC, ISO 8601")
    run: str = Field(description="name of the run's folder")
    dataset: dict[str, Any] = Field(description="as in result.json")
    sparsity: dict[str, float] = Field(description="of the ticket: over prunable, over all weights")
    size: Size = Field(description="bytes of the files")
    loading: list[Loading] = Field(description="each time in a process of its own")
    latency: list[LatencyOfBatch] = Field(description="one for each batch size")
    accuracy: Accuracies = Field(description="on the validation questions")
    findings: dict[str, list[str]] = Field(description="what the figures say, in words, by subject")
    environment: dict[str, Any] = Field(description="versions and machine of all of it")
