"""A ticket's model repository: what is in it, what its card says, and what leaves the machine."""

import copy
import errno
import hashlib
import itertools
import json
import re
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import _headers
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tiny import run_lottery, settings
from transformers import AutoTokenizer, LxmertForQuestionAnswering

import exporters.export
from exporters.records import ExportRecord, ExportReport
from exporters.source import Source
from exporters.targets import hub
from exporters.targets.hub import model_card, push, write_hub_folder
from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError, LxcompressError, ModelError
from lxcompress.model.lxmert import load_model
from lxcompress.run import Run

JSON = dict[str, Any]
MODEL_FILES = {"config.json", "model.safetensors", "mask.safetensors"}
TOKENIZER_FILES = {"tokenizer.json", "tokenizer_config.json"}
ONNX_FILES = {"model_sparse.onnx", "model_sparse_int8.onnx"}
VARIANTS = ["fp32", "sparse-fp32", "sparse-int8"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError(f"network: {arguments}")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def finished(
    tiny_model: Path, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run with two files of its ticket and one of the dense model."""
    folder = tmp_path_factory.mktemp("hub") / "run"
    run_lottery(folder, tiny_dataset, settings(tiny_model, tiny_dataset.folder, sparsity=0.3))
    source = Source.of(folder, None, None)
    exporters.export.export(source, source.variants(VARIANTS), "cpu")
    return folder


@pytest.fixture(scope="module")
def folder(finished: Path) -> Path:
    """Its model repository."""
    run = Run(finished)
    write_hub_folder(run, ExportReport.read(run.onnx), finished.parent / "My ticket")
    return finished.parent / "My ticket"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    """A copy of the run that a test may spoil."""
    return Run(Path(shutil.copytree(finished, tmp_path / "run")))


def read(path: Path) -> JSON:
    return json.loads(path.read_text(encoding="utf-8"))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def parse(text: str) -> Any:
    """The card as huggingface_hub reads it; its own types do not know the fields of `data`."""
    return ModelCard(text)


def figures(run: Path) -> tuple[JSON, JSON, JSON]:
    """What a card is made of."""
    report = read(run / "onnx" / "export.json")
    files = {name: report["files"][name] for name in sorted(ONNX_FILES)}
    return read(run / "result.json"), files, read(run / "ticket" / "config.json")


def card_of(name: str, result: JSON, files: JSON, architecture: JSON) -> str:
    """`model_card` of records as they stand in export.json."""
    records = {file: ExportRecord.model_validate(record) for file, record in files.items()}
    return model_card(name, result, records, architecture)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(call: Command) -> Command:
    """Run `lxcompress export` in this process: exit code, output, errors."""
    return partial(call, "export")


# -- The folder -------------------------------------------------------------------------------


def test_it_holds_the_ticket_and_its_own_files_only(finished: Path, folder: Path) -> None:
    found = content(folder)
    assert (finished / "onnx" / "model.onnx").exists()
    names = {f"onnx/{name}" for name in ONNX_FILES} | MODEL_FILES | TOKENIZER_FILES
    assert found.keys() == names | {"README.md"}
    for name in names:
        origin = finished if name.startswith("onnx/") else finished / "ticket"
        assert found[name] == (origin / name).read_bytes()
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_it_answers_as_the_ticket(
    finished: Path, folder: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """In stock transformers, stock ONNX Runtime, and by the very lines of its card."""
    split = tiny_dataset.split("val")
    question = split.questions[0]
    regions = split.regions.gather([question.image_id])
    inputs = {
        "visual_feats": regions.features.astype(np.float32),
        "visual_pos": regions.boxes,
        "visual_attention_mask": np.ones(regions.features.shape[:2], np.int64),
    }
    words = AutoTokenizer.from_pretrained(folder)(question.text, return_tensors="np")
    inputs |= {name: array.astype(np.int64) for name, array in words.items()}
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    models = [LxmertForQuestionAnswering.from_pretrained(folder), load_model(finished / "ticket")]
    with torch.inference_mode():
        found, expected = (model.eval()(**tensors).question_answering_score for model in models)
    assert torch.allclose(found, expected, atol=1e-6)
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model_sparse.onnx"))
    (logits,) = session.run(["logits"], inputs)
    assert np.allclose(logits, expected.numpy(), atol=1e-5)


def test_the_lines_of_its_card_run(
    folder: Path,
    tiny_dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))
    picture = next((tiny_dataset.folder / "images" / "val").iterdir())
    shutil.copy(picture, copied / "picture.png")
    monkeypatch.chdir(copied)
    blocks = re.findall(r"```python\n(.*?)```", (copied / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    names: JSON = {}
    for block in blocks:
        exec(block, names)
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 3 and answers[0] == answers[2]
    assert set(answers) <= set(tiny_dataset.answers)


# -- The card ---------------------------------------------------------------------------------


def test_its_metadata(finished: Path, folder: Path) -> None:
    result = read(finished / "result.json")
    card = ModelCard.load(folder / "README.md")
    data = card.data
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "visual-question-answering"
    assert data.model_name == "My ticket"
    assert {"lxmert", "lottery-ticket", "pruning", "onnx", "sparse"} < set(data.tags)
    assert data.datasets == ["shapes-vqa"]
    assert data.license is None and data.base_model is None  # a model of the user's own
    measured = {
        (kind, model): value
        for model in ("ticket", "dense")
        for kind, value in result[model]["accuracy"].items()
    }
    assert len(measured) == len(data.eval_results) == 8
    for found in data.eval_results:
        kind = found.metric_name.removeprefix("VQA v2 accuracy, ").removesuffix(", dense model")
        is_dense = found.metric_name.endswith(", dense model")
        assert (found.metric_type == "accuracy") is not is_dense
        assert found.metric_value == measured.pop((kind, "dense" if is_dense else "ticket"))
        assert found.dataset_name == "shapes-vqa" and found.dataset_split == "validation"
    assert not measured

    _, front, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front) == data.to_dict()
    assert body == card.text


def test_every_figure_of_its_text_is_from_the_files(finished: Path, folder: Path) -> None:
    result, files, architecture = figures(finished)
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

    # Nothing else is a number: all that are left are the files', in one of these forms.
    allowed = {"2310.15325", "32", "4", "1", "23"}  # arXiv, fp32 and float32, [n, 4] and its 1
    for value in numbers([result, files, architecture]):
        forms = (f"{value:,}", f"{value:.2f}", f"{value:.1%}", f"{value:.2%}", f"{100 * value:g}%")
        allowed |= {*forms, str(value), f"{value / 1e6:.2f}"}
    allowed |= {f"{f['bytes'] / (4 * f['parameters']):.1%}" for f in files.values()}
    allowed.add(str(len(architecture["id2label"])))
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    plain = re.sub(r"(?m)^.*SHA-256.*$|^\| answers.*$|`[^`]*`|\(https.*?\)", "", plain)
    found = re.findall(r"(?<![\w.])\d[\d,.]*\d%?|(?<![\w.])\d%?(?![\w.])", plain)
    assert len(found) > 30
    assert {number for number in found if number not in allowed} == set()


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_the_command_of_its_card_is_the_runs(finished: Path) -> None:
    result, files, architecture = figures(finished)
    for number, given_settings in enumerate(
        (
            {},
            {"seed": 7, "sparsity": 0.9, "subnetwork": "random", "rewind": "late"},
            {"model": "unc-nlp/lxmert-base-uncased", "keep-answer-head": True, "precision": "bf16"},
            {"model-config": "base", "tokenizer": "google-bert/bert-base-uncased", "epochs": 3},
        )
    ):
        config = PruneConfig.parse(given_settings)
        result["config"] = config.dump() | {"workers": number}
        text = card_of("ticket", result, files, architecture)
        (line,) = re.findall(r"^lxcompress prune (.*)$", text, re.MULTILINE)
        assert f"--seed {config.seed} " in line  # defaults too: they may change
        words, found = shlex.split(line), {}
        while words:
            option = words.pop(0).removeprefix("--")
            found[option] = True if option == "keep-answer-head" else words.pop(0)
        assert PruneConfig.parse(found) == config


def test_whose_model_and_license(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    result, files, architecture = figures(finished)

    def card(**changes: str | None) -> tuple[Any, str]:
        changed = result["config"] | {k.replace("_", "-"): v for k, v in changes.items()}
        found = parse(card_of("x", result | {"config": changed}, files, architecture))
        return found.data, found.text

    data, text = card(model="lxmert-shapes", data="shapes")
    assert (data.license, data.base_model) == ("apache-2.0", None)
    assert "Apache-2.0: start weights" in text and "nothing of photographs" in text
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
    assert "Whoever trained this model decides" in text


def test_no_place_of_this_machine_is_told(folder: Path, tiny_data: Path, tiny_model: Path) -> None:
    text = (folder / "README.md").read_text()
    for place in (tiny_data, tiny_model, folder):
        assert str(place.parent) not in text


def test_what_a_result_may_lack(finished: Path) -> None:
    """An answer type that the data have none of, a detector's name, a file's accuracy, few labels
    or many."""
    result, files, architecture = copy.deepcopy(figures(finished))
    for model in ("dense", "ticket"):
        result[model]["accuracy"]["number"] = None
    result["dataset"]["detector"] = None
    files["model_sparse.onnx"]["accuracy"] = None
    architecture["id2label"] = {str(index): f"a{index}" for index in reversed(range(3129))}
    card = parse(card_of("x", result, files, architecture))
    assert not any("number" in found.metric_name for found in card.data.eval_results)
    assert "| number |" not in card.text and "| not measured |" in card.text
    assert "by the detector, " in card.text and "get_detector" not in card.text
    assert "| answers | 3,129: a0, a1, a2, " in card.text
    assert "a29, … |" in card.text and "a30" not in card.text


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shape(text: str) -> list[str]:
    """The structure of Markdown, without its words."""
    tokens = PARSER.parse(text)
    return list(
        itertools.chain.from_iterable(
            [token.type, *(child.type for child in token.children or [])] for token in tokens
        )
    )


def hostile_card(finished: Path, string: str) -> tuple[str, JSON]:
    """A card in which everything that a user can name has this name."""
    result, files, architecture = copy.deepcopy(figures(finished))
    result["dataset"] |= {"name": string, "detector": string, "folder": string}
    result["config"] |= {"data": string, "model": string or "/", "tokenizer": string}
    architecture["id2label"]["0"] = string
    return card_of(string, result, files, architecture), result


@cache
def plain_shape(finished: Path) -> list[str]:
    text, _ = hostile_card(finished, "plain")
    found = shape(parse(text).text)
    assert found.count("table_open") == 3 and found.count("fence") == 5
    return found


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
    names = {(found.dataset_name, found.dataset_type) for found in card.data.eval_results}
    ((name, slug),) = names
    assert name and name.isprintable() and re.fullmatch(r"(?:[\w-]+/)?[\w.-]+", slug, re.ASCII)
    assert card.data.datasets in (None, [slug])
    values = [found.metric_value for found in card.data.eval_results]
    wanted = [*result["ticket"]["accuracy"].values(), *result["dense"]["accuracy"].values()]
    assert values == wanted
    assert shape(card.text) == plain_shape(finished)
    for block in re.findall(r"```python\n(.*?)```", card.text, re.DOTALL):
        compile(block, "card", "exec")
    (line,) = re.findall(r"^lxcompress prune (.*)$", card.text, re.MULTILINE)
    words = shlex.split(line)
    assert words[words.index("--sparsity") + 1] == "0.3"


@pytest.mark.parametrize("string", HOSTILE)
def test_hostile_names(string: str, finished: Path) -> None:
    check_hostile(finished, string)


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    string=st.text(st.characters(exclude_categories=[])) | st.text("|`*_<>[]()#-\n\r&;\\$'\": ~!a")
)
def test_any_names(string: str, finished: Path) -> None:
    check_hostile(finished, string)


# -- The command ------------------------------------------------------------------------------


def test_export_with_hub(command: Command, run: Run, tmp_path: Path, folder: Path) -> None:
    """Alone it uploads nothing: any use of the network fails these tests."""
    hub_folder = tmp_path / "deep" / "ticket"
    code, out, err = command(run.folder, "--variant", "sparse-int8", "--hub", hub_folder)
    assert (code, err) == (0, "")
    assert f"model repository: {hub_folder}\nnext: hf upload OWNER/NAME {hub_folder}\n" in out
    found, before = content(hub_folder), content(folder)
    assert found.pop("README.md") != before.pop("README.md")  # it has another name
    del before["onnx/model_sparse.onnx"]  # not asked for now
    assert found == before


def test_a_folder_of_its_own_for_the_files(command: Command, run: Run, tmp_path: Path) -> None:
    shutil.rmtree(run.onnx)
    code, _, err = command(
        *(run.folder, "--variant", "sparse-int8"),
        *("--output", tmp_path / "files", "--hub", tmp_path / "ticket"),
    )
    assert (code, err) == (0, "")
    onnx = content(tmp_path / "ticket" / "onnx")
    assert onnx.keys() == {"model_sparse_int8.onnx"}
    assert "model_sparse.onnx" not in (tmp_path / "ticket" / "README.md").read_text()


def test_what_hub_refuses_before_it_exports(
    command: Command, run: Run, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*arguments: object) -> None:
        raise AssertionError("it has begun to export")

    monkeypatch.setattr(exporters.export, "export", late)
    for name in ("folder", "file", "link", "output"):
        (tmp_path / name).symlink_to("nowhere") if name == "link" else (tmp_path / name).touch()
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    new = tmp_path / "new"
    cases: list[tuple[list[object], str]] = [
        *(([run.folder, "--hub", tmp_path / n], f"{tmp_path / n} exists already; choose another")
          for n in ("folder", "file", "link")),
        ([run.folder, "--hub", tmp_path / "file" / "x"], "file is no folder that can be written"),
        ([run.folder, "--hub", run.ticket / "x"], f"/x and {run.ticket} lie in each other"),
        ([run.folder, "--hub", new, "--output", new], "lie in each other; choose another --hub"),
        ([run.folder, "--hub", new, "--output", new / "a"], "lie in each other; choose another"),
        ([run.folder, "--hub", new, "--variant", "fp32"], "needs a file of the ticket"),
        ([run.folder, "--hub", new, "--variant", "zzz"], "--variant zzz: choose fp32"),
        ([run.ticket, "--hub", new], "--hub needs a run directory, whose result it tells"),
        ([run.ticket, "--hub", new, "--data", tiny_data], "--hub needs a run directory"),
        ([tmp_path / "none", "--hub", new], "is neither a run directory nor a model folder"),
        ([run.folder, "--push", "a/b"], "--push goes with --hub, the folder to upload"),
        ([run.folder, "--hub", new, "--push", "ticket"], "--push ticket: give OWNER/NAME"),
        ([run.folder, "--hub", new, "--push", "a/b/c"], "--push: Repo id must be in the form"),
        ([run.folder, "--hub", new, "--push", "a b/c"], "--push: Repo id must use alphanumeric"),
        ([run.folder, "--hub", new, "--push", "a/b.git"], "--push: Repo_id cannot end by '.git'"),
    ]  # fmt: skip
    for arguments, message in cases:
        code, out, err = command(*arguments)
        assert (code, out) == (2, ""), arguments
        assert err.startswith("error: ") and err.count("\n") == 1, err
        assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_files_of_another_ticket(run: Run, tmp_path: Path) -> None:
    report = read(run.onnx / "export.json")
    report["files"]["model_sparse.onnx"]["made_of"]["files"]["mask.safetensors"] = "0" * 64
    write_hub_folder(run, ExportReport.model_validate(report), tmp_path / "one")
    assert [path.name for path in (tmp_path / "one" / "onnx").iterdir()] == [
        "model_sparse_int8.onnx"
    ]
    del report["files"]["model_sparse_int8.onnx"]
    with pytest.raises(ConfigError, match="has no file of this ticket"):
        write_hub_folder(run, ExportReport.model_validate(report), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_nothing_is_left_half_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ExportReport.read(run.onnx)
    before = sorted(tmp_path.rglob("*"))
    damaged = run.onnx / "model_sparse_int8.onnx"
    kept = damaged.read_bytes()
    damaged.write_bytes(kept[:-1] + b"\0\0")
    with pytest.raises(ModelError, match=r"int8.onnx is not the file that was checked"):
        write_hub_folder(run, report, tmp_path / "hub")
    damaged.write_bytes(kept)

    def full(source: Path, target: Path) -> None:
        if target.suffix == ".onnx":
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(LxcompressError, match="no space left on the disk while writing"):
            write_hub_folder(run, report, tmp_path / "hub")
    assert sorted(tmp_path.rglob("*")) == before
    write_hub_folder(run, report, tmp_path / "hub")
    with pytest.raises(LxcompressError, match="there is a folder of that name"):
        write_hub_folder(run, report, tmp_path / "hub")


def test_weights_beside_a_large_file_go_along(run: Run, tmp_path: Path) -> None:
    report = read(run.onnx / "export.json")
    (run.onnx / "model_sparse.onnx_data").write_bytes(b"weights")
    report["files"]["model_sparse.onnx"]["sha256"] += " " + hashlib.sha256(b"weights").hexdigest()
    write_hub_folder(run, ExportReport.model_validate(report), tmp_path / "hub")
    assert (tmp_path / "hub" / "onnx" / "model_sparse.onnx_data").read_bytes() == b"weights"


# -- Uploading --------------------------------------------------------------------------------

Call = tuple[str, tuple[Any, ...], JSON]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What was asked of huggingface_hub, in the place of whose HfApi nothing happens."""
    made: list[Call] = []

    class Api:
        def __init__(self, **options: Any) -> None:
            assert options.keys() == {"token", "library_name", "library_version"}
            assert options["token"] is True

        def create_repo(self, *arguments: Any, **options: Any) -> str:
            made.append(("create_repo", arguments, options))
            return f"https://huggingface.co/{arguments[0]}"

        def upload_folder(self, *arguments: Any, **options: Any) -> None:
            made.append(("upload_folder", arguments, options))

    monkeypatch.setattr(hub, "HfApi", Api)
    return made


def test_push(command: Command, run: Run, tmp_path: Path, calls: list[Call]) -> None:
    hub_folder = tmp_path / "ticket"
    code, out, err = command(
        *(run.folder, "--variant", "sparse-int8", "--hub", hub_folder, "--push", "ann/ticket-30")
    )
    assert (code, err) == (0, "")
    assert out.endswith("uploaded: https://huggingface.co/ann/ticket-30\n")
    create, upload = calls
    assert create == ("create_repo", ("ann/ticket-30",), {"exist_ok": True})
    assert upload[:2] == ("upload_folder", ())
    assert upload[2].pop("commit_message").startswith("Upload a ticket by lxcompress ")
    assert upload[2] == {"repo_id": "ann/ticket-30", "folder_path": hub_folder}


def http_error(status: int, message: str) -> HfHubHTTPError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError(message, response=response)


FAILURES: list[tuple[Exception, str]] = [
    (http_error(401, "401 Client Error.\n\nInvalid username."), "401 Client Error. Invalid usern"),
    (http_error(403, "403 Forbidden:\nYou may not."), "403 Forbidden: You may not; "),
    (ConnectionError("[Errno -2] Name or service not known"), "Name or service not known; "),
    (RuntimeError(), "RuntimeError; "),
]


@pytest.mark.parametrize("method", ["create_repo", "upload_folder"])
@pytest.mark.parametrize(("problem", "message"), FAILURES)
def test_a_failed_upload_is_one_line(
    method: str,
    problem: Exception,
    message: str,
    command: Command,
    run: Run,
    tmp_path: Path,
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise problem

    monkeypatch.setattr(hub.HfApi, method, fail)
    hub_folder = tmp_path / "my ticket"
    code, out, err = command(
        *(run.folder, "--variant", "sparse-int8", "--hub", hub_folder, "--push", "ann/ticket")
    )
    assert code == 2 and f"model repository: {hub_folder}\n" in out and "uploaded" not in out
    assert err.startswith("error: cannot upload to ann/ticket: ") and err.count("\n") == 1
    assert message in err
    assert err.endswith(
        f"; {hub_folder} is complete, upload it later with `hf upload ann/ticket '{hub_folder}'`\n"
    )
    assert (hub_folder / "README.md").exists()


@pytest.mark.parametrize(
    ("token", "message"), [(None, "no token found"), ("hf_x", "offline mode is enabled")]
)
def test_what_huggingface_hub_itself_says(
    token: str | None, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token, and (as all tests run) in offline mode."""
    monkeypatch.setattr(_headers, "get_token", lambda: token)
    with pytest.raises(LxcompressError, match=message) as problem:
        push(folder, "ann/ticket")
    assert "\n" not in str(problem.value) and "hf_x" not in str(problem.value)
    with pytest.raises(LxcompressError, match="cannot upload to a b/c: "):
        push(folder, "a b/c")
