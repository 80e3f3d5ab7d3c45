"""Which heads and neurons are removed, against counting and ranking them by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import random_batch, tiny_config
from transformers import LxmertForQuestionAnswering

from lxcompress.choices import Scope, Subnetwork
from lxcompress.errors import ConfigError
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.prunable import modality, prunable_parameters
from lxcompress.model.sublayers import Sublayer, sublayers, unit_sizes
from lxcompress.model.unused_branch import skip_unused_branch
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.structured import (
    mask_of_units,
    mean_squares,
    removed_units,
    structure,
    structured_mask,
    zero_biases,
)

CONFIG = tiny_config(l_layers=2, r_layers=1, x_layers=2)


def new_model(seed: int = 0) -> LxmertForQuestionAnswering:
    torch.manual_seed(seed)
    model = LxmertForQuestionAnswering(CONFIG).eval()
    use_fast_attention(model)
    skip_unused_branch(model)
    return model


MODEL = new_model()
LAYERS = sublayers(MODEL)
SIZES = unit_sizes(LAYERS, prunable_parameters(MODEL))
TOTAL = sum(weight.numel() for weight in prunable_parameters(MODEL).values())
REMOVABLE = sum(layer.units * SIZES[layer.name] for layer in LAYERS)


def random_scores(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        layer.name: torch.rand(layer.units, generator=generator, dtype=torch.float64)
        for layer in LAYERS
    }


def units_removed(mask: Mask) -> set[tuple[str, int]]:
    removed = removed_units(MODEL, mask)
    return {
        (name, index)
        for name, units in removed.items()
        for index in units.nonzero().flatten().tolist()
    }


def pruned_by(units: set[tuple[str, int]]) -> int:
    return sum(SIZES[name] for name, _ in units)


def test_the_sublayers_are_all_that_reach_the_answer() -> None:
    covered = {name for layer in LAYERS for name in layer.weights}
    others = {"lxmert.pooler.dense.weight", "answer_head.logit_fc.0.weight"}
    assert covered | others == set(prunable_parameters(MODEL))
    by_kind = [layer.kind for layer in LAYERS]
    # Two language and one vision layer; two cross layers, the last without its visual half.
    assert by_kind.count("heads") == 2 + 1 + (1 + 2) + (1 + 1)
    assert by_kind.count("neurons") == 2 + 1 + 2 + 1
    for layer in LAYERS:
        of = CONFIG.num_attention_heads if layer.kind == "heads" else CONFIG.intermediate_size
        assert layer.units == of


@settings(deadline=None, max_examples=60)
@given(
    sparsity=st.floats(0.05, 0.85),
    seed=st.integers(0, 99),
    subnetwork=st.sampled_from(list(Subnetwork)),
)
def test_whole_units_are_removed_until_the_target(
    sparsity: float, seed: int, subnetwork: Subnetwork
) -> None:
    mask = structured_mask(MODEL, random_scores(seed), sparsity, subnetwork=subnetwork, seed=seed)
    units = units_removed(mask)
    assert mask.pruned == pruned_by(units)  # no weight beside those of whole units
    target = round(sparsity * TOTAL)
    assert mask.pruned >= target
    assert any(mask.pruned - SIZES[name] < target for name, _ in units)


@pytest.mark.parametrize("subnetwork", [Subnetwork.LOW, Subnetwork.HIGH])
def test_the_lowest_or_highest_scores_are_removed(subnetwork: Subnetwork) -> None:
    scores = random_scores(3)
    units = units_removed(structured_mask(MODEL, scores, 0.4, subnetwork=subnetwork))
    values = {(name, i): float(s) for name, found in scores.items() for i, s in enumerate(found)}
    inside = [values[unit] for unit in units]
    best = max if subnetwork == Subnetwork.LOW else min
    last = {best((u for u in values if u[0] == name), key=values.__getitem__) for name in scores}
    outside = [value for unit, value in values.items() if unit not in units | last]
    if subnetwork == Subnetwork.LOW:
        assert max(inside) < min(outside)
    else:
        assert min(inside) > max(outside)


def test_a_random_choice_depends_on_the_seed_only() -> None:
    masks = [
        units_removed(structured_mask(MODEL, random_scores(s), 0.4, subnetwork="random", seed=seed))
        for s, seed in ((0, 1), (5, 1), (0, 2))
    ]
    assert masks[0] == masks[1] != masks[2]


@pytest.mark.parametrize("scope", [Scope.LAYER, Scope.MODALITY])
def test_each_group_gets_its_share(scope: Scope) -> None:
    units = units_removed(structured_mask(MODEL, random_scores(0), 0.4, scope=scope))
    share = round(0.4 * TOTAL) / REMOVABLE

    def group(layer: Sublayer) -> str:
        return layer.name if scope == Scope.LAYER else modality(layer.name)

    for name in {group(layer) for layer in LAYERS}:
        layers = [layer for layer in LAYERS if group(layer) == name]
        size = sum(layer.units * SIZES[layer.name] for layer in layers)
        names = {layer.name for layer in layers}
        pruned = pruned_by({unit for unit in units if unit[0] in names})
        largest = max(SIZES[name] for name in names)
        assert share * size - 1 <= pruned <= share * size + largest


def test_the_next_step_removes_more_of_the_same() -> None:
    first = structured_mask(MODEL, random_scores(0), 0.3)
    second = structured_mask(MODEL, random_scores(9), 0.5, previous=first)
    assert units_removed(first) < units_removed(second)
    assert second.pruned >= round(0.5 * TOTAL)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), subnetwork=st.sampled_from(list(Subnetwork)))
def test_no_sublayer_loses_its_last_unit_before_all_have_one(
    seed: int, subnetwork: Subnetwork
) -> None:
    lasts = sum(SIZES[layer.name] for layer in LAYERS)
    sparsity = (sum(layer.units * SIZES[layer.name] for layer in LAYERS) - lasts) / TOTAL
    scores = random_scores(seed)
    for target, some_left in ((sparsity - 1e-4, True), (sparsity + 0.01, False)):
        mask = structured_mask(MODEL, scores, target, subnetwork=subnetwork, seed=seed)
        removed = removed_units(MODEL, mask)
        assert all(not units.all() for units in removed.values()) == some_left
        assert all(units.sum() >= len(units) - 1 for units in removed.values()) or some_left


def test_the_last_way_from_the_picture_to_the_answer_is_kept() -> None:
    scores = random_scores(0)
    for name, values in scores.items():
        if "visual_attention" in name:
            values.zero_()
    head = next(size for name, size in SIZES.items() if "visual_attention" in name)
    units = units_removed(structured_mask(MODEL, scores, (REMOVABLE - head) / TOTAL))
    left = [
        (layer.name, index)
        for layer in LAYERS
        if "visual_attention" in layer.name
        for index in range(layer.units)
        if (layer.name, index) not in units
    ]
    assert len(left) == 1


@pytest.mark.parametrize("scope", Scope)
def test_too_much_is_one_line(scope: Scope) -> None:
    beyond = REMOVABLE / TOTAL + 0.001
    with pytest.raises(
        ConfigError, match=r"\A--sparsity 0\.\d+ cannot be reached .* can go; "
    ) as caught:
        structured_mask(MODEL, random_scores(0), beyond, scope=scope)
    largest = float(str(caught.value).rpartition("Choose at most ")[2])
    assert (
        structured_mask(MODEL, random_scores(0), largest, scope=scope).pruned >= largest * TOTAL - 1
    )


def test_mean_squares_are_those_of_the_groups_weights() -> None:
    parameters = dict(MODEL.named_parameters())
    found = mean_squares(MODEL)
    for layer in LAYERS:
        for unit in (0, layer.units - 1):
            lines = slice(unit * layer.width, (unit + 1) * layer.width)
            parts = [parameters[f"{name}.weight"][lines] for name in layer.first]
            parts.append(parameters[f"{layer.output}.weight"][:, lines])
            group = torch.cat([part.detach().double().flatten() for part in parts])
            assert found[layer.name][unit].item() == pytest.approx(group.square().mean().item())


def test_what_is_removed_changes_nothing_that_training_could_see() -> None:
    """Removed biases get no gradient, and the network answers as if the units were not there."""
    model = new_model(1)
    mask = structured_mask(model, random_scores(2), 0.5)
    mask.apply(prunable_parameters(model))
    batch = random_batch(model.config)
    batch.pop("targets")
    with torch.no_grad():
        before = model(**batch).question_answering_score
    zero_biases(model, mask)
    logits = model(**batch).question_answering_score
    torch.testing.assert_close(logits, before, atol=1e-5, rtol=1e-5)
    logits.square().sum().backward()
    removed = removed_units(model, mask)
    parameters = dict(model.named_parameters())
    for layer in sublayers(model):
        rows = layer.spread(removed[layer.name])
        for name in layer.biases:
            gradient = parameters[name].grad
            assert gradient is not None
            assert not parameters[name][rows].any()
            assert not gradient[rows].any()


def test_the_structure_is_counted_by_sublayer() -> None:
    removed = {layer.name: torch.zeros(layer.units, dtype=torch.bool) for layer in LAYERS}
    removed[LAYERS[0].name][:] = True
    mask = mask_of_units(MODEL, removed)
    found = structure(MODEL, mask)
    assert found[0] == {"module": LAYERS[0].name, "heads": [0, LAYERS[0].units]}
    assert all(
        entry.get("heads", entry.get("neurons")) == [layer.units, layer.units]
        for entry, layer in zip(found[1:], LAYERS[1:], strict=True)
    )
    assert mask.pruned == LAYERS[0].units * SIZES[LAYERS[0].name]
    np.testing.assert_equal(mask.size, TOTAL)
