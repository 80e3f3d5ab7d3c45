"""LXMERT against Hugging Face's own, untouched; its folders, and what is prunable in it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import random_batch, tiny_config
from torch import nn
from torch.nn import functional
from transformers import AutoTokenizer, BertConfig, LxmertConfig, LxmertForQuestionAnswering

from lxcompress.data.batches import MODEL_INPUTS
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import carry_answer_head, fresh_answer_head, labels_of, set_labels
from lxcompress.model.attention import FastAttention, use_fast_attention
from lxcompress.model.lxmert import load_model, read_config, save_model
from lxcompress.model.prunable import modality, prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.model.unused_branch import (
    AnswerOnlyCrossLayer,
    skip_unused_branch,
    unused_parameters,
)

Pair = tuple[LxmertForQuestionAnswering, LxmertForQuestionAnswering]


@pytest.fixture
def pair() -> Pair:
    """Hugging Face's model without dropout, and a copy of it that is ours."""
    config = tiny_config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    torch.manual_seed(0)
    stock = LxmertForQuestionAnswering(config).eval()
    with torch.no_grad():
        for parameter in stock.parameters():  # biases and LayerNorms of a fresh model say little
            parameter += 0.1 * torch.randn_like(parameter)
    ours = LxmertForQuestionAnswering(config).eval()
    ours.load_state_dict(stock.state_dict())
    use_fast_attention(ours)
    skip_unused_branch(ours)
    return stock, ours


@pytest.fixture(scope="module")
def full_size() -> LxmertForQuestionAnswering:
    """LXMERT as published, 3,129 answers, without memory for its weights."""
    with torch.device("meta"):
        return LxmertForQuestionAnswering(LxmertConfig(num_qa_labels=3129))


def inputs(model: LxmertForQuestionAnswering, seed: int = 0) -> dict[str, torch.Tensor]:
    batch = random_batch(model.config, seed)
    return {name: batch[name] for name in MODEL_INPUTS}


def answer_gradients(model: LxmertForQuestionAnswering) -> dict[str, torch.Tensor | None]:
    batch = random_batch(model.config)
    logits = model.train()(**inputs(model)).question_answering_score
    functional.binary_cross_entropy_with_logits(logits, batch["targets"]).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


# -- The same answers -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_answers_equal_hugging_faces(pair: Pair, seed: int) -> None:
    stock, ours = pair
    assert any(type(module) is FastAttention for module in ours.modules())
    assert type(ours.lxmert.encoder.x_layers[-1]) is AnswerOnlyCrossLayer
    with torch.no_grad():
        expected = stock(**inputs(stock, seed)).question_answering_score
        logits = ours(**inputs(ours, seed)).question_answering_score
    assert logits.shape == (3, 5)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_padding_changes_no_answer(pair: Pair) -> None:
    _, ours = pair
    padded = inputs(ours)
    tokens, regions = int(padded["attention_mask"][2].sum()), 3
    alone = {
        name: value[2:, : regions if name.startswith("visual") else tokens]
        for name, value in padded.items()
    }
    with torch.no_grad():
        expected = ours(**alone).question_answering_score[0]
        logits = ours(**padded).question_answering_score[2]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_gradients_equal_hugging_faces(pair: Pair) -> None:
    stock, ours = pair
    expected, gradients = answer_gradients(stock), answer_gradients(ours)
    assert expected.keys() == gradients.keys()
    for name, gradient in gradients.items():
        if expected[name] is None:
            assert gradient is None, name
        else:
            torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=0)


def test_attentions_are_those_of_hugging_face(pair: Pair) -> None:
    stock, ours = pair
    with torch.no_grad():
        expected = stock(**inputs(stock), output_attentions=True)
        output = ours(**inputs(ours), output_attentions=True)
    for kind in ("language_attentions", "vision_attentions", "cross_encoder_attentions"):
        assert len(output[kind]) == len(expected[kind]) > 0
        for attention, wanted in zip(output[kind], expected[kind], strict=True):
            torch.testing.assert_close(attention, wanted, atol=1e-5, rtol=0)


def test_dropout_acts_in_training_only(pair: Pair) -> None:
    _, ours = pair
    for module in ours.modules():
        if isinstance(module, FastAttention):
            module.dropout.p = 0.5
    with torch.no_grad():
        once, twice = (ours(**inputs(ours)).question_answering_score for _ in range(2))
        assert torch.equal(once, twice)
        ours.train()
        once, twice = (ours(**inputs(ours)).question_answering_score for _ in range(2))
    assert not torch.equal(once, twice)


# -- Dead and prunable parts ------------------------------------------------------------------


def test_unused_parameters_get_no_gradient_in_hugging_faces_model(pair: Pair) -> None:
    stock, ours = pair
    without = {name for name, gradient in answer_gradients(stock).items() if gradient is None}
    assert unused_parameters(stock) == without == unused_parameters(ours)
    assert {n for n, p in ours.named_parameters() if not p.requires_grad} == without


def test_unused_parameters_of_full_size(full_size: LxmertForQuestionAnswering) -> None:
    dead = unused_parameters(full_size)
    sizes = {name: p.numel() for name, p in full_size.named_parameters() if name in dead}
    assert sum(sizes.values()) == 7_087_872


def test_prunable_parameters_of_full_size(full_size: LxmertForQuestionAnswering) -> None:
    # By exclusion, while the code says what is included.
    excluded = (
        "lxmert.embeddings",
        "lxmert.encoder.visn_fc",  # the module that holds the feature and the box embedding
        "lxmert.encoder.x_layers.4.visn_",
        "answer_head.logit_fc.3",
    )
    expected = {
        f"{name}.weight"
        for name, module in full_size.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(excluded)
    }
    prunable = prunable_parameters(full_size)
    assert set(prunable) == expected
    # In units of hidden²: 12 in each language and vision layer, 28 in a cross layer, of which the
    # last loses 12; 1 in the pooler, 2 in the answer head.
    units = 9 * 12 + 5 * 12 + 5 * 28 - 12 + 1 + 2
    assert sum(p.numel() for p in prunable.values()) == units * 768**2 == 176_357_376
    order = [name for name, _ in full_size.named_parameters() if name in expected]
    assert list(prunable) == order


def test_modalities(full_size: LxmertForQuestionAnswering) -> None:
    sizes = dict.fromkeys(("language", "vision", "cross-modality"), 0)
    for name, parameter in prunable_parameters(full_size).items():
        sizes[modality(name)] += parameter.numel()
    assert sizes == {
        "language": 9 * 12 * 768**2,
        "vision": 5 * 12 * 768**2,
        "cross-modality": (5 * 28 - 12 + 1 + 2) * 768**2,
    }


# -- The answer head --------------------------------------------------------------------------


def test_fresh_head() -> None:
    model = LxmertForQuestionAnswering(tiny_config(hidden_size=128))
    torch.manual_seed(3)
    answers = [f"answer {number}" for number in range(300)]
    fresh_answer_head(model, answers)
    first, _, norm, last = model.answer_head.logit_fc
    assert (first.weight.shape, last.weight.shape) == ((256, 128), (300, 256))
    for linear in (first, last):
        assert linear.weight.mean().item() == pytest.approx(0, abs=5e-4)
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert not linear.bias.any()
    assert norm.eps == 1e-12 and norm.weight.eq(1).all() and not norm.bias.any()
    assert labels_of(model.config) == answers
    assert model.config.num_qa_labels == model.num_qa_labels == 300
    again = LxmertForQuestionAnswering(tiny_config(hidden_size=128))
    torch.manual_seed(3)
    fresh_answer_head(again, answers)
    assert torch.equal(again.answer_head.logit_fc[3].weight, last.weight)


def test_carried_head_is_lxmerts() -> None:
    """LXMERT's `load_lxmert_qa`: rows of shared answers copied, the others zero."""
    labels, answers = ["red", "yes", "no", "two cats", "blue"], ["no", "green", "blue"]
    model = LxmertForQuestionAnswering(tiny_config())
    with torch.no_grad():
        for parameter in model.answer_head.parameters():
            parameter.copy_(torch.randn_like(parameter))
    pretrained = model.answer_head
    fresh_answer_head(model, answers)
    nn.init.ones_(model.answer_head.logit_fc[3].bias)
    assert carry_answer_head(model, pretrained, labels) == 2
    old, new = pretrained.logit_fc, model.answer_head.logit_fc
    for part in (0, 2):
        assert torch.equal(new[part].weight, old[part].weight)
        assert torch.equal(new[part].bias, old[part].bias)
    for row, source in enumerate((2, None, 4)):
        wanted = torch.zeros(64) if source is None else old[3].weight[source]
        assert torch.equal(new[3].weight[row], wanted)
        assert new[3].bias[row] == (0 if source is None else old[3].bias[source])


def test_labels_must_be_those_of_the_head() -> None:
    config = tiny_config(num_qa_labels=9500)
    with pytest.raises(ModelError, match="names no answers, but its head has 9500"):
        labels_of(config)
    set_labels(config, ["", "cat"])
    assert labels_of(config) == ["", "cat"]


# -- Folders ----------------------------------------------------------------------------------


def test_round_trip_through_hugging_face(tiny_model: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(tiny_model), load_tokenizer(tiny_model)
    save_model(model, tokenizer, tmp_path / "saved")
    plain, info = LxmertForQuestionAnswering.from_pretrained(
        tmp_path / "saved", output_loading_info=True
    )
    assert not any(info.values())
    stored = load_file(tiny_model / "model.safetensors")
    weights = plain.state_dict()
    assert weights.keys() == stored.keys()
    for name, weight in weights.items():
        assert torch.equal(weight, stored[name]), name
    assert plain.config.id2label == {0: "yes", 1: "no", 2: "zebra"}
    text = "is there a red circle?"
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")(text) == tokenizer(text)


def test_half_precision_is_loaded_as_fp32(tiny_model: Path, tmp_path: Path) -> None:
    half = LxmertForQuestionAnswering.from_pretrained(tiny_model, dtype=torch.float16)
    half.save_pretrained(tmp_path / "half")
    assert {p.dtype for p in load_model(tmp_path / "half").parameters()} == {torch.float32}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_weights_that_are_not_finite(value: str, tiny_model: Path, tmp_path: Path) -> None:
    """Such a model gives its first answer to everything, and would get an accuracy for it."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    name = "lxmert.encoder.layer.0.attention.self.query.weight"
    weights[name][3, 5] = float(value)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"the weights {name} of {folder} have NaN or infinity"):
        load_model(folder)


def test_an_old_head_that_does_not_fit_is_no_obstacle(tiny_model: Path, tmp_path: Path) -> None:
    """The encoder alone, as of a model without answers: the head is made new anyway."""
    folder = copy(tiny_model, tmp_path)
    weights = load_file(folder / "model.safetensors")
    encoder = {n: w for n, w in weights.items() if not n.startswith("answer_head.")}
    save_file(encoder, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(folder, without_head=True).answer_head.logit_fc[3].weight.shape == (3, 64)
    with pytest.raises(ModelError, match="lacks 6 weights of LXMERT, e.g. answer_head"):
        load_model(folder)  # its answers would be those of a random head


@pytest.mark.parametrize("folder", ["/absent/model", "../absent", "runs/absent/ticket"])
@pytest.mark.parametrize("load", [load_model, load_tokenizer])
def test_a_folder_that_is_not_there(folder: str, load: Callable[[str], object]) -> None:
    with pytest.raises(ModelError, match=f"cannot load {folder}: there is no such model folder"):
        load(folder)


def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def not_lxmert(folder: Path) -> None:
    BertConfig().save_pretrained(folder)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def garbled_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "lxm')


def impossible_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 7}))


def other_sizes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 50}))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def truncated_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def a_weight_is_missing(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["lxmert.pooler.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def configured(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *(
            (
                configured(text),
                r"\Acannot load \S* as an LXMERT model: its configuration is not a JSON",
            )
            for text in ("[1]", "null", "3", '"text"')
        ),
        (configured("["), r"\Acannot load \S* as an LXMERT model: its configuration is not valid"),
        (configured("[" * 20_000), "its configuration is nested too deeply"),
        (
            configured('\ufeff{"model_type": "lxmert"}'),
            "its configuration begins with a byte order mark: save it as UTF-8 without",
        ),
        (not_lxmert, "is a bert model; lxcompress prunes LXMERT"),
        (no_config, "cannot load"),
        (garbled_config, "cannot load"),
        (impossible_config, "not a multiple"),
        (other_sizes, "cannot load"),
        (no_weights, "cannot load"),
        (truncated_weights, "cannot load"),
        (a_weight_is_missing, r"lacks 1 weights of LXMERT, e\.g\. lxmert\.pooler\.dense\.weight"),
        (shutil.rmtree, "cannot load"),
    ],
)
def test_unusable_folders(damage, message: str, tiny_model: Path, tmp_path: Path) -> None:
    folder = copy(tiny_model, tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("damage", [shutil.rmtree, "no tokenizer", "garbled"])
def test_unusable_tokenizers(damage, tiny_model: Path, tmp_path: Path) -> None:
    folder = copy(tiny_model, tmp_path)
    if callable(damage):
        damage(folder)
    else:
        for path in folder.glob("*token*"):
            if damage == "garbled":
                path.write_text("{")
            else:
                path.unlink()
    with pytest.raises(ModelError, match=re.escape(str(folder))) as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_padding(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no padding token"):
        load_tokenizer(tmp_path)


def test_a_config_file_alone(tiny_model: Path) -> None:
    assert read_config(tiny_model / "config.json").hidden_size == 32
