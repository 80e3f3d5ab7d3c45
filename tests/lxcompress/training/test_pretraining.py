"""Pre-training: what is masked and how often, and a small run from start to use."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import run_lottery, settings, tiny_config
from torch import nn
from torch.nn import functional
from transformers import LxmertForPreTraining, LxmertForQuestionAnswering, PreTrainedTokenizerBase

from lxcompress.config import PretrainConfig
from lxcompress.data.batches import Batch, EncodedQuestions
from lxcompress.data.dataset import Dataset
from lxcompress.errors import Interrupted, ModelError, RunError
from lxcompress.model.answer_head import set_labels
from lxcompress.model.lxmert import load_model
from lxcompress.model.tokenizer import build_tokenizer, load_tokenizer
from lxcompress.training.pretraining import Masking, PretrainingLoss, pretrain

CPU = torch.device("cpu")
ROWS, TOKENS, REGIONS = 4000, 12, 6
WORDS = "a b c d e f g h i j k l m n o p q r s t u v w x y z"


class Recorder(nn.Module):
    """A model that only remembers what it was given."""

    def forward(self, **inputs: Any) -> SimpleNamespace:
        self.inputs = inputs
        return SimpleNamespace(loss=torch.zeros(()))


@pytest.fixture(scope="module")
def loss() -> PretrainingLoss:
    return PretrainingLoss(build_tokenizer([WORDS]))


@pytest.fixture
def batch(loss: PretrainingLoss) -> Batch:
    """Questions of 8 words in a frame; the features of a region say its row and place."""
    torch.manual_seed(0)
    special = len(loss.special)
    ids = torch.randint(special, loss.vocabulary, (ROWS, TOKENS))
    ids[:, 0], ids[:, 9], ids[:, 10:] = 2, 3, 0
    row = torch.arange(1, ROWS + 1).float()
    place = torch.arange(REGIONS).float()
    features = torch.stack([row[:, None].expand(-1, REGIONS), place.expand(ROWS, -1)], dim=-1)
    seen = (torch.arange(REGIONS) < torch.randint(2, REGIONS + 1, (ROWS, 1))).long()
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "token_type_ids": torch.zeros_like(ids),
        "visual_feats": features,
        "visual_pos": features[..., :1].expand(-1, -1, 4) / ROWS,
        "visual_attention_mask": seen,
        "targets": (torch.rand(ROWS, 3) > 0.4).float() * torch.rand(ROWS, 3),
    }


def share(chosen: torch.Tensor, of: torch.Tensor) -> float:
    return int(chosen[of].sum()) / int(of.sum())


def nearly(rate: float, trials: torch.Tensor) -> Any:
    """Within four standard deviations."""
    return pytest.approx(rate, abs=4 * (rate * (1 - rate) / int(trials.sum())) ** 0.5)


def test_defaults_are_lxmerts() -> None:
    masking = Masking()
    assert (masking.words, masking.regions, masking.mismatched) == (0.15, 0.15, 0.5)
    assert (masking.replaced_by_mask, masking.replaced_by_random) == (0.8, 0.1)


def test_words(loss: PretrainingLoss, batch: Batch) -> None:
    unmasked = torch.arange(ROWS) % 2 == 0
    before = batch["input_ids"].clone()
    original = batch["input_ids"]
    labels = loss.mask_words(batch, unmasked)
    assert torch.equal(original, before)  # the tensor of the data set is not written to
    after = batch["input_ids"]
    words = ~torch.isin(before, torch.tensor([0, 2, 3])) & ~unmasked[:, None]
    chosen = labels != -100
    assert not chosen[~words].any()
    assert torch.equal(labels[chosen], before[chosen])
    assert torch.equal(after[~chosen], before[~chosen])
    assert share(chosen, words) == nearly(0.15, words)
    is_mask = after == loss.mask_token_id
    unchanged = after == before
    by_random = 0.1 * (1 - 1 / loss.vocabulary)
    assert share(is_mask, chosen) == nearly(0.8 + 0.1 / loss.vocabulary, chosen)
    assert share(~is_mask & ~unchanged, chosen) == nearly(by_random, chosen)
    assert share(unchanged, chosen) == nearly(0.1 + 0.1 / loss.vocabulary, chosen)
    assert int(after.min()) >= 0 and int(after.max()) < loss.vocabulary


def test_regions(loss: PretrainingLoss, batch: Batch) -> None:
    unmasked = torch.arange(ROWS) % 2 == 0
    features, seen = batch["visual_feats"], batch["visual_attention_mask"].bool()
    before = features.clone()
    after, chosen = loss.mask_regions(features, batch["visual_attention_mask"], unmasked)
    assert torch.equal(features, before)
    possible = seen & ~unmasked[:, None]
    assert not chosen[~possible].any()
    assert torch.equal(after[~chosen], before[~chosen])
    assert share(chosen, possible) == nearly(0.15, possible)
    zero = (after == 0).all(-1)
    unchanged = (after == before).all(-1)
    others = ~zero & ~unchanged
    assert share(zero, chosen) == nearly(0.8, chosen)
    assert share(others, chosen) == nearly(0.1, chosen)
    assert (after[others][:, 0] != before[others][:, 0]).all()  # of another picture,
    assert torch.equal(after[others][:, 1], before[others][:, 1])  # at the same place


def test_pictures(loss: PretrainingLoss, batch: Batch) -> None:
    unmasked = torch.arange(ROWS) % 4 == 0
    before = {name: batch[name].clone() for name in batch}
    matched = loss.mismatch_pictures(batch, unmasked)
    assert matched[unmasked].all()
    assert share(~matched, ~unmasked) == nearly(0.5, ~unmasked)
    source = torch.where(matched, torch.arange(ROWS), torch.arange(1, ROWS + 1) % ROWS)
    for name, value in before.items():
        expected = value[source] if name.startswith("visual") else value
        assert torch.equal(batch[name], expected), name


def test_what_the_model_is_given(loss: PretrainingLoss, batch: Batch) -> None:
    before = {name: value.clone() for name, value in batch.items()}
    model = Recorder()
    torch.manual_seed(5)
    loss(model, batch, CPU)
    for name, value in before.items():
        assert torch.equal(batch[name], value), name
    given = model.inputs
    same_words = (given["input_ids"] == before["input_ids"]).all(1)
    answered = given["ans"] != -100
    # Only unmasked questions are answered: words, regions and picture are unchanged.
    assert same_words[answered].all()
    assert torch.equal(given["visual_feats"][answered], before["visual_feats"][answered])
    assert given["matched_label"][answered].all()
    assert (given["labels"][answered] == -100).all()
    best = before["targets"].argmax(1)
    assert torch.equal(given["ans"][answered], best[answered])
    has_answer = before["targets"].any(1)
    assert not answered[~has_answer].any()
    assert share(answered, has_answer) == nearly(0.6, has_answer)
    target, masked = given["obj_labels"]["feat"]
    assert not masked[answered].any()
    # What is to be found is the picture that was shown, before masking.
    shown = given["visual_feats"]
    assert torch.equal(target[masked == 0], shown[masked == 0])
    assert (target[..., 0] > 0).all()


def test_random_choices_depend_on_torchs_generator(loss: PretrainingLoss, batch: Batch) -> None:
    given = []
    for seed in (1, 1, 2):
        model = Recorder()
        torch.manual_seed(seed)
        loss(model, dict(batch), CPU)
        given.append(model.inputs)
    for name in ("input_ids", "visual_feats", "matched_label", "ans"):
        assert torch.equal(given[0][name], given[1][name])
        assert not torch.equal(given[0][name], given[2][name])


Untrained = tuple[LxmertForPreTraining, PreTrainedTokenizerBase, EncodedQuestions]


@pytest.fixture
def untrained(tiny_dataset: Dataset, tiny_model: Path) -> Untrained:
    """A new model, its tokenizer, and the questions that it can learn from."""
    split = tiny_dataset.split("train")
    tokenizer = load_tokenizer(tiny_model)
    data = EncodedQuestions(
        split.questions, split.regions, tokenizer, max_tokens=20, answers=tiny_dataset.answers
    )
    config = tiny_config(
        vocab_size=len(tokenizer), visual_feat_dim=split.regions.feature_size,
        visual_obj_loss=False, visual_attr_loss=False,
    )  # fmt: skip
    set_labels(config, tiny_dataset.answers)
    torch.manual_seed(0)
    return LxmertForPreTraining(config), tokenizer, data


def test_the_sum_of_four_losses(untrained: Untrained) -> None:
    """Each task's loss by its definition, from the model's own outputs."""
    model, tokenizer, data = untrained
    model.eval()
    loss, batch = PretrainingLoss(tokenizer), data[list(range(64))]
    recorder = Recorder()
    torch.manual_seed(1)
    loss(recorder, batch, CPU)
    torch.manual_seed(1)
    with torch.no_grad():
        total = loss(model, batch, CPU)
        given = recorder.inputs
        tasks = ("labels", "matched_label", "obj_labels", "ans")
        inputs = {name: value for name, value in given.items() if name not in tasks}
        output = model(**inputs)
        _, vision, _ = model.lxmert(**inputs, return_dict=False)[:3]
        found = model.obj_predict_head(vision)["feat"]
    target, masked = given["obj_labels"]["feat"]
    words = functional.cross_entropy(
        output.prediction_logits.flatten(0, 1), given["labels"].flatten()
    )
    matched = functional.cross_entropy(output.cross_relationship_score, given["matched_label"])
    answers = functional.cross_entropy(output.question_answering_score, given["ans"])
    difference = (found - target).abs()
    smooth = torch.where(difference < 1, 0.5 * difference**2, difference - 0.5).mean(-1)
    regions = (smooth * masked).mean() * model.config.visual_loss_normalizer
    torch.testing.assert_close(total, words + matched + answers + regions)


@pytest.mark.parametrize(
    "masking", [Masking(unmasked=1.0), Masking(unmasked=0.0), Masking(words=0.0)]
)
@pytest.mark.parametrize("rows", [1, 8])
def test_a_task_without_examples_is_no_problem(
    masking: Masking, rows: int, untrained: Untrained
) -> None:
    model, tokenizer, data = untrained
    loss = PretrainingLoss(tokenizer, masking)
    for seed in range(5):
        torch.manual_seed(seed)
        assert loss(model, data[list(range(rows))], CPU).isfinite()


# -- A small run ------------------------------------------------------------------------------


def options(tmp_path: Path, data: Path, **changes: Any) -> PretrainConfig:
    architecture = tmp_path / "tiny.json"
    architecture.write_text(tiny_config(l_layers=1, x_layers=1).to_json_string())
    return PretrainConfig.parse(
        {
            "data": str(data),
            "model-config": str(architecture),
            "epochs": 2,
            "batch-size": 32,
            "device": "cpu",
            "precision": "fp32",
            "workers": 0,
        }
        | changes
    )


def test_a_run_from_start_to_use(
    tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = options(tmp_path, tiny_data)
    record = pretrain(config, tiny_dataset, tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "pretraining.json").read_text()) == record
    assert record["validation"]["metric"] == "VQA v2 accuracy"
    assert 0 <= record["validation"]["accuracy"]["overall"] <= 100
    assert record["config"] == config.dump()
    weights = load_file(tmp_path / "whole" / "model.safetensors")
    assert all(weight.isfinite().all() for weight in weights.values())

    # Interrupted, refused to other settings, continued: equal to the bit.
    call = PretrainingLoss.__call__
    calls = 0

    def interrupted(self: PretrainingLoss, *arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return call(self, *arguments)

    monkeypatch.setattr(PretrainingLoss, "__call__", interrupted)
    with pytest.raises(Interrupted, match="step 8 of 20"):
        pretrain(config, tiny_dataset, tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
    other = options(tmp_path, tiny_data, seed=1)
    with pytest.raises(RunError, match="unfinished pre-training .seed is 0 there and 1 here"):
        pretrain(other, tiny_dataset, tmp_path / "parts")
    pretrain(config, tiny_dataset, tmp_path / "parts")
    assert calls == 20
    again = load_file(tmp_path / "parts" / "model.safetensors")
    assert again.keys() == weights.keys()
    assert all(torch.equal(weight, again[name]) for name, weight in weights.items())
    logs = [(tmp_path / name / "pretraining.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1] != ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts", "tiny.json", "whole"]

    # What it made can be pruned, its answer head included.
    model = load_model(tmp_path / "whole")
    assert list(model.config.id2label.values()) == tiny_dataset.answers
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name]), name
    run, _ = run_lottery(
        tmp_path / "run",
        tiny_dataset,
        settings(tmp_path / "whole", tiny_data, sparsity=0.1, keep_answer_head=True),
    )
    theta0 = load_file(run.theta0 / "model.safetensors")
    assert all(torch.equal(weight, weights[name]) for name, weight in theta0.items())


def test_learning_on(tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    """A second phase starts from the first's weights, and strong weight decay shrinks them."""
    pretrain(options(tmp_path, tiny_data), tiny_dataset, tmp_path / "first")
    second = {"model": str(tmp_path / "first"), "weight-decay": 200.0}
    pretrain(options(tmp_path, tiny_data, **second), tiny_dataset, tmp_path / "second")
    first, second_weights = (
        load_file(tmp_path / name / "model.safetensors") for name in ("first", "second")
    )
    assert first.keys() == second_weights.keys()
    for name, weight in first.items():
        # The heads are so small at first that learning outweighs the decay.
        if weight.dim() > 1 and ".encoder." in name:
            assert second_weights[name].norm() < 0.8 * weight.norm(), name
        elif name.endswith("LayerNorm.weight"):
            assert second_weights[name].norm() > 0.9 * weight.norm(), name
    with pytest.raises(ModelError, match="lacks"):
        plain = {"model": str(tmp_path / "plain")}
        LxmertForQuestionAnswering.from_pretrained(tmp_path / "first").save_pretrained(
            tmp_path / "plain"
        )
        load_tokenizer(tmp_path / "first").save_pretrained(tmp_path / "plain")
        pretrain(options(tmp_path, tiny_data, **plain), tiny_dataset, tmp_path / "third")
