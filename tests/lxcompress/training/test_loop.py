"""Training: LXMERT's recipe step by step, the mask, and resuming equal to the bit."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import LxmertForQuestionAnswering

from lxcompress.data.batches import Batch, EncodedQuestions, model_inputs, training_batches
from lxcompress.data.dataset import Dataset
from lxcompress.errors import DataError, Interrupted, RunError
from lxcompress.model.answer_head import fresh_answer_head
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.model.unused_branch import unused_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.system.machine.device import make_accelerator
from lxcompress.training import loop
from lxcompress.training.log import TrainingLog
from lxcompress.training.loop import train
from lxcompress.training.optimizer import linear_warmup
from lxcompress.training.recipe import Recipe
from lxcompress.training.step import answer_loss

RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=1e-2, seed=3)
QUESTIONS = 84  # ten steps an epoch, and four questions that fill no batch
TOTAL = 20
CPU = torch.device("cpu")

Make = Callable[[], LxmertForQuestionAnswering]


class Killed(Exception):
    """Stands for what gives training no chance to clean up."""


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset, tiny_model: Path) -> EncodedQuestions:
    split = tiny_dataset.split("train")
    return EncodedQuestions(
        split.questions[:QUESTIONS],
        split.regions,
        load_tokenizer(tiny_model),
        max_tokens=20,
        answers=tiny_dataset.answers,
    )


@pytest.fixture
def make(tiny_model: Path, tiny_dataset: Dataset) -> Make:
    """The tiny model, with dropout, with a head for the dataset; each time the same."""

    def fresh() -> LxmertForQuestionAnswering:
        model = load_model(tiny_model)
        torch.manual_seed(7)
        fresh_answer_head(model, tiny_dataset.answers)
        return model

    return fresh


@pytest.fixture
def mask(make: Make) -> Mask:
    random = torch.Generator().manual_seed(0)
    weights = prunable_parameters(make())
    return Mask({n: torch.rand(w.shape, generator=random) < 0.4 for n, w in weights.items()})


@pytest.fixture
def every_third_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every third step of a process, so that a kill loses up to two."""
    calls = 0

    def due(self: object) -> bool:
        nonlocal calls
        calls += 1
        return calls % 3 == 0

    monkeypatch.setattr(loop.CheckpointSaver, "due", due)


def run(
    model: LxmertForQuestionAnswering, data: EncodedQuestions, folder: Path, **how: Any
) -> dict[str, torch.Tensor]:
    """Train as a run does, and give the weights."""
    how.setdefault("recipe", RECIPE)
    how.setdefault("accelerator", make_accelerator("cpu", "fp32"))
    train(
        model,
        data,
        checkpoint=folder / "checkpoint.safetensors",
        log=TrainingLog(folder / "log.jsonl"),
        description="Testing",
        workers=0,
        **how,
    )
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def started(make: Make, mask: Mask | None) -> LxmertForQuestionAnswering:
    model = make()
    if mask:
        mask.apply(prunable_parameters(model))
    return model


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


def kill() -> None:
    raise Killed


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


# -- The recipe -------------------------------------------------------------------------------


def test_loss_is_the_mean_over_all_times_the_number_of_answers(
    make: Make, data: EncodedQuestions
) -> None:
    model, batch = make().eval(), data[[0, 5, 9]]
    with torch.no_grad():
        x = model(**model_inputs(batch, CPU)).question_answering_score.double().numpy()
        loss = answer_loss(model, batch, CPU).item()
    t = batch["targets"].double().numpy()
    p = 1 / (1 + np.exp(-x))
    total = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum()
    assert loss == pytest.approx(total / 3, rel=1e-5)  # mean over 3 · A, times A


@pytest.mark.parametrize("scale", [1.0, 100.0])  # at 100 every gradient is clipped
@pytest.mark.parametrize("masked", [False, True])
def test_equals_a_plain_loop(
    scale: float, masked: bool, make: Make, mask: Mask, data: EncodedQuestions, tmp_path: Path
) -> None:
    """Stock Hugging Face, autograd and the formulas, without dropout, against `train`."""
    model = make()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    if masked:
        mask.apply(prunable_parameters(model))
    stock = LxmertForQuestionAnswering(model.config).eval()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stock.load_state_dict(start)

    def scaled_loss(model: torch.nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        return scale * answer_loss(model, batch, device)

    found = run(model, data, tmp_path, mask=mask if masked else None, loss=scaled_loss)

    dead = unused_parameters(stock)
    live = {name: p for name, p in stock.named_parameters() if name not in dead}
    m = {name: torch.zeros_like(p) for name, p in live.items()}
    v = {name: torch.zeros_like(p) for name, p in live.items()}
    norms = []
    batches = training_batches(data, 8, epochs=2, seed=3, workers=0)
    for step, batch in enumerate(batches):
        logits = stock(**model_inputs(batch, CPU)).question_answering_score
        t = batch["targets"]
        loss = (torch.nn.functional.softplus(logits) - t * logits).sum() / len(t)
        gradients = dict(
            zip(live, torch.autograd.grad(scale * loss, list(live.values())), strict=True)
        )
        if masked:
            for name, keep in mask.items():
                gradients[name] = gradients[name] * keep
        norms.append(torch.sqrt(sum((g**2).sum() for g in gradients.values())).item())
        lr = 1e-2 * (step / 2 if step < 2 else (TOTAL - step) / 18)
        with torch.no_grad():
            for name, p in live.items():
                g = gradients[name] * min(1.0, 5.0 / norms[-1])
                m[name] = 0.9 * m[name] + 0.1 * g
                v[name] = 0.999 * v[name] + 0.001 * g**2
                p -= lr * (m[name] / (v[name].sqrt() + 1e-6) + 0.01 * p)
    assert step == TOTAL - 1
    assert (min(norms) > 5) == (scale == 100)
    for name, expected in live.items():
        if not name.endswith("key.bias"):  # softmax cancels it: its gradient is rounding noise
            off = (found[name] - expected).norm() / (expected - start[name]).norm()
            assert off < 1e-2, name


def test_the_mask_holds_at_every_step(
    make: Make, mask: Mask, data: EncodedQuestions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.CheckpointSaver, "due", lambda self: True)
    model = started(make, mask)
    weights = prunable_parameters(model)
    checked = []

    def check() -> None:
        for name, keep in mask.items():
            assert torch.equal(weights[name] != 0, keep), name
        checkpoint = tmp_path / "checkpoint.safetensors"
        if checkpoint.exists():
            state = load_file(checkpoint)
            for name, keep in mask.items():
                for part in ("weight", "exp_avg", "exp_avg_sq"):
                    assert not state[f"{part}/{name}"][~keep].any()
        checked.append(True)

    run(model, data, tmp_path, mask=mask, at_step=dict.fromkeys(range(TOTAL), check))
    assert len(checked) == TOTAL
    check()


def test_first_step_learns_nothing_and_dead_parts_never_do(
    make: Make, data: EncodedQuestions, tmp_path: Path
) -> None:
    model = make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen: dict[int, dict[str, torch.Tensor]] = {}
    at_step = {
        step: lambda step=step: seen.update(
            {step: {n: t.clone() for n, t in model.state_dict().items()}}
        )
        for step in (1, 2)
    }
    after = run(model, data, tmp_path, at_step=at_step)
    assert_same(seen[1], before)
    dead = unused_parameters(model)
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == (name in dead), name


def test_bf16_on_the_cpu(make: Make, data: EncodedQuestions, tmp_path: Path) -> None:
    fp32 = run(make(), data, tmp_path)
    bf16 = run(make(), data, tmp_path, accelerator=make_accelerator("cpu", "bf16"))
    assert {tensor.dtype for tensor in bf16.values()} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in bf16.values())
    name = "answer_head.logit_fc.3.weight"
    assert not torch.equal(bf16[name], fp32[name])
    # BertAdam turns the sign of a tiny gradient into a whole step, so single weights may differ.
    assert (bf16[name] - fp32[name]).norm() < 0.2 * fp32[name].norm()


def test_weight_decay_of_matrices_alone(make: Make, data: EncodedQuestions, tmp_path: Path) -> None:
    """Two steps, the first with a learning rate of 0: decay is all that sets the two apart."""
    plain = Recipe(epochs=1, batch_size=42, learning_rate=1e-2, weight_decay=0.0)
    before = {name: weight.clone() for name, weight in make().eval().state_dict().items()}
    kept = run(make(), data, tmp_path, recipe=plain)
    decayed = run(
        make(), data, tmp_path, recipe=replace(plain, weight_decay=0.5, decay_vectors=False)
    )
    factor = 1e-2 * linear_warmup(1, 2)
    dead = unused_parameters(make())
    for name, weight in before.items():
        decay = factor * 0.5 if weight.dim() > 1 and name not in dead else 0.0
        torch.testing.assert_close(decayed[name], kept[name] - decay * weight, msg=name)


# -- Resuming ---------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kills", [(1,), (7,), (5, 6, 13, 19)])
@pytest.mark.usefixtures("every_third_step")
def test_killed_and_continued_equals_uninterrupted(
    kills: tuple[int, ...],
    masked: bool,
    make: Make,
    mask: Mask,
    data: EncodedQuestions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_LOSSES", 2)
    under = mask if masked else None
    model = started(make, under)
    assert model.config.hidden_dropout_prob == 0.1
    expected = run(model, data, tmp_path / "whole", mask=under)
    folder = tmp_path / "parts"
    for step in kills:
        with pytest.raises(Killed):
            run(started(make, under), data, folder, mask=under, at_step={step: kill})
        torch.manual_seed(step)  # a new process has another random state
    found = run(started(make, under), data, folder, mask=under)
    assert_same(found, expected)
    assert (folder / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_where(
    number: int, make: Make, data: EncodedQuestions, tmp_path: Path
) -> None:
    expected = run(make(), data, tmp_path / "whole")
    before = signal.getsignal(number)
    folder = tmp_path / "parts"
    with pytest.raises(Interrupted, match="stopped at step 12 of 20"):
        run(make(), data, folder, at_step={11: lambda: os.kill(os.getpid(), number)})
    assert signal.getsignal(number) is before
    with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
        assert file.metadata() == {"step": "12"}
    passed: list[int] = []
    at_step = {step: lambda step=step: passed.append(step) for step in range(TOTAL)}
    assert_same(run(make(), data, folder, at_step=at_step), expected)
    assert passed == list(range(12, 20))


def test_a_second_ctrl_c_stops_at_once(make: Make, data: EncodedQuestions, tmp_path: Path) -> None:
    def twice() -> None:
        press_ctrl_c()
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        run(make(), data, tmp_path, at_step={2: twice})
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_ctrl_c_in_the_last_step_lets_it_finish(
    make: Make, data: EncodedQuestions, tmp_path: Path
) -> None:
    expected = run(make(), data, tmp_path / "whole")
    found = run(make(), data, tmp_path / "part", at_step={TOTAL - 1: press_ctrl_c})
    assert_same(found, expected)


def test_starting_late(make: Make, data: EncodedQuestions, tmp_path: Path) -> None:
    """From step 6 on, with fresh moments, at step 6's own rate and questions."""
    passed: list[int] = []
    at_step = {step: lambda step=step: passed.append(step) for step in range(TOTAL)}
    rows = []

    def watched(model: torch.nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        rows.append(batch["rows"].tolist())
        return answer_loss(model, batch, device)

    run(make(), data, tmp_path, first_step=6, at_step=at_step, loss=watched)
    assert passed == list(range(6, 20))
    whole = [b["rows"].tolist() for b in training_batches(data, 8, epochs=2, seed=3, workers=0)]
    assert rows == whole[6:]


@pytest.mark.parametrize("damage", ["truncated", "not a checkpoint", "other shapes", "no step"])
def test_a_damaged_checkpoint(
    damage: str, make: Make, data: EncodedQuestions, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        run(make(), data, tmp_path, at_step={4: press_ctrl_c})
    path = tmp_path / "checkpoint.safetensors"
    state = load_file(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-50])
    elif damage == "not a checkpoint":
        path.write_text("hello")
    elif damage == "other shapes":
        wrong = {name: torch.zeros(3, 3) for name in state}
        save_file(wrong, path, metadata={"step": "4"})
    else:
        save_file(state, path)
    with pytest.raises(RunError, match=r"checkpoint .* is damaged .* delete it") as caught:
        run(make(), data, tmp_path)
    assert "\n" not in str(caught.value)


# -- Losses -----------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(
    make: Make, data: EncodedQuestions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.CheckpointSaver, "due", lambda self: True)
    calls = 0

    def breaking(model: torch.nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return answer_loss(model, batch, device) * (float("nan") if calls == 9 else 1)

    with pytest.raises(DataError, match=r"loss is nan at step 9: lower --learning-rate"):
        run(make(), data, tmp_path, loss=breaking)
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"step": "8"}
    assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_a_loss_that_is_no_number_stops_without_checkpoints_too(
    make: Make, data: EncodedQuestions, tmp_path: Path
) -> None:
    def infinite(model: torch.nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        return answer_loss(model, batch, device) * float("inf")

    with pytest.raises(DataError, match="loss is inf|loss is nan"):
        run(make(), data, tmp_path, loss=infinite)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_what_is_logged(make: Make, data: EncodedQuestions, tmp_path: Path) -> None:
    losses = []

    def watched(model: torch.nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
        loss = answer_loss(model, batch, device)
        losses.append(loss.item())
        return loss

    recipe = Recipe(epochs=3, batch_size=8, learning_rate=1e-2, seed=3)
    run(make(), data, tmp_path, recipe=recipe, loss=watched)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 30]  # every twenty, and the last
    assert [line["loss"] for line in lines] == [losses[19], losses[29]]
    rates = [line["learning_rate"] for line in lines]
    assert rates == pytest.approx([1e-2 * 11 / 27, 1e-2 * 1 / 27])
    assert losses[-1] < losses[0]


def test_the_log_forgets_what_comes_again(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "logs" / "dense.jsonl")
    log.rewind(0)
    for step in (20, 40, 60):
        log(step, 0.1, 1 / step)
    with log.path.open("a") as file:
        file.write('{"step": 80, "learn')  # killed while writing
    log.rewind(40)
    log(60, 0.2, 0.5)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(20, 0.05), (40, 0.025), (60, 0.5)]
    log.rewind(0)
    assert log.path.read_text() == ""


def test_steps_of_a_training() -> None:
    recipe = Recipe(epochs=3, batch_size=5)
    assert [recipe.total_steps(questions) for questions in (5, 9, 10)] == [3, 3, 6]
    with pytest.raises(DataError, match="4 training questions do not fill one batch of 5"):
        recipe.total_steps(4)
