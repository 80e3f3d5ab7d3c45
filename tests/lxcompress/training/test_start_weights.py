"""θ0: from a pre-trained model or from nothing, and what does not fit together."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import settings, tiny_config

from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError, ModelError
from lxcompress.model.tokenizer import build_tokenizer
from lxcompress.training.start_weights import Start, start_weights


@pytest.fixture
def start(tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset):
    def begin(**changes: Any) -> Start:
        config = PruneConfig.parse(settings(tiny_model, tiny_data, **changes))
        return start_weights(config, tiny_dataset)

    return begin


def test_a_pretrained_model_with_a_fresh_head(start, tiny_model: Path) -> None:
    model, _ = start()
    pretrained = load_file(tiny_model / "model.safetensors")
    for name, weight in model.state_dict().items():
        if not name.startswith("answer_head."):
            assert torch.equal(weight, pretrained[name]), name


def test_depends_on_the_seed_alone(start) -> None:
    torch.manual_seed(0)
    first = start()[0].state_dict()
    torch.manual_seed(1)
    again, other = start()[0].state_dict(), start(seed=1)[0].state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    name = "answer_head.logit_fc.3.weight"
    assert not torch.equal(first[name], other[name])
    scratch = {"model": None, "model_config": "small"}
    first, again = (start(**scratch)[0].state_dict() for _ in range(2))
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())


def test_from_scratch_fits_the_data(start, tiny_dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(tiny_config(vocab_size=9, visual_feat_dim=5).to_json_string())
    model, tokenizer = start(model=None, model_config=str(path))
    split = tiny_dataset.split("train")
    assert model.config.visual_feat_dim == split.regions.feature_size
    embeddings = model.lxmert.embeddings.word_embeddings
    assert embeddings.num_embeddings == model.config.vocab_size == len(tokenizer)
    assert list(model.config.id2label.values()) == tiny_dataset.answers
    assert model.answer_head.logit_fc[3].out_features == len(tiny_dataset.answers)
    assert len(model.lxmert.encoder.layer) == 2
    assert "[UNK]" not in tokenizer.tokenize(split.questions[0].text)


def test_carried_answers(start, tiny_model: Path, tiny_dataset: Dataset) -> None:
    """The model's own list is yes, no, zebra; the dataset has the first two."""
    model, _ = start(keep_answer_head=True)
    pretrained = load_file(tiny_model / "model.safetensors")["answer_head.logit_fc.3.weight"]
    weight = model.answer_head.logit_fc[3].weight
    for row, answer in enumerate(tiny_dataset.answers):
        known = {"yes": 0, "no": 1}.get(answer)
        expected = torch.zeros(64) if known is None else pretrained[known]
        assert torch.equal(weight[row], expected), answer


@pytest.mark.parametrize(
    "rows", [["red", "2", "no"], [{"ans": "red"}, {"ans": "2"}, {"ans": "no"}]]
)
def test_carried_answers_by_a_given_list(
    rows: list, start, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """LXMERT's own all_ans.json names the answers in order, since its checkpoint does not."""
    path = tmp_path / "all_ans.json"
    path.write_text(json.dumps(rows))
    model, _ = start(keep_answer_head=True, pretrained_answers=str(path))
    pretrained = load_file(tiny_model / "model.safetensors")["answer_head.logit_fc.3.weight"]
    weight = model.answer_head.logit_fc[3].weight
    for number, answer in enumerate(("red", "2", "no")):
        assert torch.equal(weight[tiny_dataset.answers.index(answer)], pretrained[number])
    assert not weight[tiny_dataset.answers.index("yes")].any()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ('["yes", "no"]', ConfigError, "lists 2 answers, the pre-trained head has 3"),
        ('["cow", "dog", "cat"]', ModelError, "share no answer"),
        ("[1, 2, 3]", ConfigError, "is not a list of answers"),
        ('[["yes"], ["no"], ["zebra"]]', ConfigError, "is not a list of answers"),
        ("5", ConfigError, "is not a list of answers"),
        ("[", ConfigError, "is not valid JSON"),
        (None, ConfigError, "pre-trained answer list not found"),
    ],
)
def test_wrong_answer_lists(
    content: str | None, error: type[Exception], message: str, start, tmp_path: Path
) -> None:
    path = tmp_path / "answers.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(error, match=message):
        start(keep_answer_head=True, pretrained_answers=str(path))


def test_a_tokenizer_with_too_many_words(start, tmp_path: Path) -> None:
    build_tokenizer([" ".join(f"word{number}" for number in range(300))]).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"the tokenizer knows 3\d\d tokens, the model"):
        start(tokenizer=str(tmp_path))
