"""The five steps, really run on a tiny model: what must hold between the artefacts."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dataset_files import write_json
from safetensors.torch import load_file
from tiny import run_lottery, settings
from torch import nn
from transformers import LxmertForQuestionAnswering

from exporters.source import Source
from lxcompress import lottery as lottery_module
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.errors import DataError, LxcompressError, ModelError, RunError
from lxcompress.evaluation.scoring import read_results, score_results
from lxcompress.lottery import Lottery
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.run import Run
from lxcompress.steps import trainer as trainer_module
from lxcompress.steps.trainer import RunTrainer
from lxcompress.system.files import read_json
from lxcompress.training import start_weights as start_module

Weights = dict[str, torch.Tensor]
# The tiny model has one cross layer, whose visual half never reaches the answer.
DEAD = "lxmert.encoder.x_layers.0.visn_"
STEPS = 20  # 320 questions, 16 at a time, one epoch


class Watched:
    """A finished run, and the weights with which each of its trainings began."""

    def __init__(self, folder: Path, dataset: Dataset, options: dict[str, Any]) -> None:
        self.starts: dict[str, Weights] = {}
        self.first_steps: dict[str, int] = {}
        self.theta0_written: list[bytes] = []
        self.late: Weights = {}
        train = RunTrainer.train

        def watch(
            this: RunTrainer, model: nn.Module, stage: str, description: str, **how: Any
        ) -> None:
            self.starts[stage] = {name: t.clone() for name, t in model.state_dict().items()}
            self.first_steps[stage] = how.get("first_step", 0)
            if stage == "ticket" and this.run.late.exists():
                self.late = load_file(this.run.late / "model.safetensors")
            if stage == "dense":
                self.theta0_written.append(
                    this.run.theta0.joinpath("model.safetensors").read_bytes()
                )
            train(this, model, stage, description, **how)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunTrainer, "train", watch)
            self.run, self.result = run_lottery(folder, dataset, options)

    def weights(self, model: str) -> Weights:
        return load_file(self.run.folder / model / "model.safetensors")


Start = Callable[..., Watched]


@pytest.fixture(scope="module")
def start(
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Start:
    """Run the lottery with these options, in a new folder where none is given."""

    def start(folder: Path | None = None, **options: Any) -> Watched:
        folder = folder or tmp_path_factory.mktemp("lottery") / "run"
        return Watched(folder, tiny_dataset, settings(tiny_model, tiny_data, **options))

    return start


@pytest.fixture(scope="module")
def find(start: Start) -> Start:
    """As `start`, but equal options only once."""
    done: dict[str, Watched] = {}

    def find(**options: Any) -> Watched:
        key = repr(sorted(options.items()))
        if key not in done:
            done[key] = start(**options)
        return done[key]

    return find


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """A copy of the dataset that a test may spoil."""
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


def prunable(weights: Weights) -> list[str]:
    """By exclusion: every matrix but embeddings, the head's output, and the dead half."""
    excluded = ("lxmert.embeddings.", "lxmert.encoder.visn_fc.", "answer_head.logit_fc.3.", DEAD)
    return [n for n, w in weights.items() if w.dim() == 2 and not n.startswith(excluded)]


def zeros(weights: Weights) -> dict[str, torch.Tensor]:
    return {name: weights[name] == 0 for name in prunable(weights)}


def read_mask(path: Path, weights: Weights) -> dict[str, torch.Tensor]:
    """True where the weight stays; by the file format's words, not by its reader."""
    kept = {}
    for name, packed in load_file(path).items():
        bits = [int(byte) >> place & 1 for byte in packed for place in range(8)]
        size = weights[name].numel()
        assert not any(bits[size:])
        kept[name] = torch.tensor(bits[:size], dtype=torch.bool).reshape(weights[name].shape)
    return kept


VARIANTS: list[dict[str, Any]] = [
    {"sparsity": 0.2},
    {"sparsity": 0.2, "subnetwork": "high"},
    {"sparsity": 0.2, "subnetwork": "random"},
    {"sparsity": 0.25, "schedule": "iterative"},
    {"sparsity": 0.2, "schedule": "iterative", "rewind": "lr", "scope": "modality"},
    {"sparsity": 0.2, "rewind": "late", "rewind_step": 5, "scope": "layer"},
    {"sparsity": 0.15, "schedule": "iterative", "rewind": "late", "subnetwork": "random"},
    {"sparsity": 0.2, "rewind": "lr"},
]


def name_of(options: dict[str, Any]) -> str:
    return "-".join(map(str, options.values()))


# -- Between the artefacts --------------------------------------------------------------------


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
def test_zeros_of_the_ticket_are_the_mask(options: dict[str, Any], find: Start) -> None:
    watched = find(**options)
    ticket = watched.weights("ticket")
    mask = read_mask(watched.run.mask, ticket)
    names = prunable(ticket)
    assert set(mask) == set(names)
    for name in names:
        assert torch.equal(ticket[name] != 0, mask[name]), name
    total = sum(ticket[name].numel() for name in names)
    gone = sum(int((~keep).sum()) for keep in mask.values())
    assert gone == round(options["sparsity"] * total)
    for name, weight in ticket.items():
        if name.endswith("weight") and name not in mask and "embeddings" not in name:
            assert weight.count_nonzero() == weight.numel(), name
    parameters = sum(weight.numel() for weight in ticket.values())
    assert watched.result["ticket"]["sparsity"] == {
        "prunable": pytest.approx(gone / total),
        "model": pytest.approx(gone / parameters),
    }
    assert watched.result["weights"] == {
        "pruned": gone,
        "prunable": total,
        "parameters": parameters,
        "zeros": gone,
    }


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
def test_where_the_tickets_training_starts(options: dict[str, Any], find: Start) -> None:
    """θ0 under the mask, or the early or the trained weights under it."""
    watched = find(**options)
    start = watched.starts["ticket"]
    mask = read_mask(watched.run.mask, start)
    rewind = options.get("rewind", "weights")
    if rewind == "weights":
        source = watched.weights("theta0")
    elif rewind == "late":
        source = watched.late
    elif options.get("schedule") == "iterative":
        source = watched.starts["ticket"]  # checked by its own test below
    else:
        source = watched.weights("dense")
    for name, weight in start.items():
        expected = source[name] * mask[name] if name in mask else source[name]
        assert torch.equal(weight, expected), name
    first_step = 0
    if rewind == "late":
        first_step = options.get("rewind_step", 1)  # 5% of twenty steps
    assert watched.first_steps["ticket"] == first_step


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
def test_theta0_stays_as_it_was_and_dead_parts_too(options: dict[str, Any], find: Start) -> None:
    watched = find(**options)
    assert watched.theta0_written == [watched.run.theta0.joinpath("model.safetensors").read_bytes()]
    theta0 = watched.weights("theta0")
    dead = [name for name in theta0 if name.startswith(DEAD)]
    assert len(dead) == 16
    for model in ("dense", "ticket"):
        trained = watched.weights(model)
        assert trained.keys() == theta0.keys()
        for name, weight in theta0.items():
            assert torch.equal(trained[name], weight) or name not in dead, name
        assert not torch.equal(
            trained["lxmert.pooler.dense.weight"], theta0["lxmert.pooler.dense.weight"]
        )


def test_theta0_is_the_pretrained_model_with_a_fresh_head(find: Start, tiny_model: Path) -> None:
    theta0, pretrained = (
        find(sparsity=0.2).weights("theta0"),
        load_file(tiny_model / "model.safetensors"),
    )
    for name, weight in theta0.items():
        if not name.startswith("answer_head."):
            assert torch.equal(weight, pretrained[name]), name
    assert theta0["answer_head.logit_fc.3.weight"].shape == (14, 64)
    assert not theta0["answer_head.logit_fc.3.bias"].any()
    assert not theta0["answer_head.logit_fc.0.bias"].any()
    assert theta0["answer_head.logit_fc.0.weight"].std().item() == pytest.approx(0.02, rel=0.05)


# -- Which weights go -------------------------------------------------------------------------


def test_low_high_and_random(find: Start) -> None:
    runs = {kind: find(sparsity=0.2, subnetwork=kind) for kind in ("high", "random")}
    runs["low"] = find(sparsity=0.2)
    dense = runs["low"].weights("dense")
    names = prunable(dense)
    magnitudes = torch.cat([dense[name].abs().flatten() for name in names])
    count = round(0.2 * len(magnitudes))
    gone = {}
    for kind, watched in runs.items():
        for name, weight in watched.weights("dense").items():
            assert torch.equal(weight, dense[name])  # fine-tuning does not depend on what follows
        ticket = zeros(watched.weights("ticket"))
        gone[kind] = torch.cat([ticket[name].flatten() for name in names])
        assert int(gone[kind].sum()) == count
    order = magnitudes.argsort()
    assert set(gone["low"].nonzero().flatten().tolist()) == set(order[:count].tolist())
    assert set(gone["high"].nonzero().flatten().tolist()) == set(order[-count:].tolist())
    shared = int((gone["random"] & gone["low"]).sum()) / count
    assert shared == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("scope", ["layer", "modality"])
def test_scopes(scope: str, find: Start) -> None:
    (options,) = [o for o in VARIANTS if o.get("scope") == scope]
    ticket = find(**options).weights("ticket")
    groups: dict[str, list[torch.Tensor]] = {}
    for name, gone in zeros(ticket).items():
        part = (
            "vision" if ".r_layers." in name else "language" if ".encoder.layer." in name else "x"
        )
        groups.setdefault(name if scope == "layer" else part, []).append(gone.flatten())
    assert len(groups) == (len(zeros(ticket)) if scope == "layer" else 3)
    for name, parts in groups.items():
        gone = torch.cat(parts)
        assert abs(int(gone.sum()) - 0.2 * len(gone)) <= 1, name


def test_iterative_prunes_what_each_round_trained(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round by round: each mask holds the last one's zeros and goes by the last one's weights."""
    kept: list[tuple[str, Weights]] = []
    prune = Lottery.prune

    def watch(this: Lottery, trained: Path, *rest: Any) -> Any:
        kept.append((trained.name, load_file(trained / "model.safetensors")))
        return prune(this, trained, *rest)

    monkeypatch.setattr(Lottery, "prune", watch)
    watched = start(sparsity=0.25, schedule="iterative", rewind="lr", control=False)
    assert [name for name, _ in kept] == ["dense", "round-1", "round-2"]
    assert list(watched.starts) == ["dense", "round-1", "round-2", "ticket"]
    before: torch.Tensor | None = None
    for (_, trained), stage, level in zip(
        kept, ("round-1", "round-2", "ticket"), (0.1, 0.2, 0.25), strict=True
    ):
        begun, names = watched.starts[stage], prunable(trained)
        magnitudes = torch.cat([trained[name].abs().flatten() for name in names])
        gone = torch.cat([(begun[name] == 0).flatten() for name in names])
        count = round(level * len(magnitudes))
        assert set(gone.nonzero().flatten().tolist()) == set(magnitudes.argsort()[:count].tolist())
        assert before is None or bool(gone[before].all())
        for name in names:  # --rewind lr: the trained values are kept
            assert torch.equal(begun[name], trained[name] * (begun[name] != 0)), name
        before = gone
    assert not watched.run.work.exists()


def test_late_rewinding_goes_back_to_the_weights_of_that_step(find: Start, start: Start) -> None:
    (options,) = [o for o in VARIANTS if o.get("rewind_step")]
    late = find(**options).late
    theta0 = find(**options).weights("theta0")
    name = "lxmert.pooler.dense.weight"
    assert not torch.equal(late[name], theta0[name])
    assert not torch.equal(late[name], find(**options).weights("dense")[name])
    # Stopped at that step, the same training holds those weights.
    stopped: Weights = {}

    class Stop(Exception):
        pass

    def stop(this: Lottery, model: nn.Module) -> None:
        stopped.update({n: t.clone() for n, t in model.state_dict().items()})
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lottery, "save_late_weights", stop)
        with pytest.raises(Stop):
            start(**options)
    for name, weight in stopped.items():
        assert torch.equal(weight, late[name]), name


# -- What is reported -------------------------------------------------------------------------


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
def test_result_json(options: dict[str, Any], find: Start) -> None:
    watched = find(**options)
    result = read_json(watched.run.result, "result")
    assert result == watched.result
    contract = {
        "dense", "ticket", "theta0_masked", "pruning_steps", "config", "environment", "dataset",
    }  # fmt: skip
    assert result.keys() == contract | {"metric", "weights", "bytes", "dense_control"}
    iterative = options.get("schedule") == "iterative"
    levels = [0.1, options["sparsity"]] if options["sparsity"] != 0.25 else [0.1, 0.2, 0.25]
    assert [step["sparsity"] for step in result["pruning_steps"]] == pytest.approx(levels, abs=1e-4)
    accuracies = [result[part]["accuracy"] for part in ("dense", "ticket", "theta0_masked")]
    accuracies += [step["accuracy"] for step in result["pruning_steps"]]
    control = result["dense_control"]
    assert (control is not None) == (options.get("rewind") in ("lr", "late"))
    if options.get("rewind") == "late":  # a ticket that is trained as long as the dense model
        assert control == {**result["dense"], "epochs": 1}
    elif control:
        assert control["epochs"] == 1 + (len(levels) if iterative else 1)
        accuracies.append(control["accuracy"])
    if iterative:
        retrained = [step.get("retrained_accuracy") for step in result["pruning_steps"]]
        assert retrained[-1] is None and None not in retrained[:-1]
        accuracies += retrained[:-1]
    for accuracy in accuracies:
        assert list(accuracy) == ["overall", "yes/no", "number", "other"]
        assert all(0 <= value <= 100 for value in accuracy.values())
    assert result["metric"] == "VQA v2 accuracy"
    assert result["config"]["sparsity"] == options["sparsity"]
    assert result["dataset"]["questions"]["train"] == 320
    assert result["environment"]["device"] == "cpu"
    assert result["bytes"]["dense"] == 4 * result["weights"]["parameters"]


def test_accuracies_are_those_of_the_saved_models(find: Start, tiny_dataset: Dataset) -> None:
    """Answered one question at a time by Hugging Face's own model, scored by counting."""
    watched = find(sparsity=0.2)
    tokenizer = load_tokenizer(watched.run.theta0)
    split = tiny_dataset.split("val")
    for model in ("dense", "ticket"):
        stock = LxmertForQuestionAnswering.from_pretrained(watched.run.folder / model).eval()
        right = {"yes/no": 0, "number": 0, "other": 0}
        asked = dict.fromkeys(right, 0)
        for question in split.questions:
            regions = split.regions.gather([question.image_id])
            with torch.no_grad():
                logits = stock(
                    **tokenizer(question.text, return_tensors="pt"),
                    visual_feats=torch.from_numpy(regions.features).float(),
                    visual_pos=torch.from_numpy(regions.boxes),
                ).question_answering_score
            answer = stock.config.id2label[int(logits.argmax())]
            assert question.answer_type and question.answers
            asked[question.answer_type] += 1
            right[question.answer_type] += answer == question.answers[0]  # all ten say the same
        accuracy = watched.result[model]["accuracy"]
        assert accuracy["overall"] == pytest.approx(100 * sum(right.values()) / 120)
        for kind, count in right.items():
            assert accuracy[kind] == pytest.approx(100 * count / asked[kind])


def test_logs_and_nothing_else_is_left(find: Start) -> None:
    watched = find(sparsity=0.2)
    names = {path.name for path in watched.run.folder.iterdir() if not path.name.startswith(".")}
    folders = {"theta0", "dense", "ticket", "logs", "predictions"}
    assert names == {"config.json", "result.json"} | folders
    assert {path.name for path in (watched.run.folder / "logs").iterdir()} == {
        "dense.jsonl",
        "ticket.jsonl",
    }


def test_predictions_are_what_the_accuracies_were_computed_from(
    find: Start, tiny_dataset: Dataset
) -> None:
    watched = find(sparsity=0.2)
    for model in ("dense", "ticket"):
        answers = read_results(watched.run.predictions(model))
        scored = score_results(answers, tiny_dataset.questions("val"))
        assert scored.accuracy() == watched.result[model]["accuracy"]


# -- The authors' procedure --------------------------------------------------------------------


def test_without_enforcement_zeros_grow_back(find: Start, tmp_path: Path) -> None:
    free, held = (find(sparsity=0.5, **{"enforce-mask": on}) for on in (False, True))
    for name, weight in held.starts["ticket"].items():  # both begin with the same zeros
        assert weight.equal(free.starts["ticket"][name]), name
    assert free.result["theta0_masked"] == held.result["theta0_masked"]
    ticket = free.weights("ticket")
    names = prunable(ticket)
    size = sum(ticket[name].numel() for name in names)
    left = sum(int((ticket[name] == 0).sum()) for name in names) / size
    assert free.result["ticket"]["sparsity"]["prunable"] == pytest.approx(left)
    assert left < 0.05
    assert held.result["ticket"]["sparsity"]["prunable"] == pytest.approx(0.5, abs=1 / size)
    assert not free.run.mask.exists()
    with pytest.raises(RunError, match="--no-enforce-mask: its pruned weights grew back"):
        Source.of(free.run.folder, None, None)


# -- Repeating --------------------------------------------------------------------------------


def test_finished_steps_are_not_done_again(
    find: Start, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = find(sparsity=0.2)
    times = {p: p.stat().st_mtime_ns for p in watched.run.folder.rglob("*.safetensors")}

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(trainer_module, "train", never)
    run, result = run_lottery(watched.run.folder, tiny_dataset, watched.result["config"])
    assert {p: p.stat().st_mtime_ns for p in run.folder.rglob("*.safetensors")} == times
    for part in ("dense", "ticket", "theta0_masked", "pruning_steps"):
        assert result[part] == watched.result[part]


def test_same_settings_give_the_same_bits_another_seed_others(find: Start, start: Start) -> None:
    watched = find(sparsity=0.2)
    again, other = (start(sparsity=0.2, seed=seed).run for seed in (0, 1))
    for part in ("theta0", "dense", "ticket"):
        file = Path(part) / "model.safetensors"
        found = watched.run.folder.joinpath(file).read_bytes()
        assert again.folder.joinpath(file).read_bytes() == found
        assert other.folder.joinpath(file).read_bytes() != found


def test_a_broken_mask_is_an_error(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the mask not enforced, the run would say so."""
    monkeypatch.setattr("lxcompress.pruning.mask.MaskEnforcer.mask_gradients", lambda self: None)
    with pytest.raises(ModelError, match="pruned weights of .* are not zero in the ticket"):
        start(tmp_path / "run", sparsity=0.2)
    assert not Run(tmp_path / "run").ticket.exists()


def interrupt(*arguments: Any, **how: Any) -> None:
    raise KeyboardInterrupt


def test_a_dataset_that_changed_meanwhile(
    tiny_model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings(tiny_model, data, sparsity=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(RunTrainer, "train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_lottery(tmp_path / "run", open_dataset(data), options)
    path = data / "val_annotations.json"
    text = path.read_text()
    path.write_text(text.replace('"yes"', '"no"'))
    with pytest.raises(DataError, match=f"the data in {data} are not those that the run in"):
        run_lottery(tmp_path / "run", open_dataset(data), options)
    path.write_text(text)
    run_lottery(tmp_path / "run", open_dataset(data), options)


def test_validation_questions_are_tokenized_before_the_training(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with them is not found out hours later."""
    encode = RunTrainer._encode

    def refuse(trainer: RunTrainer, name: Any, *arguments: Any, **options: Any) -> Any:
        if name == "val":
            raise DataError("a question that no tokenizer takes")
        return encode(trainer, name, *arguments, **options)

    monkeypatch.setattr(RunTrainer, "_encode", refuse)
    with pytest.raises(DataError, match="no tokenizer takes"):
        start(tmp_path / "run", sparsity=0.2)
    assert not (tmp_path / "run" / "logs").exists()


# -- Before anything is saved -----------------------------------------------------------------


def assert_nothing_was_saved(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} <= {"config.json", ".lock"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sparsity": 1e-5}, "sparsity 1e-05 prunes none or all of the 28,672 prunable"),
        ({"batch_size": 999}, "320 training questions do not fill one batch of 999"),
        (
            {"rewind": "late", "rewind_step": STEPS},
            "--rewind-step 20: training has only 20 steps",
        ),
        ({"max_tokens": 25}, "--max-tokens 25: the model reads at most 24 tokens"),
    ],
)
def test_a_plan_that_cannot_work(
    wrong: dict[str, Any], message: str, start: Start, tmp_path: Path
) -> None:
    """The corrected one is then not taken for another run."""
    with pytest.raises(LxcompressError, match=message):
        start(tmp_path / "run", **wrong)
    assert_nothing_was_saved(tmp_path / "run")
    assert start(tmp_path / "run", sparsity=0.1).result["config"]["sparsity"] == 0.1


def test_a_plan_that_cannot_work_makes_no_regions(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """A detector may take hours, so it starts when everything else is known to be right."""
    shutil.rmtree(data / "regions")
    for wrong in ({"batch_size": 999}, {"max_tokens": 25}, {"sparsity": 1e-5}):
        options = settings(tiny_model, data, **{"sparsity": 0.1, **wrong})
        with pytest.raises(LxcompressError):
            run_lottery(tmp_path / "run", open_dataset(data), options)
        assert not (data / "regions").exists()
    run_lottery(tmp_path / "run", open_dataset(data), settings(tiny_model, data, sparsity=0.1))
    assert {path.name for path in (data / "regions").iterdir()} == {"train-pixel", "val-pixel"}


def spoil(data: Path, how: str) -> None:
    """Give the dataset a fault."""
    content = yaml.safe_load((data / "dataset.yaml").read_text())
    if how == "other answers":
        content["answers"] = write_json(data / "answers.json", ["cow", "dog"]).name
    elif how == "no train annotations":
        content["answers"] = write_json(data / "answers.json", ["yes", "no"]).name
        del content["train"]["annotations"]
    elif how == "no val annotations":
        del content["val"]["annotations"]
    elif how == "no test questions":
        content["test"]["questions"] = "absent.json"
    else:
        del content[how.removeprefix("no ")]
    (data / "dataset.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("other answers", "no `train:` question of .* has an answer that is in the answer list"),
        ("no train annotations", "question .* has no answers to learn from"),
        ("no train", "has neither answers: nor a train split"),
        ("no val", r"has no `val:` split: .*dataset\.yaml"),
        ("no val annotations", "the `val:` questions of .* have no answers to measure with"),
        ("no test questions", "absent.json"),
    ],
)
def test_data_that_cannot_work(
    how: str, message: str, tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    """The repaired one is then not taken for data that changed meanwhile."""
    options = settings(tiny_model, data, sparsity=0.1)
    intact = (data / "dataset.yaml").read_text()
    spoil(data, how)
    with pytest.raises(DataError, match=message):
        run_lottery(tmp_path / "run", open_dataset(data), options)
    assert_nothing_was_saved(tmp_path / "run")
    (data / "dataset.yaml").write_text(intact)
    run_lottery(tmp_path / "run", open_dataset(data), options)


def test_another_dataset_after_a_kill_before_theta0(
    start: Start,
    tiny_model: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until θ0 is in its place the run has not begun, with whatever dataset."""
    with monkeypatch.context() as patch:
        patch.setattr(lottery_module, "save_model", interrupt)
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "run", sparsity=0.1)
    path = data / "val_annotations.json"
    path.write_text(path.read_text().replace('"yes"', '"no"'))
    dataset = open_dataset(data)
    _, result = run_lottery(tmp_path / "run", dataset, settings(tiny_model, data, sparsity=0.1))
    assert result["dataset"]["fingerprint"] == dataset.fingerprint


def test_whether_model_and_data_fit_is_checked_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Dataset] = []
    check_fit = start_module.check_fit

    def watch(architecture: Any, dataset: Dataset, *rest: Any) -> None:
        calls.append(dataset)
        check_fit(architecture, dataset, *rest)

    for module in (start_module, lottery_module):  # whichever of them calls it
        monkeypatch.setattr(module, "check_fit", watch, raising=False)
    monkeypatch.setattr(RunTrainer, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start(sparsity=0.1)
    assert len(calls) == 1
