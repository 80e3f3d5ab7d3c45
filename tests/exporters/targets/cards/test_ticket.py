"""The model card: its metadata, its figures, and any names in it."""

import copy
import itertools
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from transformers import LxmertConfig

from exporters.records import EXPORT_REPORT, ExportRecord, ExportReport
from exporters.targets.cards.ticket import ticket_card
from lxcompress.choices import Criterion, Pattern, Rewind, Schedule, Scope, Subnetwork
from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.model.answer_head import set_labels
from lxcompress.model.lxmert import read_config
from lxcompress.result import RunResult
from lxcompress.run import Run
from lxcompress.system.files import read_json

pytestmark = pytest.mark.usefixtures("no_network")

JSON = dict[str, Any]
ONNX_FILES = ("model_sparse.onnx", "model_sparse_int8.onnx")


def parse(text: str) -> Any:
    """The card as huggingface_hub reads it, whose annotations lack the fields of `data`."""
    return ModelCard(text)


def card_inputs(folder: Path) -> tuple[RunResult, dict[str, ExportRecord], LxmertConfig]:
    """The result, the records of the ticket's files, and its configuration."""
    run = Run(folder)
    records = ExportReport.read(run.onnx).files
    files = {name: records[name] for name in ONNX_FILES}
    return run.read_result(), files, read_config(run.ticket)


def test_a_given_dense_model_and_mask_are_named(finished: Path) -> None:
    result, files, config = card_inputs(finished)
    given = {"finetuned": "org/lxmert-finetuned", "mask": "/home/me/mask.safetensors"}
    changed = result.model_dump() | {
        "config": result.config | given | {"model": None, "sparsity": None},
        "finetuned": {
            "model": given["finetuned"],
            "start_weights": given["finetuned"],
            "answers": 3,
            "missing_answers": 0,
            "unanswerable_questions": {},
        },
        "mask": {"file": given["mask"], "sha256": "0" * 64},
    }
    text = ticket_card("ticket", RunResult.model_validate(changed), files, config)
    assert parse(text).data.base_model == given["finetuned"]
    assert f"| start weights | {given['finetuned']} |" in text.replace("\\", "")
    assert "it was trained elsewhere" in text
    assert "| criterion | none: the mask was given |" in text
    assert "--finetuned org/lxmert-finetuned" in text and "--mask mask.safetensors" in text
    assert "/home/me" not in text
    sparsity = f"{100 * result.ticket.sparsity.prunable:.3g}%"
    assert f"# LXMERT lottery ticket: {sparsity} sparse" in text


def test_the_code_of_the_card_runs(
    folder: Path,
    tiny_dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    local_copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    picture = next((tiny_dataset.folder / "images" / "val").iterdir())
    shutil.copy(picture, local_copy / "picture.png")
    monkeypatch.chdir(local_copy)
    blocks = re.findall(r"```python\n(.*?)```", (local_copy / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    names: JSON = {}
    for block in blocks:
        exec(block, names)
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 3 and answers[0] == answers[2]
    assert set(answers) <= set(tiny_dataset.answers)


def test_metadata(finished: Path, folder: Path) -> None:
    result = read_json(finished / "result.json", "result")
    card = ModelCard.load(folder / "README.md")
    data = card.data
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "visual-question-answering"
    assert data.model_name == "My ticket"
    assert {"lxmert", "lottery-ticket", "pruning", "onnx", "sparse"} < set(data.tags)
    assert data.datasets == ["shapes-vqa"]
    assert data.license is None and data.base_model is None  # the user's own model
    measured = {
        (kind, model): value
        for model in ("ticket", "dense")
        for kind, value in result[model]["accuracy"].items()
    }
    assert len(measured) == len(data.eval_results) == 8
    for evaluation in data.eval_results:
        kind = evaluation.metric_name.removeprefix("VQA v2 accuracy, ").removesuffix(
            ", dense model"
        )
        is_dense = evaluation.metric_name.endswith(", dense model")
        assert (evaluation.metric_type == "accuracy") is not is_dense
        assert evaluation.metric_value == measured.pop((kind, "dense" if is_dense else "ticket"))
        assert evaluation.dataset_name == "shapes-vqa" and evaluation.dataset_split == "validation"
    assert not measured

    _, front, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front) == data.to_dict()
    assert body == card.text


def test_every_figure_is_from_the_run(finished: Path, folder: Path) -> None:
    result = read_json(finished / "result.json", "result")
    records = read_json(finished / "onnx" / EXPORT_REPORT, "report")["files"]
    files = {name: records[name] for name in ONNX_FILES}
    architecture = read_json(Run(finished).ticket / "config.json", "configuration")
    text = ModelCard.load(folder / "README.md").text
    accuracies = [(kind, result["dense"]["accuracy"][kind], result["ticket"]["accuracy"][kind])
                  for kind in ("overall", "yes/no", "number", "other")]  # fmt: skip
    for kind, dense, ticket in accuracies:
        assert f"| {kind} | {dense:.2f} | {ticket:.2f} |\n" in text
    for name, file in files.items():
        share = file["bytes"] / (4 * file["parameters"])
        assert (
            f"| `onnx/{name}` | {file['precision']} | {file['bytes'] / 1e6:.2f} | {share:.1%} "
            f"| {file['accuracy']['overall']:.2f} | {file['same_answers']:.2%} |\n"
        ) in text
    assert "model.onnx" not in text
    weights, sparsity = result["weights"], result["ticket"]["sparsity"]
    assert f"{weights['pruned']:,} of {weights['prunable']:,}" in text
    assert f"{sparsity['prunable']:.1%}" in text and f"{sparsity['model']:.1%}" in text
    for value in (result["dataset"]["fingerprint"], result["environment"]["processor"]):
        assert value in text
    for answer in architecture["id2label"].values():
        assert re.search(rf"\| answers \|.*\b{answer}\b", text)

    # There are no other numbers: all are from the files, in one of these formats.
    allowed = {"2310.15325", "32", "4", "1", "23"}  # arXiv, fp32 and float32, [n, 4] and its 1
    for value in numbers([result, files, architecture]):
        formats = (
            f"{value:,}",
            f"{value:.2f}",
            f"{value:.1%}",
            f"{value:.2%}",
            f"{100 * value:g}%",
        )
        allowed |= {*formats, str(value), f"{value / 1e6:.2f}"}
    allowed |= {f"{f['bytes'] / (4 * f['parameters']):.1%}" for f in files.values()}
    allowed.add(str(len(architecture["id2label"])))
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for choice in (*Pattern, *Criterion, *Subnetwork, *Scope, *Schedule, *Rewind):
        plain = plain.replace(choice.description, "")
    plain = re.sub(r"(?m)^.*SHA-256.*$|^\| answers.*$|`[^`]*`|\(https.*?\)", "", plain)
    printed = re.findall(r"(?<![\w.])\d[\d,.]*\d%?|(?<![\w.])\d%?(?![\w.])", plain)
    assert len(printed) > 30
    assert {number for number in printed if number not in allowed} == set()


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_the_command_reproduces_the_settings(finished: Path) -> None:
    result, files, architecture = card_inputs(finished)
    cases: list[dict[str, Any]] = [
        {},
        {"seed": 7, "sparsity": 0.9, "subnetwork": "random", "rewind": "late"},
        {"model": "unc-nlp/lxmert-base-uncased", "keep-answer-head": True, "precision": "bf16"},
        {"pattern": "structured"},
        {"pattern": "2:4", "criterion": "taylor"},
        {"model-config": "base", "tokenizer": "google-bert/bert-base-uncased", "epochs": 3},
    ]
    for number, given_settings in enumerate(cases):
        config = PruneConfig.parse(given_settings)
        changed = result.model_copy(update={"config": config.dump() | {"workers": number}})
        text = ticket_card("ticket", changed, files, architecture)
        (line,) = re.findall(r"^lxcompress prune (.*)$", text, re.MULTILINE)
        assert f"--seed {config.seed} " in line  # defaults too, which may change
        words, options = shlex.split(line), {}
        while words:
            option = words.pop(0).removeprefix("--")
            options[option] = True if option == "keep-answer-head" else words.pop(0)
        assert PruneConfig.parse(options) == config


def test_base_model_and_license(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    result, files, architecture = card_inputs(finished)

    def card(**changes: str | None) -> tuple[Any, str]:
        settings = result.config | {k.replace("_", "-"): v for k, v in changes.items()}
        changed = result.model_copy(update={"config": settings})
        parsed = parse(ticket_card("x", changed, files, architecture))
        return parsed.data, parsed.text

    data, text = card(model="lxmert-shapes", data="shapes")
    assert (data.license, data.base_model) == ("apache-2.0", None)
    assert "Apache-2.0: the start weights" in text
    assert "photographs are out of distribution" in text
    data, text = card(model="lxmert-shapes")
    assert (data.license, data.base_model) == (None, None)
    assert "license of the base model, lxmert-shapes, applies" in text
    assert "photographs" not in text
    data, text = card(model="unc-nlp/lxmert-base-uncased")
    assert (data.license, data.base_model) == (None, "unc-nlp/lxmert-base-uncased")
    assert "license of the base model, unc-nlp/lxmert-base-uncased, applies" in text
    for folder in ("models/mine", "models/deleted", "/home/ann/secret/mine", "../secret/mine"):
        data, text = card(model=folder)
        assert (data.license, data.base_model) == (None, None)
        assert "secret" not in text and f"| start weights | {Path(folder).name} |" in text
    data, text = card(model=None, model_config="/home/ann/secret/base.json")
    assert (data.license, data.base_model) == (None, None)
    assert "| none: base.json, from scratch |" in text and "secret" not in text
    assert "It is up to whoever trained this model" in text


def test_no_path_of_this_machine_is_in_the_card(
    folder: Path, tiny_data: Path, tiny_model: Path
) -> None:
    text = (folder / "README.md").read_text()
    for path in (tiny_data, tiny_model, folder):
        assert str(path.parent) not in text


def test_optional_parts_of_a_result(finished: Path) -> None:
    """No questions of an answer type, no detector's name, no accuracy of a file; many answers."""
    result, files, architecture = copy.deepcopy(card_inputs(finished))
    for model in (result.dense, result.ticket):
        model.accuracy["number"] = None
    data = result.dataset.model_copy(update={"detector": None})
    result = result.model_copy(update={"dataset": data})
    unmeasured = files["model_sparse.onnx"].model_copy(update={"accuracy": None})
    files["model_sparse.onnx"] = unmeasured
    set_labels(architecture, [f"a{index}" for index in range(3129)])
    architecture.id2label = dict(reversed(architecture.id2label.items()))
    card = parse(ticket_card("x", result, files, architecture))
    assert not any("number" in evaluation.metric_name for evaluation in card.data.eval_results)
    assert "| number |" not in card.text and "| not measured |" in card.text
    assert "by the detector, " in card.text and "get_detector" not in card.text
    assert "| answers | 3,129: a0, a1, a2, " in card.text
    assert "a29, … |" in card.text and "a30" not in card.text


def test_n_of_m_is_explained(finished: Path) -> None:
    result, files, architecture = copy.deepcopy(card_inputs(finished))
    assert "trt_sparsity_enable" not in ticket_card("x", result, files, architecture)
    marked = {n: record.model_copy(update={"pattern": "2:4"}) for n, record in files.items()}
    card = ticket_card("x", result, marked, architecture)
    assert card.count("In every row, 2 of every 4 weights are left. TensorRT can use 2:4") == 1


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shape(text: str) -> list[str]:
    """The structure of a Markdown text: the types of its tokens."""
    tokens = PARSER.parse(text)
    return list(
        itertools.chain.from_iterable(
            [token.type, *(child.type for child in token.children or [])] for token in tokens
        )
    )


def hostile_card(finished: Path, string: str) -> tuple[str, RunResult]:
    """A card in which everything that users name has this name."""
    result, files, architecture = copy.deepcopy(card_inputs(finished))
    names = {"name": string, "detector": string, "folder": string}
    settings = {"data": string, "model": string or "/", "tokenizer": string}
    result = result.model_copy(
        update={
            "dataset": result.dataset.model_copy(update=names),
            "config": result.config | settings,
        }
    )
    architecture.id2label[0] = string
    return ticket_card(string, result, files, architecture), result


@cache
def plain_shape(finished: Path) -> list[str]:
    text, _ = hostile_card(finished, "plain")
    types = shape(parse(text).text)
    assert types.count("table_open") == 3 and types.count("fence") == 5
    return types


HOSTILE = [
    "a | b || c",
    "a\n---\nlicense: mit\n---\n# Heading",
    "\n```\n```python\nimport os\n```",
    "`code` *a* _b_ **c** ~~d~~ [x](http://x.y) ![i](j) <b>bold</b> <!-- -->",
    "---",
    "{a: b} & &amp; &#124; \\ \\| $x$ $$",
    "yes",
    "1e3",
    "null",
    "- a\n- b",
    "'single' \"double\" % @ ! : # x",
    "a\u2028b\x85c\x00d\x1be\u202ef\ud800g\ufeff",
    "../../etc/passwd",
    "ВОПРОСЫ 問題 🎟",
    "$title ${file}",
    "\n\t ",
    "",
    "/",
]


def check_hostile(finished: Path, string: str) -> None:
    text, result = hostile_card(finished, string)
    text.encode()
    card = parse(text)
    assert str(card) == text
    assert card.data.license is None and card.data.model_name
    names = {(one.dataset_name, one.dataset_type) for one in card.data.eval_results}
    ((name, slug),) = names
    assert name and name.isprintable() and re.fullmatch(r"(?:[\w-]+/)?[\w.-]+", slug, re.ASCII)
    assert card.data.datasets in (None, [slug])
    values = [one.metric_value for one in card.data.eval_results]
    expected = [*result.ticket.accuracy.values(), *result.dense.accuracy.values()]
    assert values == expected
    assert shape(card.text) == plain_shape(finished)
    for block in re.findall(r"```python\n(.*?)```", card.text, re.DOTALL):
        compile(block, "card", "exec")
    (line,) = re.findall(r"^lxcompress prune (.*)$", card.text, re.MULTILINE)
    words = shlex.split(line)
    assert words[words.index("--sparsity") + 1] == "0.3"


@pytest.mark.parametrize("string", HOSTILE)
def test_hostile_names_do_not_change_the_structure(string: str, finished: Path) -> None:
    check_hostile(finished, string)


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    string=st.text(st.characters(exclude_categories=[])) | st.text("|`*_<>[]()#-\n\r&;\\$'\": ~!a")
)
def test_any_names_do_not_change_the_structure(string: str, finished: Path) -> None:
    check_hostile(finished, string)
