"""`lxcompress bench` of a model without a ticket: its files against each other and PyTorch."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benched import changed, error_of, run_bench
from hub_cache import VQA, add_repository, published_files, use_cache
from report_page import Page

from benchmarks.bench.inputs import BenchInputs
from benchmarks.bench.report import html, markdown
from benchmarks.bench.schema import Report
from benchmarks.bench.subject import Subject
from lxcompress.model.answer_head import labels_of
from lxcompress.model.lxmert import read_config
from lxcompress.system.files import read_json, write_json

FILES = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}
ONCE = ("--batch-size", 1, "--runs", 1, "--seconds", 0, "--loads", 1)


def without_ticket(text: str) -> bool:
    """Whether a text does not mention what only a run has; the style of a page may."""
    text = re.sub(r"<style>.*?</style>|var\(--\w+\)", "", text, flags=re.DOTALL)
    return not any(word in text.lower() for word in ("ticket", "sparsity", "prun", "mask"))


# -- The report ---------------------------------------------------------------------------------


def test_a_model_is_measured_on_generated_questions(
    benched_model: Path, model_figures: dict[str, Any]
) -> None:
    report = Report.model_validate(model_figures)
    exported = json.loads((benched_model / "onnx" / "export.json").read_text())["files"]
    assert (report.name, report.has_ticket, report.network.ticket) == ("plain", False, None)
    assert report.dataset is report.sparsity is report.speedup is report.accuracy is None
    assert {file.precision: file.file for file in report.size.files} == FILES
    for file in report.size.files:
        assert file.bytes == exported[file.file]["bytes"]
        assert file.of_dense_same_precision == 1
    for batch in report.latency:
        kinds = Counter(it.isolates for it in batch.ratios)
        assert kinds == {"runtime": 1, "precision": 2, "all": 2, "control": 1}
    assert {it.file for it in report.loading} == {*FILES.values()}
    assert report.agreement.questions == 256
    for precision, name in FILES.items():
        share = report.agreement.same_answers[f"ONNX Runtime dense {precision}"]
        assert share == pytest.approx(exported[name]["same_answers"], abs=2 / 256)
    assert report.command.startswith(f"lxcompress bench {benched_model} --device cpu ")


def test_the_report_has_no_empty_section_and_nothing_of_a_ticket(
    model_figures: dict[str, Any],
) -> None:
    report = changed(model_figures)
    text = html(report)
    page = Page(text)
    assert without_ticket(text) and without_ticket(markdown(report))
    assert "Exported files compared with PyTorch" in page.text
    assert "plain: 3 files on generated questions" in page.text
    assert "Structure" not in page.text and "data fingerprint" not in page.text
    roles = [value for name, value in page.attributes if name == "role"]
    assert roles.count("img") == 2 * 2  # sizes and latencies, for a wide page and for a phone
    sections = markdown(report).split("\n## ")[1:]
    assert [text.partition("\n")[0] for text in sections] == [
        *("Summary", "Size", "Speed", "Loading", "Accuracy", "Method")
    ]
    assert all(text.partition("\n")[2].strip() for text in sections)


def test_sentences_on_a_model(model_figures: dict[str, Any]) -> None:
    def measured(figures: dict[str, Any]) -> None:
        values = {"runtime": 2.0, "precision": 3.0, "all": 6.0, "control": 1.0}
        for ratio in figures["latency"][0]["ratios"]:
            middle = values[ratio["isolates"]]
            ratio["times_as_fast"] = {"low": middle - 0.01, "estimate": middle, "high": middle}
        for file in figures["size"]["files"]:
            if file["precision"] == "int8":
                file |= {"bytes": 25_000, "of_dense_fp32": 0.25}
        figures["agreement"]["same_answers"]["ONNX Runtime dense int8"] = 0.984375

    report = changed(model_figures, measured)
    size, speed, accuracy, answers = report.findings["summary"]
    assert size == "Size: The int8 file takes 0.03 MB, 25.0% of the size of the fp32 file."
    assert speed == (
        "Speed: The int8 file in ONNX Runtime against the fp32 model in PyTorch eager: speedup "
        "6.00, 95% interval 5.99–6.00 (batch 1). The factors are runtime and graph 2.00 and "
        "precision 3.00."
    )
    assert accuracy.startswith("Accuracy: not measured, because nobody knows the right answers to")
    assert answers == (
        "Answers: The int8 file gives the same answer as PyTorch eager in fp32 to 98.44% of 256 "
        "generated questions."
    )
    runtime = [text for text in report.findings["speed"] if text.startswith("The fp32 file")]
    assert runtime[0] == (
        "The fp32 file in ONNX Runtime against the same model in PyTorch eager: speedup 2.00, 95% "
        "interval 1.99–2.00 (batch 1). The dense fp32 file against itself measured 1.00 "
        "(0.99–1.00)."
    )
    assert len(report.findings["loading"]) == 4  # two precisions, two loaders


def test_torch_compile_is_compared_with_eager(model_figures: dict[str, Any]) -> None:
    def compiled(figures: dict[str, Any]) -> None:
        for batch in figures["latency"]:
            eager = batch["systems"][0]
            eager["p50"] = 0.25
            name = "PyTorch compiled dense fp32"
            system = eager["system"] | {"name": name, "runtime": "PyTorch compiled"}
            batch["systems"].insert(1, eager | {"p50": 0.125, "system": system})

    speed = changed(model_figures, compiled).findings["speed"]
    assert speed[-1] == (
        "PyTorch compiled dense fp32 has a median of 125 ms, PyTorch eager dense fp32 of 250 ms "
        "(batch 3)."
    )
    assert not any("compiled" in text for text in changed(model_figures).findings["speed"])


def test_only_the_fp32_file(model_figures: dict[str, Any]) -> None:
    def only_fp32(figures: dict[str, Any]) -> None:
        def is_fp32(name: str) -> bool:
            return not name.endswith(("fp16", "int8"))

        figures["size"]["files"] = figures["size"]["files"][:1]
        figures["loading"] = [it for it in figures["loading"] if it["precision"] == "fp32"]
        for batch in figures["latency"]:
            batch["systems"] = [it for it in batch["systems"] if is_fp32(it["system"]["name"])]
            batch["ratios"] = [it for it in batch["ratios"] if is_fp32(it["of"])]
        answers = figures["agreement"]["same_answers"]
        figures["agreement"]["same_answers"] = {k: v for k, v in answers.items() if is_fp32(k)}

    report = changed(model_figures, only_fp32)
    size, speed, *_ = report.findings["summary"]
    assert size.startswith("Size: The fp32 file takes ")
    assert speed.startswith("Speed: The fp32 file in ONNX Runtime against the same model")
    assert report.findings["loading"] == []
    assert "plain: 1 file on generated questions" in markdown(report)


def test_accuracy_of_a_model_on_data(
    benched_model: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files were checked on generated questions when they were exported."""
    output = tmp_path / "report"
    command = (benched_model, "--data", tiny_data, "--output", output, *ONCE)
    assert run_bench(monkeypatch, *command) == 0
    report = Report.model_validate(read_json(output / "report.json", "report"))
    assert report.dataset is not None and report.accuracy is not None
    assert report.dataset.questions == {"val": 120}
    assert report.dataset.answers == len(labels_of(read_config(benched_model)))
    assert report.command.startswith(f"lxcompress bench {benched_model} --data {tiny_data} ")
    assert report.agreement.questions == report.accuracy.questions == 120
    found = {it.system.name: it.accuracy["overall"] for it in report.accuracy.systems}
    assert found["PyTorch eager dense fp32"] == found["ONNX Runtime dense fp32"]
    assert [it.isolates for it in report.accuracy.comparisons] == ["precision"] * 2
    (sentence,) = [it for it in report.findings["summary"] if it.startswith("Accuracy: ")]
    assert "against fp32: " in sentence and "over 120 questions" in sentence
    text = (output / "report.md").read_text()
    assert without_ticket(text) and "Effect of precision by answer type" in text
    assert "not measured" not in text


def test_the_dense_model_of_a_run_is_measured_alone(tiny_exported: Path) -> None:
    """The folder of the run's files has those of the ticket too."""
    inputs = BenchInputs.open(Subject(tiny_exported / "dense", onnx=tiny_exported / "onnx"))
    assert (inputs.variants, inputs.models) == ([*FILES], ["dense"])
    assert (inputs.dataset, inputs.result, len(inputs.data)) == (None, None, 256)


# -- Bad input ----------------------------------------------------------------------------------


def test_a_model_that_is_not_exported(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert error_of(monkeypatch, capsys, tiny_model) == (
        f"{tiny_model} has no exported files; `lxcompress export {tiny_model}` makes them"
    )
    answers = tmp_path / "answers.json"
    answers.write_text('["a", "b", "c"]')
    options = ("--answers", answers, "--tokenizer", tiny_model)
    folder = tmp_path / "files"
    assert error_of(monkeypatch, capsys, tiny_model, *options, "--onnx", folder) == (
        f"{tiny_model} has no exported files in {folder}; `lxcompress export {tiny_model} "
        f"--answers {answers} --tokenizer {tiny_model} --output {folder}` makes them"
    )
    answers.write_text('["a", "b"]')
    text = error_of(monkeypatch, capsys, tiny_model, *options)
    assert "lists 2 answers, the model's head has 3" in text


def test_a_published_model_that_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    use_cache(tmp_path / "hub", monkeypatch)
    assert "there is no folder unc-nlp/lxmert-vqa" in error_of(monkeypatch, capsys, VQA)
    add_repository(tmp_path / "hub", VQA, published_files(tmp_path))
    assert error_of(monkeypatch, capsys, VQA) == (
        f"{VQA} has no exported files; `lxcompress export {VQA}` makes them"
    )


def test_what_has_no_dense_model_is_rejected(
    tiny_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    file = tiny_exported / "onnx" / "model.onnx"
    assert error_of(monkeypatch, capsys, file) == (
        f"{file} is one exported file; bench compares all files of a model, so give the run, model "
        "folder or hub id that they were exported from"
    )
    ticket = tiny_exported / "ticket"
    assert error_of(monkeypatch, capsys, ticket) == (
        f"{ticket} is a ticket without the dense model to compare it with; `lxcompress bench "
        f"{tiny_exported}` measures the run that it is part of"
    )
    elsewhere = tmp_path / "ticket"
    elsewhere.symlink_to(ticket)
    text = error_of(monkeypatch, capsys, elsewhere)
    assert text.endswith("; bench its run, or a model without a mask")


def test_exports_that_do_not_fit_a_model(
    benched_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def error(*options: object) -> str:
        return error_of(monkeypatch, capsys, benched_model, "--onnx", onnx, *options)

    onnx = tmp_path / "onnx"
    onnx.mkdir()
    for file in (benched_model / "onnx").iterdir():
        (onnx / file.name).symlink_to(file)
    answers = tmp_path / "answers.json"
    labels = labels_of(read_config(benched_model))
    answers.write_text(json.dumps([f"not {label}" for label in labels]))
    assert "model.onnx was exported with other weights, answers or tokenizer than given; " in error(
        "--answers", answers
    )
    assert error("--batch-size", 257) == (
        "--batch-size 257: only 256 questions are generated; --data names a dataset with more"
    )
    record = onnx / "export.json"
    content = read_json(record, "export")
    record.unlink()
    for file in content["files"].values():
        file["made_of"]["max_tokens"] = 7
    content["files"]["model_int8.onnx"]["made_of"]["max_tokens"] = 9
    write_json(record, content)
    assert error() == (
        f"{onnx}/model_int8.onnx was exported with other token limits than the fp32 file; "
        f"`lxcompress export {benched_model} --output {onnx} --max-tokens 7 --variant int8` "
        "exports it again"
    )
    del content["files"]["model.onnx"]
    write_json(record, content)
    text = error()
    assert "has no exported fp32 to compare with; `lxcompress export" in text
    assert text.endswith("--variant fp32` exports what is missing")


@pytest.mark.parametrize("option", ["--answers", "--tokenizer"])
def test_a_run_has_its_own_answers(
    tiny_exported: Path, option: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    text = error_of(monkeypatch, capsys, tiny_exported, option, "lxmert-vqa")
    assert text == "a run has its own answers; leave out --answers and --tokenizer"
