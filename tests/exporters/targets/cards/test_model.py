"""The model repository of a model that no run has trained, and its card."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from call import Call
from huggingface_hub import ModelCard
from transformers import AutoTokenizer, LxmertForQuestionAnswering

from exporters.targets.cards.parts import license_of, public_name
from lxcompress.data.dataset import Dataset

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def bare(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder as published ones are: without answers and tokenizer."""
    folder = tmp_path / "bare"
    model = LxmertForQuestionAnswering.from_pretrained(tiny_model)
    model.config.id2label, model.config.label2id = None, None
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def options(tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> list[Any]:
    answers = tmp_path / "answers.json"
    labels = LxmertForQuestionAnswering.from_pretrained(tiny_model).config.id2label
    answers.write_text(json.dumps([labels[number] for number in range(len(labels))]))
    return ["--answers", answers, "--tokenizer", tiny_model, "--variant", "int8"]


def test_a_repository_of_a_model_without_data(
    bare: Path,
    options: list[Any],
    call: Call,
    tmp_path: Path,
    tiny_dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = tmp_path / "My model"
    code, _, err = call("export", bare, *options, "--hub", hub)
    assert (code, err) == (0, "")
    files = {str(path.relative_to(hub)) for path in hub.rglob("*") if path.is_file()}
    assert {"README.md", "config.json", "model.safetensors", "onnx/model_int8.onnx"} <= files
    assert "mask.safetensors" not in files
    card = ModelCard.load(hub / "README.md")
    assert card.data.model_name == "My model" and card.data.base_model is None
    assert not card.data.eval_results
    assert "Not measured: nobody knows the right answers" in card.text
    assert "| not measured |" in card.text
    assert "256 generated questions about generated regions" in card.text
    assert str(tmp_path) not in card.text
    assert "It is up to whoever trained this model" in card.text
    # What the model lacked is in its repository: stock libraries answer with it.
    AutoTokenizer.from_pretrained(hub)
    labels = LxmertForQuestionAnswering.from_pretrained(hub).config.id2label
    assert labels[2] == "zebra"
    picture = next((tiny_dataset.folder / "images" / "val").iterdir())
    shutil.copy(picture, hub / "picture.png")
    monkeypatch.chdir(hub)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", card.text, re.DOTALL):
        exec(block, names)
    answers = capsys.readouterr().out.splitlines()
    assert len(answers) == 3 and set(answers) <= set(labels.values())


def test_the_license_of_a_published_model_applies() -> None:
    assert license_of("org/lxmert") == (
        "The license of org/lxmert applies; the training data may have terms of their own."
    )


def test_a_folder_has_a_name_wherever_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert public_name(".") == public_name(str(tmp_path)) == tmp_path.name
    assert public_name("..") == tmp_path.parent.name
    assert public_name("org/lxmert") == "org/lxmert"


def test_a_card_with_data_has_the_accuracy(
    bare: Path, options: list[Any], call: Call, tmp_path: Path, tiny_data: Path
) -> None:
    code, out, err = call("export", bare, *options, "--data", tiny_data, "--hub", tmp_path / "hub")
    assert (code, err) == (0, "")
    (record,) = json.loads((bare / "onnx" / "export.json").read_text())["files"].values()
    text = (tmp_path / "hub" / "README.md").read_text()
    assert f"| overall | {record['accuracy_in_pytorch']['overall']:.2f} |" in text
    assert "In PyTorch, on the 120 validation questions of" in text
    assert "Dataset: SHA-256 " in text


def test_a_repository_of_a_ticket_folder(tiny_run: Path, call: Call, tmp_path: Path) -> None:
    ticket, hub = Path(shutil.copytree(tiny_run / "ticket", tmp_path / "ticket")), tmp_path / "hub"
    code, _, err = call("export", ticket, "--variant", "sparse-int8", "--hub", hub)
    assert (code, err) == (0, "")
    for name in ("mask.safetensors", "model.safetensors"):
        assert (hub / name).read_bytes() == (ticket / name).read_bytes()
    card = ModelCard.load(hub / "README.md")
    assert {"lottery-ticket", "sparse"} <= set(card.data.tags)
    assert re.search(r"prunable ones are pruned \(\d+\.\d%\)", card.text)
