"""`lxcompress bench` of a tiny run: figures consistent with each other and with the export."""

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

import lxcompress
from benchmarks.bench import loading, schema
from benchmarks.bench.schema import Report
from benchmarks.measure.multiply_adds import multiply_adds
from exporters.variants import VARIANTS
from lxcompress.errors import ModelError
from lxcompress.model.lxmert import load_model

RUNTIMES = ("PyTorch eager", "ONNX Runtime")


@pytest.fixture
def report(benched: Path) -> Report:
    return Report.model_validate_json((benched / "bench" / "report.json").read_text())


def test_the_schema_describes_every_field() -> None:
    models = [it for it in vars(schema).values() if isinstance(it, type)]
    records = [it for it in models if issubclass(it, BaseModel) and it.model_fields]
    assert Report in records
    for model in records:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def test_report_is_complete(report: Report, benched: Path) -> None:
    text = json.loads((benched / "bench" / "report.json").read_text())
    assert text == report.model_dump(mode="json", by_alias=True)
    assert report.environment["versions"]["lxcompress"] == lxcompress.__version__
    assert report.command.startswith(f"lxcompress bench {benched} --device cpu --batch-size 1 ")
    assert report.name == "benched"
    assert {path.name for path in (benched / "bench").iterdir()} >= {"report.md", "report.html"}


def test_sizes_add_up(report: Report, benched: Path) -> None:
    exported = json.loads((benched / "onnx" / "export.json").read_text())["files"]
    by_name = {file.file: file for file in report.size.files}
    assert by_name.keys() == exported.keys()
    for name, file in by_name.items():
        formula = exported[name]["formula"]
        for kind in ("mask", "values", "unpruned", "scales"):
            in_parts = sum(getattr(part, kind) for part in file.parts.values())
            assert in_parts == formula[kind] == getattr(file.weights, kind)
        assert file.weights.total == file.formula == formula["total"]
        assert file.weights.total + file.container == (benched / "onnx" / name).stat().st_size
        dense = f"{'' if file.precision == 'fp32' else '_' + file.precision}"
        assert file.of_dense_same_precision == file.bytes / by_name[f"model{dense}.onnx"].bytes
        assert file.of_dense_fp32 == file.bytes / by_name["model.onnx"].bytes


def test_accuracies_are_those_of_the_export(report: Report, benched: Path) -> None:
    exported = json.loads((benched / "onnx" / "export.json").read_text())["files"]
    assert report.accuracy is not None
    found = {it.system.name: it.accuracy for it in report.accuracy.systems}
    assert len(found) == 8
    for file in exported.values():
        model = "ticket" if file["variant"].startswith("sparse") else "dense"
        for runtime, accuracy in zip(
            RUNTIMES, (file["accuracy_in_pytorch"], file["accuracy"]), strict=True
        ):
            precision = "fp32" if runtime == RUNTIMES[0] else file["precision"]
            ours = found[f"{runtime} {model} {precision}"]
            for kind, value in accuracy.items():
                interval = ours[kind]
                assert (interval is None) == (value is None)
                if interval is not None:
                    assert interval.estimate == pytest.approx(value)
                    assert interval.low <= interval.estimate <= interval.high


def test_comparisons(report: Report) -> None:
    assert report.accuracy is not None
    found = {it.system.name: it.accuracy["overall"] for it in report.accuracy.systems}
    assert len(report.accuracy.comparisons) == 8
    for it in report.accuracy.comparisons:
        overall, of, against = it.by_type["overall"], found[it.of], found[it.against]
        assert overall and of and against
        assert overall.difference.estimate == pytest.approx(of.estimate - against.estimate)
        assert overall.questions == report.accuracy.questions == 120
        test = overall.mcnemar
        assert test.both + test.only_of + test.only_against + test.neither == 120
        parts = [kind for name, kind in it.by_type.items() if kind and name != "overall"]
        assert sum(kind.questions for kind in parts) == 120
        assert sum(kind.mcnemar.only_of for kind in parts) == test.only_of
        same = (it.of.replace("ticket", "dense") == it.against, it.of.split()[-1])
        assert (it.isolates == "pruning") == same[0]


def test_agreement_is_that_of_the_answers(report: Report) -> None:
    assert report.accuracy is not None
    agreement = report.agreement
    assert (agreement.against, agreement.questions) == ("PyTorch eager dense fp32", 120)
    assert agreement.same_answers.keys() == {it.system.name for it in report.accuracy.systems}
    assert agreement.same_answers[agreement.against] == 1
    for it in report.accuracy.comparisons:
        if it.against == agreement.against:
            assert agreement.same_answers[it.of] == it.same_answers


def test_latencies(report: Report) -> None:
    assert [batch.batch_size for batch in report.latency] == [1, 3]
    for batch in report.latency:
        assert len(batch.systems) == 9
        for it in batch.systems:
            assert len(it.samples) == 3
            assert it.p50 == np.median(it.samples)
            rate = 3 * batch.batch_size / sum(it.samples)
            assert it.questions_per_second == pytest.approx(rate)
        expected = {"sparsity": 4, "precision": 2, "runtime": 1, "all": 3, "control": 1}
        assert Counter(it.isolates for it in batch.ratios) == expected
        for ratio in batch.ratios:  # a gain of precision or runtime is not one of sparsity
            assert " dense " in ratio.against
            of, against = ratio.of.split(), ratio.against.split()
            if ratio.isolates == "sparsity":
                assert [*of[:2], "dense", of[-1]] == against
            elif ratio.isolates == "precision":
                assert [*of[:-1], "fp32"] == against


def test_multiply_adds_are_those_of_a_measured_question(report: Report, benched: Path) -> None:
    batch, network = report.latency[0], report.network
    assert min(batch.tokens) <= network.tokens <= max(batch.tokens)
    assert min(batch.regions) <= network.regions <= max(batch.regions)
    dense = load_model(benched / "dense")
    assert network.dense == multiply_adds(dense, network.tokens, network.regions)
    assert (network.ticket, network.units) == (network.dense, [])


def test_loading(report: Report) -> None:
    cases = {(it.file, it.loader) for it in report.loading}
    assert len(cases) == len(report.loading) == 12
    assert ("model_sparse_int8.onnx", "runtime") in cases
    assert all(len(it.seconds.samples) == 2 for it in report.loading)


def test_a_load_that_dies(run: Path) -> None:
    def killed(module: str, *_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(-signal.SIGKILL, module)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ModelError) as problem:
        patch.setattr("benchmarks.measure.loading.run_module", killed)
        loading.load_times(run / "onnx", ["fp32"], "cpu", 1)
    assert "failed with exit code -9" in str(problem.value)
    assert loading.loaders(VARIANTS["sparse-int8"], "cuda") == ("runtime",)
