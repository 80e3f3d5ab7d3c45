"""The lottery with structured and N:M patterns and the Taylor criterion, on a tiny model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import run_lottery, settings

from lxcompress.choices import Criterion, Rewind
from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError
from lxcompress.evaluation.scoring import read_results, score_results
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.structured import mask_of_units, removed_units
from lxcompress.run import Run, control_name
from lxcompress.run_name import run_name
from lxcompress.ticket import load_ticket

Start = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture(scope="module")
def start(
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Start:
    def start(**options: Any) -> tuple[Run, dict[str, Any]]:
        folder = tmp_path_factory.mktemp("patterns") / "run"
        given = settings(Path(options.pop("model", tiny_model)), tiny_data, **options)
        return run_lottery(folder, tiny_dataset, given)

    return start


@pytest.fixture(scope="module")
def structured(start: Start) -> tuple[Run, dict[str, Any]]:
    return start(pattern="structured", sparsity=0.4)


def test_structured_defaults(structured: tuple[Run, dict[str, Any]]) -> None:
    _, result = structured
    config = result["config"]
    assert config["pattern"] == "structured"
    assert config["criterion"] == Criterion.TAYLOR
    assert config["rewind"] == Rewind.LR


def test_a_structured_ticket_has_no_trace_of_removed_units(
    structured: tuple[Run, dict[str, Any]],
) -> None:
    run, result = structured
    model, mask = load_ticket(run.ticket)
    removed = removed_units(model, mask)
    assert mask_of_units(model, removed).pruned == mask.pruned
    assert mask.sparsity == result["ticket"]["sparsity"]["prunable"] >= 0.4
    parameters = dict(model.named_parameters())
    for layer in sublayers(model):
        rows = layer.spread(removed[layer.name])
        for name in layer.biases:
            assert not parameters[name][rows].any()
    left = {entry["module"]: entry for entry in result["ticket"]["structure"]}
    for layer in sublayers(model):
        kept = layer.units - int(removed[layer.name].sum())
        assert left[layer.name][layer.kind] == [kept, layer.units]
    # Stock Hugging Face reads the folder: dense shapes, zeros where units were removed.
    assert parameters.keys() == dict(load_model(run.dense).named_parameters()).keys()


def test_compact_training_is_training_under_the_mask(
    start: Start, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "without-dropout"  # which draws as often as there are heads and neurons
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (model / "config.json").write_text(json.dumps(config))
    options = {"model": str(model), "pattern": "structured", "sparsity": 0.4, "control": False}
    run, _ = start(**options)
    monkeypatch.setattr("lxcompress.steps.trainer._kept_units", lambda model, mask: {})
    under_mask, _ = start(**options)
    losses = [
        [json.loads(line)["loss"] for line in other.log("ticket").read_text().splitlines()]
        for other in (run, under_mask)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    compact, masked = (load_file(r.ticket / "model.safetensors") for r in (run, under_mask))
    assert compact.keys() == masked.keys()
    for name, weight in masked.items():
        torch.testing.assert_close(compact[name], weight, atol=1e-3, rtol=1e-2)


def test_each_step_of_a_structured_run_prunes_whole_units(
    structured: tuple[Run, dict[str, Any]],
) -> None:
    _, result = structured
    found = [step["sparsity"] for step in result["pruning_steps"]]
    assert len(found) == 4
    for target, sparsity in zip((0.1, 0.2, 0.3, 0.4), found, strict=True):
        assert target <= sparsity < target + 0.1
    assert found == sorted(found)
    assert found[-1] == result["ticket"]["sparsity"]["prunable"]


def test_the_control_is_trained_as_long_as_the_ticket(
    structured: tuple[Run, dict[str, Any]], start: Start, tiny_dataset: Dataset
) -> None:
    run, result = structured
    assert result["dense_control"]["epochs"] == 2
    answers = read_results(run.predictions(control_name(1)))
    scored = score_results(answers, tiny_dataset.questions("val"))
    assert scored.accuracy() == result["dense_control"]["accuracy"]
    # Two more rounds of the iterative schedule are two more trainings of the control.
    _, iterative = start(rewind="lr", schedule="iterative", sparsity=0.2)
    assert iterative["dense_control"]["epochs"] == 3
    _, without = start(pattern="structured", sparsity=0.4, control=False)
    assert without.get("dense_control") is None
    assert without["ticket"] == result["ticket"]
    _, rewound = start(sparsity=0.2)
    assert rewound.get("dense_control") is None
    assert rewound["ticket"].get("structure") is None


def test_rewinding_and_schedule_mean_the_same_as_before(start: Start) -> None:
    run, result = start(
        pattern="structured",
        rewind="weights",
        schedule="iterative",
        sparsity=0.3,
        criterion="magnitude",
    )
    assert result["config"]["rewind"] == "weights"
    assert [
        step["sparsity"] >= t
        for step, t in zip(result["pruning_steps"], (0.1, 0.2, 0.3), strict=True)
    ]
    _, mask = load_ticket(run.ticket)
    assert mask.sparsity >= 0.3


@pytest.mark.parametrize("subnetwork", ["high", "random"])
def test_controls_of_the_same_size(subnetwork: str, start: Start) -> None:
    _, result = start(pattern="structured", sparsity=0.4, subnetwork=subnetwork, control=False)
    assert 0.4 <= result["ticket"]["sparsity"]["prunable"] < 0.5


def test_two_of_four_weights_are_left_everywhere(start: Start) -> None:
    run, result = start(pattern="2:4")
    assert result["ticket"]["sparsity"]["prunable"] == 0.5
    assert len(result["pruning_steps"]) == 1
    model, mask = load_ticket(run.ticket)
    for name, weight in prunable_parameters(model).items():
        groups = mask[name].view(weight.shape[0], -1, 4)
        assert (groups.sum(2) == 2).all()
        assert ((weight.view(groups.shape) != 0).sum(2) <= 2).all()


def test_single_weights_by_the_taylor_criterion(start: Start) -> None:
    run, result = start(criterion="taylor", sparsity=0.2)
    _, by_magnitude = start(sparsity=0.2)
    assert result["weights"]["pruned"] == by_magnitude["weights"]["pruned"]
    dense = load_file(run.dense / "model.safetensors")
    _, mask = load_ticket(run.ticket)
    pruned = torch.cat([dense[name][~keep].abs() for name, keep in mask.items()])
    kept = torch.cat([dense[name][keep].abs() for name, keep in mask.items()])
    assert pruned.max() > kept.min()  # not a threshold on the magnitude


def test_names_of_run_directories_tell_the_pattern() -> None:
    def name(**options: Any) -> str:
        return run_name(PruneConfig.parse({"data": "shapes", **options}))

    assert name(pattern="structured") == "shapes-low-50-structured"
    assert name(pattern="structured", rewind="weights") == "shapes-low-50-structured-weights"
    assert name(pattern="2:4") == "shapes-low-50-2of4"
    assert name(criterion="taylor") == "shapes-low-50-taylor"
    assert name() == "shapes-low-50"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "blocks"}, "--pattern blocks: choose unstructured, structured or N:M"),
        ({"pattern": "4:2"}, "--pattern 4:2: choose"),
        ({"pattern": "2:4", "sparsity": "0.6"}, "--pattern 2:4 prunes 0.5 of the weights; leave"),
        ({"pattern": "2:4", "scope": "layer"}, "ranks each 4 weights by themselves"),
        ({"pattern": "structured", "enforce-mask": False}, "--no-enforce-mask cannot be used"),
        ({"criterion": "best"}, "--criterion best: "),
    ],
)
def test_wrong_settings_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PruneConfig.parse({"data": "shapes", **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"pattern": "1:5"}, {"pattern": "structured", "sparsity": 0.99}],
)
def test_what_the_model_does_not_allow_is_known_before_training(
    options: dict[str, Any], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: object, **how: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("lxcompress.steps.trainer.train", train)
    with pytest.raises(ConfigError, match="--pattern"):
        start(**options)
