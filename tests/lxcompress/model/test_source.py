"""Naming a model: a folder, a hub id in the cache, and answers and tokenizers from elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from call import Call
from hub_cache import BASE, VQA, add_repository, published_files, tokenizer_files, use_cache
from shared import SHARED

from lxcompress.data.dataset import Dataset
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.answer_list import SHIPPED, read_answers
from lxcompress.model.source import ModelSource
from lxcompress.model.tokenizer import build_tokenizer, load_tokenizer
from lxcompress.system.files import write_json


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An offline cache."""
    use_cache(tmp_path / "hub", monkeypatch)
    return tmp_path / "hub"


@pytest.fixture
def published(hub: Path, tmp_path: Path, tiny_dataset: Dataset) -> Path:
    """The cache with a published model and the base model's tokenizer; returns the snapshot."""
    words = build_tokenizer(question.text for question in tiny_dataset.questions("train"))
    feature_size = tiny_dataset.region_format("train").feature_size
    files = published_files(tmp_path, vocab_size=len(words), visual_feat_dim=feature_size)
    add_repository(hub, BASE, tokenizer_files(words, tmp_path / "words"))
    return add_repository(hub, VQA, files)


def test_the_shipped_lists() -> None:
    vqa, gqa = (read_answers(SHIPPED[name]) for name in ("lxmert-vqa", "lxmert-gqa"))
    assert (len(vqa), len(gqa)) == (3129, 1842)
    assert vqa[0] == "" and "yes" in vqa and "yes" in gqa
    assert (SHIPPED["lxmert-vqa"].parent / "LICENSE").read_text().startswith("MIT License")


def test_a_published_model_has_answers_and_a_tokenizer_by_name(published: Path) -> None:
    source = ModelSource.open(VQA)
    assert source.folder == published
    assert labels_of(source.load_model().config) == read_answers(SHIPPED["lxmert-vqa"])
    assert len(source.load_tokenizer()) > 20


def test_evaluate_a_published_model(published: Path, tiny_data: Path, call: Call) -> None:
    code, output, errors = call("evaluate", VQA, "--data", tiny_data, "--device", "cpu")
    assert code == 0, errors
    assert "overall" in output


def test_the_same_files_in_a_folder_need_both_options(
    published: Path, tmp_path: Path, tiny_data: Path, call: Call
) -> None:
    folder = shutil.copytree(published, tmp_path / "folder")
    arguments = ["evaluate", folder, "--data", tiny_data]
    _, _, errors = call(*arguments, "--tokenizer", tmp_path / "words")
    assert "names no answers, but its head has 3129; give the answer list" in errors
    assert "--answers" in errors
    _, _, errors = call(*arguments, "--answers", "lxmert-vqa")
    assert f"{folder} has no tokenizer; give one with --tokenizer" in errors
    both = ["--answers", "lxmert-vqa", "--tokenizer", tmp_path / "words"]
    assert call(*arguments, *both)[0] == 0


def test_answers_and_tokenizers_that_do_not_fit(tiny_model: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "two.json", ["yes", "no"])
    with pytest.raises(ModelError, match="two.json lists 2 answers, the model's head has 3"):
        ModelSource.open(tiny_model, str(tmp_path / "two.json")).load_model()
    write_json(tmp_path / "three.json", ["a", "b", "c"])
    source = ModelSource.open(tiny_model, str(tmp_path / "three.json"), str(tmp_path))
    assert labels_of(source.load_model().config) == ["a", "b", "c"]
    with pytest.raises(ModelError, match="has no tokenizer|cannot load"):
        source.load_tokenizer()


def test_the_models_own_are_the_default(tiny_model: Path) -> None:
    source = ModelSource.open(tiny_model)
    assert labels_of(source.load_model().config) == ["yes", "no", "zebra"]
    assert source.load_tokenizer().get_vocab() == load_tokenizer(tiny_model).get_vocab()


def test_names_that_lead_nowhere(hub: Path, tmp_path: Path) -> None:
    offline = "there is no folder {}, and the Hugging Face Hub did not give .*: .*offline"
    for name in (VQA, "nobody/nothing"):
        with pytest.raises(ModelError, match=offline.format(name)):
            ModelSource.open(name)
    with pytest.raises(ModelError, match="there is no such model folder"):
        ModelSource.open(tmp_path / "absent")
    with pytest.raises(ModelError, match="there is no such model folder"):
        ModelSource.open("absent")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="is a file, not a model folder"):
        ModelSource.open(tmp_path / "file")


def test_a_hub_id_that_is_no_lxmert(hub: Path) -> None:
    add_repository(hub, "some/bert", {"config.json": b'{"model_type": "bert"}'})
    with pytest.raises(ModelError, match="is a bert model; lxcompress prunes LXMERT"):
        ModelSource.open("some/bert")
    add_repository(hub, "some/data", {"tokenizer.json": b"{}"})
    with pytest.raises(ModelError, match="some/data on the Hugging Face Hub is not a model"):
        ModelSource.open("some/data")


def test_a_published_model_whose_tokenizer_is_not_in_the_cache(hub: Path, tmp_path: Path) -> None:
    add_repository(hub, VQA, published_files(tmp_path))
    with pytest.raises(ModelError, match=f"{VQA} has no tokenizer of its own, .* --tokenizer"):
        ModelSource.open(VQA).load_tokenizer()


@pytest.mark.skipif(not (SHARED / "cases/case-15").exists(), reason="the cases are not here")
@pytest.mark.parametrize("name", ["case-15", "case-15/notok"])
def test_a_folder_that_failed_once(name: str, tiny_data: Path, tmp_path: Path, call: Call) -> None:
    folder = SHARED / "cases" / name
    size = json.loads((folder / "config.json").read_text())["num_qa_labels"]
    write_json(tmp_path / "answers.json", [f"answer {index}" for index in range(size)])
    options = ["--answers", tmp_path / "answers.json", "--tokenizer", SHARED / "cases/case-15"]
    code, _, errors = call("evaluate", folder, "--data", tiny_data, *options)
    assert code == 0, errors
