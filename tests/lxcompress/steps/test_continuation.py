"""`prune --from RUN`: a run that goes on from the ticket and the mask of another."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from call import Call
from safetensors.torch import load_file
from tiny import run_lottery, settings

from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError, RunError
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.pruning.structured import removed_units
from lxcompress.run import Run
from lxcompress.steps import continuation
from lxcompress.steps.continuation import inherit
from lxcompress.ticket import load_ticket

GoOn = Callable[..., tuple[Run, dict[str, Any]]]
_MACHINE = {"device": "cpu", "precision": "fp32", "workers": 0}


@pytest.fixture(scope="module")
def source(
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    folder = tmp_path_factory.mktemp("source") / "run"
    options = settings(tiny_model, tiny_data, pattern="structured", sparsity=0.4, control=False)
    return run_lottery(folder, tiny_dataset, options)[0]


@pytest.fixture(scope="module")
def go_on(source: Run, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> GoOn:
    def go_on(**options: Any) -> tuple[Run, dict[str, Any]]:
        folder = tmp_path_factory.mktemp("continued") / "run"
        given = {"from": str(source.folder), **_MACHINE, **options}
        return run_lottery(folder, tiny_dataset, inherit(given))

    return go_on


@pytest.fixture(scope="module")
def composed(go_on: GoOn) -> tuple[Run, dict[str, Any]]:
    """Single weights of what structured pruning left, up to 65%."""
    return go_on(sparsity=0.65)


def test_the_ticket_loses_more_of_the_same_dense_model(
    composed: tuple[Run, dict[str, Any]], source: Run
) -> None:
    run, result = composed
    for there, here in ((source.theta0, run.theta0), (source.dense, run.dense)):
        before, after = (load_file(folder / "model.safetensors") for folder in (there, here))
        assert before.keys() == after.keys()
        assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert result["dense"] == source.read_result().dense.model_dump(mode="json")
    model, mask = load_ticket(run.ticket)
    _, first = load_ticket(source.ticket)
    assert all(not (mask[name] & ~keep).any() for name, keep in first.items())
    assert mask.pruned == round(0.65 * mask.size)
    removed, before = removed_units(model, mask), removed_units(model, first)
    assert all((removed[name] | ~before[name]).all() for name in before)
    # Nothing of the removed units has come back in training.
    parameters = dict(model.named_parameters())
    for layer in sublayers(model):
        for name in layer.biases:
            assert not parameters[name][layer.spread(before[layer.name])].any()


def test_steps_training_and_control_of_a_continued_run(
    composed: tuple[Run, dict[str, Any]], source: Run
) -> None:
    run, result = composed
    sparsities = [step["sparsity"] for step in result["pruning_steps"]]
    begun = source.read_result().ticket.sparsity.prunable
    expected = [level for level in (0.4, 0.5, 0.6) if level > begun] + [0.65]
    assert sparsities == pytest.approx(expected, abs=1e-3)
    # Rewinding is that of the run before: the trained weights are kept.
    assert result["config"]["rewind"] == "lr"
    assert result["ticket"]["epochs"] == [1, 1, 1]
    assert result["dense_control"]["epochs"] == 3
    assert result["ticket"]["structure"] is not None
    assert not run.work.exists()


def test_the_ticket_starts_from_the_ticket_before(
    composed: tuple[Run, dict[str, Any]], source: Run
) -> None:
    before = load_file(source.ticket / "model.safetensors")
    model, mask = load_ticket(composed[0].ticket)
    start, trained, other = [], [], []
    dense = load_file(source.dense / "model.safetensors")
    for name, weight in prunable_parameters(model).items():
        start.append(before[name][mask[name]])
        trained.append(weight.detach()[mask[name]])
        other.append(dense[name][mask[name]])
    moved, from_dense = (
        (torch.cat(trained) - torch.cat(values)).norm() for values in (start, other)
    )
    assert moved < from_dense


def test_whole_units_of_what_single_weights_left(go_on: GoOn, composed: Any) -> None:
    first = composed[0]
    run, result = go_on(
        **{"from": str(first.folder), "pattern": "structured", "sparsity": 0.75, "control": False}
    )
    model, mask = load_ticket(run.ticket)
    _, before = load_ticket(first.ticket)
    assert all(not (mask[name] & ~keep).any() for name, keep in before.items())
    assert 0.75 <= result["ticket"]["sparsity"]["prunable"] < 0.85
    more, earlier = removed_units(model, mask), removed_units(model, before)
    assert sum(int(u.sum()) for u in more.values()) > sum(int(u.sum()) for u in earlier.values())


@pytest.mark.parametrize("scope", ["layer", "modality"])
def test_groups_that_have_lost_more_than_their_share_remain_as_they_are(
    scope: str, source: Run
) -> None:
    model, before = load_ticket(source.ticket)
    weights = prunable_parameters(model)
    mask = magnitude_mask(weights, 0.5, scope=scope, previous=before)
    assert mask.pruned == round(0.5 * mask.size)
    assert all(not (mask[name] & ~keep).any() for name, keep in before.items())


def test_a_control_is_trained_as_long_as_a_ticket_behind_which_another_was_rewound(
    go_on: GoOn,
) -> None:
    rewound, _ = go_on(sparsity=0.55, rewind="weights", epochs=2)
    _, result = go_on(**{"from": str(rewound.folder), "sparsity": 0.6, "rewind": "lr", "epochs": 1})
    assert result["dense"]["epochs"] == 1
    assert result["ticket"]["epochs"] == [2, 1]
    # One training of two epochs after the dense model's one.
    assert result["dense_control"]["epochs"] == 3


def test_what_a_killed_process_left_is_not_taken_for_another_run(
    source: Run, tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    with run.claim({"data": "d", "sparsity": 0.5, "subnetwork": "low"}):
        continuation.share_artefacts(source, run)
    shutil.rmtree(run.theta0)  # killed before it
    assert run.dense.exists()
    options = settings(tiny_model, tiny_data, sparsity=0.2, seed=3)
    run, result = run_lottery(run.folder, tiny_dataset, options)
    assert result["config"]["seed"] == 3
    start = load_file(run.theta0 / "model.safetensors")
    assert not torch.equal(
        start["answer_head.logit_fc.3.weight"],
        load_file(source.theta0 / "model.safetensors")["answer_head.logit_fc.3.weight"],
    )


def test_a_run_is_not_replaced_by_one_that_goes_on_from_it(source: Run, call: Call) -> None:
    code, _, error = call(
        "prune", "--from", source.folder, "--sparsity", 0.7, "--output", source.folder, "--force"
    )
    assert code == 2 and "is the run directory itself; choose another --output" in error
    assert source.is_finished()


@pytest.mark.parametrize("name", [["a"], "a\0b", ""])
def test_a_name_that_is_none(name: object) -> None:
    with pytest.raises(ConfigError, match="--from"):
        inherit({"from": name})


def test_rewound_to_theta0_there_is_no_control(go_on: GoOn) -> None:
    _, result = go_on(sparsity=0.6, rewind="weights")
    assert result["ticket"]["epochs"] == [1]
    assert result.get("dense_control") is None


def test_interrupted_while_it_begins(
    go_on: GoOn,
    composed: tuple[Run, dict[str, Any]],
    source: Run,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    share, shared = continuation.share, list[Path]()

    def stop(there: Path, here: Path) -> None:
        if len(shared) == 3:
            raise KeyboardInterrupt
        shared.append(here)
        share(there, here)

    monkeypatch.setattr(continuation, "share", stop)
    options = inherit({"from": str(source.folder), **_MACHINE, "sparsity": 0.65})
    with pytest.raises(KeyboardInterrupt):
        run_lottery(tmp_path / "run", tiny_dataset, options)
    monkeypatch.undo()
    run, result = run_lottery(tmp_path / "run", tiny_dataset, options)
    expected = load_file(composed[0].ticket / "model.safetensors")
    found = load_file(run.ticket / "model.safetensors")
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert result["ticket"] == composed[1]["ticket"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 0.3}, "is already 4"),
        ({"model": "lxmert-shapes"}, "--model lxmert-shapes: with --from it is that of the run"),
        ({"data": "shapes"}, "--data shapes: with --from it is that of the run"),
        ({"rewind": "late"}, "--rewind late cannot be used with --from"),
        ({"pattern": "2:4"}, "--pattern 2:4 cannot go on from another mask"),
        ({"enforce-mask": False}, "--no-enforce-mask cannot be used with --from"),
    ],
)
def test_what_cannot_be_continued(options: dict[str, Any], message: str, go_on: GoOn) -> None:
    with pytest.raises(ConfigError) as caught:
        go_on(**options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_only_a_finished_run_can_be_continued(source: Run, tmp_path: Path, call: Call) -> None:
    unfinished = Run(tmp_path / "unfinished")
    unfinished.theta0.mkdir(parents=True)
    with pytest.raises(RunError, match="no finished ticket"):
        inherit({"from": str(unfinished.folder)})
    code, _, error = call("prune", "--from", tmp_path / "missing", "--sparsity", "0.7")
    assert code == 2 and "is not a run directory" in error and error.count("\n") == 1
