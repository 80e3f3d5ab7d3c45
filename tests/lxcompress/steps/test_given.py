"""`prune --finetuned MODEL` and `--mask FILE`: a given dense model, a given mask."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from call import Call
from safetensors.torch import load_file
from tiny import run_lottery, settings, tiny_config
from torch.nn.utils import prune
from transformers import LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.conversion.convert import convert
from lxcompress.data.dataset import Dataset
from lxcompress.data.questions.normalization import normalize_answer
from lxcompress.errors import ConfigError, LxcompressError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.folder import MASK_FILE
from lxcompress.model.lxmert import read_config
from lxcompress.pruning.mask import Mask
from lxcompress.run import Run
from lxcompress.steps.continuation import inherit
from lxcompress.steps.trainer import RunTrainer
from lxcompress.system.files import sha256
from lxcompress.ticket import load_ticket

Outcome = tuple[Run, dict[str, Any]]


class Start:
    """Runs the lottery on the tiny data; `stages` are the trainings of the last run."""

    def __init__(self, tiny_data: Path, dataset: Dataset, folders: Callable[[], Path]) -> None:
        self.data, self.dataset, self.folders = tiny_data, dataset, folders
        self.stages: list[str] = []

    def __call__(self, folder: Path | None = None, /, **options: Any) -> Outcome:
        self.stages, train = [], RunTrainer.train

        def watch(this: RunTrainer, model: Any, stage: str, *rest: Any, **how: Any) -> None:
            self.stages.append(stage)
            train(this, model, stage, *rest, **how)

        complete = settings(Path("unused"), self.data, **options)
        if "model" not in options:
            del complete["model"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunTrainer, "train", watch)
            return run_lottery(folder or self.folders(), self.dataset, inherit(complete))


@pytest.fixture(scope="module")
def start(
    tiny_data: Path, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Start:
    return Start(tiny_data, tiny_dataset, lambda: tmp_path_factory.mktemp("given") / "run")


@pytest.fixture(scope="module")
def usual(start: Start, tiny_model: Path) -> Outcome:
    return start(model=str(tiny_model), rewind="lr")


def assert_same_weights(first: Path, second: Path) -> None:
    here, there = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert here.keys() == there.keys()
    assert all(torch.equal(weight, there[name]) for name, weight in here.items())


def test_a_given_dense_model_is_not_trained_and_the_result_is_the_usual_one(
    start: Start, usual: Outcome
) -> None:
    before, expected = usual
    run, result = start(finetuned=str(before.dense))
    assert start.stages == ["ticket", "control-1"]
    assert not run.log("dense").exists()
    assert result["config"]["rewind"] == "lr"
    assert_same_weights(run.dense, before.dense)
    assert_same_weights(run.ticket, before.ticket)
    for key in ("pruning_steps", "weights", "bytes", "dataset"):
        assert result[key] == expected[key], key
    assert result["dense"] == {**expected["dense"], "epochs": 0}
    assert result["dense_control"]["accuracy"] == expected["dense_control"]["accuracy"]
    # What the given model was trained for is not known.
    assert (result["ticket"]["epochs"], expected["ticket"]["epochs"]) == ([1], [1, 1])
    assert result["dense_control"]["epochs"] == 1
    # θ0 is the given model, so that under the mask it is the pruned one.
    assert_same_weights(run.theta0, before.dense)
    assert result["theta0_masked"]["accuracy"] == result["pruning_steps"][-1]["accuracy"]
    assert result["finetuned"] == {
        "model": str(before.dense),
        "start_weights": str(before.dense),
        "answers": result["dataset"]["answers"],
        "missing_answers": 0,
        "unanswerable_questions": {"train": 0, "val": 0},
    }
    assert not run.work.exists()


def test_given_start_weights_and_mask_give_the_same_ticket(
    start: Start, usual: Outcome, tiny_model: Path
) -> None:
    dense = str(usual[0].dense)
    found, expected = start(finetuned=dense, model=str(tiny_model))
    assert start.stages == ["ticket"]
    assert expected["config"]["rewind"] == "weights"
    assert expected["finetuned"]["start_weights"] == str(tiny_model)
    assert_same_weights(found.theta0, usual[0].theta0)
    run, result = start(finetuned=dense, model=str(tiny_model), mask=str(found.mask))
    assert start.stages == ["ticket"]
    assert_same_weights(run.ticket, found.ticket)
    for key in ("dense", "theta0_masked", "weights", "bytes"):
        assert result[key] == expected[key], key
    assert result["ticket"] == expected["ticket"] | {"structure": None}
    assert result["pruning_steps"] == expected["pruning_steps"][-1:]
    assert result["mask"] == {"file": str(found.mask), "sha256": sha256(found.mask)}
    assert result["config"]["sparsity"] is None


def test_a_converted_model_is_retrained_under_its_own_mask(
    start: Start, usual: Outcome, tmp_path: Path
) -> None:
    dense = usual[0].dense
    network = LxmertForQuestionAnswering.from_pretrained(dense)
    prune.l1_unstructured(network.answer_head.logit_fc[0], "weight", amount=0.5)
    torch.save(network.state_dict(), tmp_path / "pruned.pth")
    (tmp_path / "answers.json").write_text(json.dumps(labels_of(read_config(dense))))
    folder, answers = tmp_path / "converted", str(tmp_path / "answers.json")
    convert(tmp_path / "pruned.pth", folder, answers=answers, tokenizer=str(dense), heads=2)
    run, result = start(finetuned=str(folder), mask=str(folder / MASK_FILE), control=False)
    assert start.stages == ["ticket"]
    _, mask = load_ticket(run.ticket)
    assert mask.pruned == result["weights"]["zeros"] == 32 * 64 // 2


def test_answers_of_the_model_itself_on_other_data(
    start: Start, tiny_model: Path, tiny_dataset: Dataset, tiny_data: Path, call: Call
) -> None:
    run, result = start(finetuned=str(tiny_model), control=False)
    labels = ["yes", "no", "zebra"]
    assert labels_of(read_config(run.ticket)) == labels
    found = result["finetuned"]
    assert found["answers"] == 3
    assert found["missing_answers"] == len(set(tiny_dataset.answers) - set(labels)) > 0
    for split in ("train", "val"):
        lacking = [
            texts
            for question in tiny_dataset.questions(split)
            if (texts := set(map(normalize_answer, question.answers or ())))
            and texts & set(map(normalize_answer, tiny_dataset.answers))
            and not texts & set(labels)
        ]
        assert found["unanswerable_questions"][split] == len(lacking) > 0
    answers = {row["answer"] for row in json.loads(run.predictions("ticket").read_text())}
    assert answers <= set(labels)
    code, output, _ = call("prune", "--resume", run.folder)
    assert code == 0
    assert f"dense model: {tiny_model}, as given; not trained by this run" in output
    assert f"lacks {found['missing_answers']} of the data's" in output
    # Another run goes on from it, with the same answers; its control is of the same dense model.
    further, last = start(**{"from": str(run.folder), "sparsity": 0.7})
    assert last["finetuned"] == found
    assert last["ticket"]["epochs"] == [1, 1] and last["dense_control"]["epochs"] == 2
    assert labels_of(read_config(further.ticket)) == labels


def test_continued_without_what_was_given(
    start: Start, usual: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = {"finetuned": tmp_path / "dense", "mask": tmp_path / "other.safetensors"}
    shutil.copytree(usual[0].dense, copies["finetuned"])
    shutil.copyfile(usual[0].mask, copies["mask"])
    options = {name: str(path) for name, path in copies.items()} | {"control": False}

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    # First between the copy of the dense model and θ0, then in training.
    for owner, name in ((Mask, "save"), (RunTrainer, "train")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stop)
            with pytest.raises(KeyboardInterrupt):
                start(tmp_path / "run", **options)
        assert (tmp_path / "run" / "dense").exists()
        assert (tmp_path / "run" / "theta0").exists() == (owner is RunTrainer)
    shutil.rmtree(copies["finetuned"])
    digest = sha256(copies["mask"])
    copies["mask"].unlink()
    run, result = start(tmp_path / "run", **options)
    assert_same_weights(run.ticket, usual[0].ticket)
    assert result["mask"]["sha256"] == digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"finetuned": "m", "model-config": "small"}, "--model-config cannot be used with --fin"),
        ({"finetuned": "m", "rewind": "late"}, "--rewind late cannot be used with --finetuned"),
        ({"finetuned": "m", "rewind": "weights"}, "--rewind weights needs the start weights of"),
        ({"answers": "a.json"}, "--answers can only be used with --finetuned"),
        ({"finetuned": "m", "keep-answer-head": True}, "--keep-answer-head needs a pre-trained"),
        ({"mask": "m", "sparsity": 0.3}, "--sparsity cannot be used with --mask"),
        ({"mask": "m", "speedup": 2}, "--speedup cannot be used with --mask"),
        ({"mask": "m", "pattern": "2:4"}, "--pattern 2:4 cannot be used with --mask"),
        ({"mask": "m", "schedule": "iterative"}, "--schedule cannot be used with --mask"),
        ({"mask": "m", "subnetwork": "high"}, "--subnetwork cannot be used with --mask"),
        ({"mask": "m", "criterion": "taylor"}, "--criterion cannot be used with --mask"),
        ({"mask": "m", "scope": "layer"}, "--scope cannot be used with --mask"),
    ],
)
def test_settings_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PruneConfig.parse(options)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_with_from_there_is_no_other_model_or_mask(usual: Outcome, start: Start) -> None:
    source = str(usual[0].folder)
    with pytest.raises(ConfigError, match="--finetuned .* with --from it is that of the run"):
        start(**{"from": source, "finetuned": str(usual[0].dense)})
    with pytest.raises(ConfigError, match="--from cannot be used with --mask"):
        start(**{"from": source, "mask": str(usual[0].mask)})


def other_model(folder: Path, source: Path, **changes: Any) -> str:
    """A model of another shape, with the tokenizer and answers of `source`."""
    shutil.copytree(source, folder)
    config = read_config(source)
    parts = {"vocab_size": config.vocab_size, "visual_feat_dim": config.visual_feat_dim}
    shape = parts | {"l_layers": 1, "x_layers": 1, "num_qa_labels": config.num_qa_labels}
    labels = {"id2label": config.id2label, "label2id": config.label2id}
    other = tiny_config(**(shape | labels | changes))
    LxmertForQuestionAnswering(other).save_pretrained(folder)
    return str(folder)


def test_models_and_masks_that_do_not_fit_are_refused_before_training(
    start: Start, usual: Outcome, tiny_model: Path, tmp_path: Path
) -> None:
    before = usual[0]
    dense = str(before.dense)
    _, mask = load_ticket(before.ticket)
    masks = {name: tmp_path / f"{name}.safetensors" for name in ("none", "all", "other")}
    for name, share in (("none", True), ("all", False)):
        Mask({n: torch.full_like(keep, share) for n, keep in mask.items()}).save(masks[name])
    Mask({n: keep[:1] for n, keep in mask.items()}).save(masks["other"])
    words = shutil.copytree(tiny_model, tmp_path / "words")
    tokenizer = json.loads((words / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (words / "tokenizer.json").write_text(json.dumps(tokenizer))
    deeper = other_model(tmp_path / "deeper", before.dense, l_layers=2)
    heads = other_model(tmp_path / "heads", before.dense, num_attention_heads=4)
    nameless = other_model(tmp_path / "nameless", before.dense, id2label={0: "x"}, label2id={})
    cases: list[tuple[dict[str, Any], str]] = [
        ({"finetuned": str(before.folder)}, f"is a run directory; give {before.dense}"),
        ({"finetuned": str(tmp_path / "absent")}, "there is no such model folder"),
        ({"finetuned": nameless}, "--answers"),
        ({"finetuned": dense, "answers": str(masks["none"])}, "answer list"),
        ({"finetuned": deeper, "model": str(tiny_model)}, "was not fine-tuned from --model"),
        ({"finetuned": heads, "model": str(tiny_model)}, "num_attention_heads is 4 there and 2"),
        ({"finetuned": dense, "model": str(words)}, "has another vocabulary"),
        ({"finetuned": dense, "mask": str(masks["none"])}, "prunes no weight"),
        ({"finetuned": dense, "mask": str(masks["all"])}, "prunes every prunable weight"),
        ({"finetuned": dense, "mask": str(masks["other"])}, "it is the mask of another model"),
        ({"finetuned": dense, "mask": str(tmp_path / "absent")}, "mask not found"),
        ({"finetuned": deeper, "mask": str(before.mask)}, "it is the mask of another model"),
        (
            {"finetuned": dense, "mask": str(before.mask), "pattern": "structured"},
            "does not prune whole heads and neurons only",
        ),
    ]
    for number, (options, message) in enumerate(cases):
        folder = tmp_path / f"run-{number}"
        with pytest.raises(LxcompressError) as caught:
            start(folder, **options)
        assert message in str(caught.value) and "\n" not in str(caught.value), options
        assert start.stages == [] and not (folder / "theta0").exists()


def test_wrong_inputs_on_the_command_line(
    usual: Outcome, tiny_data: Path, tmp_path: Path, call: Call
) -> None:
    output = ("--data", tiny_data, "--output", tmp_path / "run")
    for options in (
        ("--finetuned", tmp_path / "absent"),
        ("--finetuned", usual[0].dense, "--mask", tmp_path / "absent"),
        ("--finetuned", usual[0].dense, "--mask", usual[0].mask, "--sparsity", "0.5"),
    ):
        code, _, error = call("prune", *output, *options)
        assert code == 2 and error.startswith("error: ") and error.count("\n") == 1
