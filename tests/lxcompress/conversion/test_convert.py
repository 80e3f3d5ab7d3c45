"""Checkpoints of LXMERT's own code: the same logits in Hugging Face's folder, clear errors."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from call import Call
from lxmert_reference import FineTuned, PreTrained, Sizes
from tiny import random_batch, tiny_config
from torch import Tensor, nn
from torch.nn.utils import prune
from transformers import LxmertForPreTraining, LxmertForQuestionAnswering, LxmertModel

from lxcompress.conversion.convert import convert
from lxcompress.data.batches import model_inputs
from lxcompress.errors import ConfigError, DataError, LxcompressError, ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.lxmert import load_model, load_pretraining_model
from lxcompress.model.tokenizer import build_tokenizer, load_tokenizer
from lxcompress.system.files import write_json
from lxcompress.ticket import is_ticket, load_ticket

SIZES = Sizes()
ANSWERS = ["", "yes", "no", "red", "2"]


@pytest.fixture
def fine_tuned() -> FineTuned:
    return random_weights(FineTuned(SIZES))


Network = TypeVar("Network", bound=nn.Module)


def random_weights(network: Network) -> Network:
    """Every parameter differs, biases and LayerNorms too, so that a wrong name cannot go unseen."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    return network.eval()


def save(state: Mapping[str, Any], path: Path) -> Path:
    torch.save(dict(state), path)
    return path


def converted(state: Mapping[str, Any], folder: Path, **options: Any) -> Path:
    checkpoint = save(state, folder / "BEST.pth")
    convert(checkpoint, folder / "model", **{"heads": 2, **options})
    return folder / "model"


@torch.no_grad()
def assert_same_logits(network: nn.Module, model: LxmertForQuestionAnswering) -> None:
    batch = random_batch(tiny_config())
    found = model.eval()(**model_inputs(batch, torch.device("cpu"))).question_answering_score
    torch.testing.assert_close(found, network(batch), rtol=1e-5, atol=1e-5)


def with_module(name: str) -> str:
    """As the published code saves it with --multiGPU: around the encoder."""
    return name.replace("lxrt_encoder.model.", "lxrt_encoder.model.module.")


@pytest.mark.parametrize(
    "rename", [str, lambda name: f"module.{name}", with_module], ids=["plain", "front", "middle"]
)
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_fine_tuned_checkpoint_gives_the_same_logits(
    rename: Any, wrapper: str | None, fine_tuned: FineTuned, tmp_path: Path
) -> None:
    state: dict[str, Any] = {rename(name): value for name, value in fine_tuned.state_dict().items()}
    if wrapper:
        state = {wrapper: state, "epoch": 3}
    folder = converted(state, tmp_path)
    assert_same_logits(fine_tuned, load_model(folder))
    stock = LxmertForQuestionAnswering.from_pretrained(folder)
    assert_same_logits(fine_tuned, stock)
    assert not is_ticket(folder)


def test_a_file_of_old_pytorch_is_read(fine_tuned: FineTuned, tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(fine_tuned.state_dict(), path, _use_new_zipfile_serialization=False)
    convert(path, tmp_path / "model", heads=2)
    assert_same_logits(fine_tuned, load_model(tmp_path / "model"))


def test_a_pre_trained_checkpoint_keeps_all_its_heads(tmp_path: Path) -> None:
    network = random_weights(PreTrained(SIZES))
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    folder = converted(state, tmp_path)
    assert_same_logits(network, load_model(folder))
    model = load_pretraining_model(folder)
    assert model.config.num_object_labels == 7 and model.config.num_attr_labels == 3
    expected = {
        name.replace("bert.", "lxmert.", 1): value for name, value in network.state_dict().items()
    }
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert isinstance(model, LxmertForPreTraining)


def test_an_encoder_alone_can_be_pruned_from(tmp_path: Path, fine_tuned: FineTuned) -> None:
    """`LXRTEncoder.save` writes `bert.…` only."""
    encoder = fine_tuned.lxrt_encoder.model.state_dict()
    folder = converted(encoder, tmp_path)
    with pytest.raises(ModelError, match="lacks 6 weights of LXMERT, e.g. answer_head"):
        load_model(folder)
    model = load_model(folder, without_head=True)
    stock = LxmertModel.from_pretrained(folder)
    for name, value in encoder.items():
        same = name.removeprefix("bert.")
        assert torch.equal(model.lxmert.state_dict()[same], value), name
        assert torch.equal(stock.state_dict()[same], value), name


def test_masks_of_torch_become_a_ticket(tmp_path: Path, fine_tuned: FineTuned) -> None:
    pruned = {
        "lxrt_encoder.model.bert.encoder.layer.0.attention.self.query": 0.5,
        "lxrt_encoder.model.bert.encoder.x_layers.1.lang_inter.dense": 0.75,
        "lxrt_encoder.model.bert.embeddings.word_embeddings": 0.5,  # not prunable here
    }
    for name, amount in pruned.items():
        prune.l1_unstructured(fine_tuned.get_submodule(name), "weight", amount=amount)
    checkpoint = save(fine_tuned.state_dict(), tmp_path / "pruned.pth")
    done = convert(checkpoint, tmp_path / "ticket", heads=2)
    assert done.unmasked == ["lxmert.embeddings.word_embeddings.weight"]
    model, mask = load_ticket(tmp_path / "ticket")
    assert_same_logits(fine_tuned, model)
    for name, amount in list(pruned.items())[:2]:
        keep = mask[name.replace("lxrt_encoder.model.bert", "lxmert") + ".weight"]
        assert torch.equal(keep, dict(fine_tuned.named_buffers())[f"{name}.weight_mask"].bool())
        assert 1 - keep.float().mean() == amount
    assert mask.pruned == 32 * 32 // 2 + 32 * 48 * 3 // 4
    assert done.mask is not None and done.mask.pruned == mask.pruned


def test_hugging_face_names_with_masks_are_read(tmp_path: Path, tiny_model: Path) -> None:
    stock = LxmertForQuestionAnswering.from_pretrained(tiny_model)
    prune.l1_unstructured(stock.answer_head.logit_fc[0], "weight", amount=0.5)
    folder = converted(stock.state_dict(), tmp_path)
    _, mask = load_ticket(folder)
    assert mask.pruned == 32 * 64 // 2


def test_sizes_answers_and_tokenizer_are_in_the_folder(
    fine_tuned: FineTuned, tmp_path: Path
) -> None:
    words = build_tokenizer(["what is red"])
    words.save_pretrained(tmp_path / "words")
    answers = write_json_file(tmp_path / "answers.json", ANSWERS)
    folder = converted(
        fine_tuned.state_dict(),
        tmp_path,
        answers=str(answers),
        tokenizer=str(tmp_path / "words"),
        heads=4,
    )
    config = load_model(folder).config
    assert labels_of(config) == ANSWERS
    assert len(load_tokenizer(folder)) == len(words)
    assert config.num_attention_heads == 4
    expected = tiny_config()
    for name in ("vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings"):
        assert getattr(config, name) == getattr(expected, name), name
    for name in ("l_layers", "x_layers", "r_layers", "visual_feat_dim", "num_qa_labels"):
        assert getattr(config, name) == getattr(expected, name), name


def write_json_file(path: Path, value: Any) -> Path:
    write_json(path, value)
    return path


def test_the_number_of_heads_follows_from_bert(tmp_path: Path) -> None:
    network = random_weights(FineTuned(Sizes(hidden=128, heads=2)))
    folder = converted(network.state_dict(), tmp_path, heads=None)
    assert_same_logits(network, load_model(folder))


def test_what_is_left_over_is_named(fine_tuned: FineTuned, tmp_path: Path, call: Call) -> None:
    state = fine_tuned.state_dict() | {
        "lxrt_encoder.model.bert.embeddings.position_ids": torch.arange(24)
    }
    checkpoint = save(state, tmp_path / "BEST.pth")
    code, output, errors = call("convert", checkpoint, "--output", tmp_path / "model", "--heads", 2)
    assert (code, errors) == (0, "")
    assert output.splitlines()[:2] == [
        "fine-tuned: 2 language, 1 vision, 2 cross layers of 32 with 2 heads, 5 answers",
        "left over, not in the model: lxmert.embeddings.position_ids",
    ]
    assert "no answer list: give --answers" in output
    assert "no tokenizer: give --tokenizer" in output


class Code:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def without(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if part not in name}


def bad_files(network: FineTuned, folder: Path) -> dict[str, tuple[Path, str]]:
    """Name: file, and what its message must say."""
    state = network.state_dict()
    whole = save(state, folder / "whole.pth")
    cut = folder / "cut.pth"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    page = folder / "page.pth"
    page.write_text("<html>404</html>")
    empty = folder / "empty.pth"
    empty.touch()
    query = "lxrt_encoder.model.bert.encoder.layer.0.attention.self.query.weight"
    nan = {**state, query: torch.full((32, 32), torch.nan)}
    half_pair = {**without(state, query), f"{query}_orig": state[query]}
    odd_mask = {**half_pair, f"{query}_mask": torch.full((32, 32), 0.5)}
    saved = {
        "code": ({**state, "hook": Code()}, "holds .*system, which could run code"),
        "a whole module": ({"net": nn.Linear(2, 2)}, "holds torch.nn.*, which could run code"),
        "a list": ({"state_dict": [1]}, "not a state dict .*'state_dict' is a list"),
        "another network": (nn.Linear(2, 2).state_dict(), "not a checkpoint of LXMERT: no "),
        "BERT": (without(state, "x_layers"), "not a checkpoint of LXMERT: no .*x_layers"),
        "missing": (without(state, "pooler"), r"lacks 2 of the \d+ tensors .*pooler.dense.weight"),
        "a missing layer": (without(state, "encoder.layer.0.att"), "lacks 10 of .*attention"),
        "another shape": (
            {**state, "logit_fc.0.weight": torch.ones(64, 64)},  # NLVR2's two pictures
            r"logit_fc.0.weight is .*\[64, 64\], expected floats \[64, 32\]",
        ),
        "NaN": (nan, "query.weight has NaN or infinity"),
        "half a pair": (half_pair, "weight_orig without .*weight_mask"),
        "an odd mask": (odd_mask, "is not a mask of zeros and ones"),
        "two of a name": ({**state, f"module.{query}": state[query]}, "two tensors for"),
    }
    files = {
        "cut off": (cut, "not a checkpoint of PyTorch, or is cut off"),
        "a web page": (page, "not a checkpoint of PyTorch"),
        "empty": (empty, "not a checkpoint of PyTorch"),
        "absent": (folder / "absent.pth", "checkpoint not found"),
        "a folder": (folder, "is a folder; give the .pth file in it"),
    }
    for name, (content, message) in saved.items():
        files[name] = (save(content, folder / f"{len(files)}.pth"), message)
    return files


def test_bad_checkpoints_are_one_line_and_leave_nothing(
    fine_tuned: FineTuned, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    output = tmp_path / "out" / "model"
    for name, (file, message) in bad_files(fine_tuned, tmp_path).items():
        code, _, errors = call("convert", file, "--output", output, "--heads", 2)
        assert code == 2, name
        assert errors.startswith("error: ") and errors.count("\n") == 1, name
        with pytest.raises(LxcompressError, match=message):
            convert(file, output, heads=2)
        assert not list((tmp_path / "out").iterdir()), name
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"heads": None}, ConfigError, "hidden size of 32 is not a multiple of 64.* --heads"),
        ({"heads": 3}, ConfigError, "--heads 3: the hidden size is 32, not a multiple of it"),
        ({"answers": "lxmert-vqa"}, ModelError, "lists 3129 answers, the model's head has 5"),
        ({"answers": "absent.json"}, DataError, "answer list not found: absent.json"),
        ({"tokenizer": "/absent"}, ModelError, "there is no such model folder"),
    ],
)
def test_options_that_do_not_fit_leave_nothing(
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    fine_tuned: FineTuned,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        converted(fine_tuned.state_dict(), tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["BEST.pth"]


def test_a_tokenizer_of_more_tokens_than_the_model_is_refused(
    fine_tuned: FineTuned, tmp_path: Path
) -> None:
    words = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    build_tokenizer(words).save_pretrained(tmp_path / "words")
    with pytest.raises(ModelError, match="the tokenizer knows .* tokens, the model 40"):
        converted(fine_tuned.state_dict(), tmp_path, tokenizer=str(tmp_path / "words"))


def test_a_folder_that_exists_is_not_touched(fine_tuned: FineTuned, tmp_path: Path) -> None:
    checkpoint = save(fine_tuned.state_dict(), tmp_path / "BEST.pth")
    kept = tmp_path / "model"
    kept.mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        convert(checkpoint, kept, heads=2)
    shutil.rmtree(kept)
    convert(checkpoint, kept, heads=2)
