"""The compact network answers and trains as the dense one whose removed units are zero."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import random_batch, tiny_config
from transformers import LxmertConfig, LxmertForQuestionAnswering
from transformers.models.lxmert.modeling_lxmert import LxmertAttention

from lxcompress.model.attention import use_fast_attention
from lxcompress.model.compact import (
    compact,
    live_units,
    remove_units,
    unreachable_parameters,
    widen,
)
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.model.unused_branch import skip_unused_branch, unused_parameters

CONFIG = tiny_config(
    num_attention_heads=4,
    intermediate_size=6,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
READS_VISION = "lxmert.encoder.x_layers.{}.visual_attention.att"

Kept = dict[str, torch.Tensor]


def dense_model(*, ours: bool = True) -> LxmertForQuestionAnswering:
    """A model whose every parameter matters, with ours or with Hugging Face's own attention."""
    return copy.deepcopy(_dense_model(ours))


@functools.cache
def _dense_model(ours: bool) -> LxmertForQuestionAnswering:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LxmertForQuestionAnswering(CONFIG).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    if ours:
        use_fast_attention(model)
        skip_unused_branch(model)
    return model


LAYERS = sublayers(dense_model())


@st.composite
def kept_units(draw: st.DrawFn) -> Kept:
    """Any choice of units: of a third of the sublayers all, of a third none, of the others some."""
    kept = {}
    for layer in LAYERS:
        some = st.lists(st.booleans(), min_size=layer.units, max_size=layer.units)
        every = st.sampled_from([[True] * layer.units, [False] * layer.units])
        kept[layer.name] = torch.tensor(draw(st.one_of(some, every)))
    return kept


def removed_elements(kept: Kept) -> Iterator[tuple[str, tuple[torch.Tensor, ...]]]:
    """The names of parameters, and the index of what the removed units have in them."""
    for layer in LAYERS:
        gone = layer.spread(~kept[layer.name])
        for name in layer.first:
            yield f"{name}.weight", (gone,)
            yield f"{name}.bias", (gone,)
        yield f"{layer.output}.weight", (torch.ones(CONFIG.hidden_size) > 0, gone)


@torch.no_grad()
def set_removed(tensors: dict[str, torch.Tensor], kept: Kept, value: float = 0.0) -> None:
    for name, (rows, *columns) in removed_elements(kept):
        if columns:
            tensors[name][:, columns[0]] = value
        else:
            tensors[name][rows] = value


def masked(kept: Kept, *, ours: bool = True) -> LxmertForQuestionAnswering:
    model = dense_model(ours=ours)
    set_removed(dict(model.named_parameters()), kept)
    return model


def loss_of(model: LxmertForQuestionAnswering, seed: int = 0) -> torch.Tensor:
    batch = {
        name: tensor.to(model.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in random_batch(CONFIG, seed).items()
    }
    targets = batch.pop("targets")
    logits = model(**batch).question_answering_score
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets) * 5


def logits_of(model: LxmertForQuestionAnswering) -> torch.Tensor:
    batch = random_batch(CONFIG)
    del batch["targets"]
    with torch.inference_mode():
        return model(**batch).question_answering_score


# -- Equal to the masked model ----------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(kept=kept_units(), ours=st.booleans())
def test_the_same_logits(kept: Kept, ours: bool) -> None:
    dense = masked(kept, ours=ours)
    before = copy.deepcopy(dense.state_dict())
    smaller = compact(dense, kept)
    torch.testing.assert_close(logits_of(smaller), logits_of(dense), atol=1e-5, rtol=1e-5)
    # The dense model is as it was, and shares no memory.
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.fill_(7)
    assert all(torch.equal(tensor, before[name]) for name, tensor in dense.state_dict().items())


@settings(max_examples=8, deadline=None)
@given(kept=kept_units())
def test_the_same_loss_in_training(kept: Kept) -> None:
    """Under an enforced mask, biases included, over five steps, with decay and moments.

    In float64, because Adam makes rounding errors of a gradient of zero (a key's bias) a step.
    """
    dense = masked(kept).double().train()
    smaller = compact(dense, kept)
    assert smaller.training and all(module.training for module in smaller.modules())
    optimizers = [
        torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
        for model in (dense, smaller)
    ]
    for step in range(5):
        losses = []
        for model, optimizer in zip((dense, smaller), optimizers, strict=True):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()
            if model is dense:
                gradients = {n: p.grad for n, p in dense.named_parameters() if p.grad is not None}
                set_removed(gradients, kept)
            optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], abs=1e-9)
    assert losses[0] > 0


@settings(max_examples=8, deadline=None)
@given(kept=kept_units())
def test_gradients(kept: Kept) -> None:
    dense = masked(kept)
    smaller = compact(dense, kept)
    gradients = []
    for model in (dense, smaller):
        loss_of(model).backward()
        found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        gradients.append(found)
    # A gradient that the compact model lacks is zero in the masked one.
    wide = masked(kept)
    zero = compact(wide, kept)
    with torch.no_grad():
        for name, parameter in zero.named_parameters():
            parameter.copy_(gradients[1].get(name, torch.zeros_like(parameter)))
    widen(zero, kept, wide)
    set_removed(gradients[0], kept)
    for name, parameter in wide.named_parameters():
        expected = gradients[0].get(name, torch.zeros_like(parameter))
        torch.testing.assert_close(parameter.detach(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["heads", "neurons"])
def test_dropout_draws_for_each_position_without_units(kind: str) -> None:
    """As in the masked model, where the output's bias is spread over all positions first."""
    config = LxmertConfig.from_dict(CONFIG.to_dict() | {"hidden_dropout_prob": 0.5})
    torch.manual_seed(0)
    dense = LxmertForQuestionAnswering(config).train()
    (name, *_) = [layer.name for layer in LAYERS if layer.kind == kind]
    kept = {name: torch.zeros(4 if kind == "heads" else 6) > 0}
    everything = {layer.name: torch.ones(layer.units) > 0 for layer in LAYERS}
    set_removed(dict(dense.named_parameters()), everything | kept)
    smaller = compact(dense, kept)
    losses = []
    for model in (dense, smaller):
        torch.manual_seed(3)
        losses.append(loss_of(model).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


# -- Shapes -----------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(kept=kept_units())
def test_shapes(kept: Kept) -> None:
    dense = masked(kept)
    smaller = compact(dense, kept)
    found = {name: tuple(p.shape) for name, p in smaller.named_parameters()}
    expected = {name: tuple(p.shape) for name, p in dense.named_parameters()}
    for layer in LAYERS:
        size = int(kept[layer.name].sum()) * layer.width
        for name in layer.first:
            expected[f"{name}.weight"] = (size, CONFIG.hidden_size)
            expected[f"{name}.bias"] = (size,)
        expected[f"{layer.output}.weight"] = (CONFIG.hidden_size, size)
    # Nothing is left of parameters without an element.
    assert found == {name: shape for name, shape in expected.items() if 0 not in shape}
    assert {n for n, p in smaller.named_parameters() if not p.requires_grad} == {
        n for n, p in dense.named_parameters() if not p.requires_grad
    }
    for name, module in smaller.named_modules():
        if isinstance(module, torch.nn.Linear):
            assert tuple(module.weight.shape) == (module.out_features, module.in_features)
        if isinstance(module, LxmertAttention) and name in kept:
            assert module.num_attention_heads == kept[name].sum()
            assert module.head_size == 8 * module.num_attention_heads
    # Removing units needs no weights.
    with torch.device("meta"):
        empty = LxmertForQuestionAnswering(CONFIG)
    remove_units(empty, {name: units.sort(descending=True).values for name, units in kept.items()})
    assert {name: tuple(p.shape) for name, p in empty.named_parameters()} == found


def test_sublayers_that_are_not_named_keep_all() -> None:
    dense = dense_model()
    torch.testing.assert_close(
        compact(dense, {}).state_dict(), dense.state_dict(), atol=0.0, rtol=0.0
    )
    widen(compact(dense, {}), {}, again := dense_model())
    torch.testing.assert_close(again.state_dict(), dense.state_dict(), atol=0.0, rtol=0.0)


def test_attention_shares_of_a_layer_without_heads() -> None:
    kept = {READS_VISION.format(1): torch.zeros(4) > 0}
    batch = random_batch(CONFIG)
    del batch["targets"]
    found = compact(dense_model(ours=False), kept)(**batch, output_attentions=True)
    assert found.cross_encoder_attentions[0].shape == (3, 4, 7, 5)
    assert found.cross_encoder_attentions[1].shape == (3, 0, 7, 5)


# -- Back to dense shapes ---------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(kept=kept_units())
def test_widening_is_exact(kept: Kept) -> None:
    expected = masked(kept)
    wide = dense_model()
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.fill_(float("nan"))
    widen(compact(dense_model(), kept), kept, wide)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(wide.state_dict()[name], tensor), name
    again = compact(wide, kept)
    for name, tensor in compact(expected, kept).state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


# -- Units that cannot change the answer ------------------------------------------------------


def unread(kept: Kept) -> set[str]:
    """The sublayers of the visual stream that no language layer reads any more, of two layers."""
    vision = {n for n in kept if ".r_layers." in n}
    first = {n for n in kept if ".x_layers.0.visn_" in n}
    assert len(vision) == len(first) == 2
    if kept[READS_VISION.format(1)].any():
        return set()
    return first if kept[READS_VISION.format(0)].any() else first | vision


@settings(max_examples=12, deadline=None)
@given(kept=kept_units())
def test_live_units(kept: Kept) -> None:
    live = live_units(masked(kept))
    assert list(live) == [layer.name for layer in LAYERS]
    behind = unread(kept)
    for name, units in live.items():
        expected = torch.zeros_like(units) if name in behind else kept[name]
        assert torch.equal(units, expected), name


@settings(max_examples=12, deadline=None)
@given(kept=kept_units())
def test_removing_all_that_is_dead_changes_nothing(kept: Kept) -> None:
    dense = masked(kept)
    smaller = compact(dense, live_units(dense))
    torch.testing.assert_close(logits_of(smaller), logits_of(dense), atol=1e-5, rtol=1e-5)


@settings(max_examples=8, deadline=None)
@given(kept=kept_units())
def test_unreachable_parameters(kept: Kept) -> None:
    """According to the gradients of the compact model."""
    dense = masked(kept)
    smaller = compact(dense, live_units(dense))
    names, parameters = zip(*smaller.named_parameters(), strict=True)
    for parameter in parameters:
        parameter.requires_grad_(True)
    gradients = torch.autograd.grad(loss_of(smaller), parameters, allow_unused=True)
    without = {name for name, of in zip(names, gradients, strict=True) if of is None}
    assert unreachable_parameters(smaller, live_units(dense)) == without
    assert without >= unused_parameters(smaller)


def change(model: LxmertForQuestionAnswering, name: str, unit: int | slice, dim: int) -> None:
    with torch.no_grad():
        parameter = dict(model.named_parameters())[name]
        parameter[(slice(None),) * dim + (unit,)] = 0


@pytest.mark.parametrize(
    ("weights", "dead"),
    [
        ({"output.dense.weight": 1}, True),
        ({"self.value.weight": 0, "self.value.bias": 0}, True),
        ({"self.value.weight": 0}, False),
        ({"self.value.bias": 0}, False),
        ({"self.query.weight": 0, "self.query.bias": 0}, False),
        ({"self.key.weight": 0, "self.key.bias": 0}, False),
    ],
)
def test_dead_heads(weights: dict[str, int], dead: bool) -> None:
    model, attention = dense_model(), "lxmert.encoder.layer.1.attention"
    for name, dim in weights.items():
        change(model, f"{attention}.{name}", slice(8, 16), dim)
    live = live_units(model)[f"{attention}.self"]
    assert live.tolist() == [True, not dead, True, True]


@pytest.mark.parametrize(
    ("weights", "activation", "dead"),
    [
        ({"output": 1}, "gelu", True),
        ({"intermediate": 0, "intermediate.bias": 0}, "gelu", True),
        ({"intermediate": 0, "intermediate.bias": 0}, "relu", True),
        ({"intermediate": 0, "intermediate.bias": 0}, "sigmoid", False),
        ({"output": 1}, "sigmoid", True),
        ({"intermediate": 0}, "gelu", False),
        ({"intermediate.bias": 0}, "gelu", False),
    ],
)
def test_dead_neurons(weights: dict[str, int], activation: str, dead: bool) -> None:
    model = LxmertForQuestionAnswering(tiny_config(intermediate_size=6, hidden_act=activation))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    layer = "lxmert.encoder.r_layers.0"
    for name, dim in weights.items():
        part, _, kind = name.partition(".")
        change(model, f"{layer}.{part}.dense.{kind or 'weight'}", 4, dim)
    live = live_units(model)[f"{layer}.intermediate"]
    assert live.tolist() == [True, True, True, True, not dead, True]


def test_half_a_head_each_way() -> None:
    """Each element of the head is zero, or its column is."""
    model, attention = dense_model(), "lxmert.encoder.layer.0.attention"
    change(model, f"{attention}.output.dense.weight", slice(0, 5), 1)
    for kind in ("weight", "bias"):
        change(model, f"{attention}.self.value.{kind}", slice(5, 8), 0)
    assert live_units(model)[f"{attention}.self"].tolist() == [False, True, True, True]


def test_a_mask_decides_which_weights_are_zero() -> None:
    model, name = dense_model(), "lxmert.encoder.layer.0.intermediate"
    remaining = {n: torch.ones_like(p) > 0 for n, p in prunable_parameters(model).items()}
    assert all(units.all() for units in live_units(model, remaining).values())
    remaining["lxmert.encoder.layer.0.output.dense.weight"][:, 2] = False
    assert live_units(model, remaining)[name].tolist() == [True, True, False, True, True, True]
    # A weight that happens to be zero is not pruned.
    change(model, "lxmert.encoder.layer.0.output.dense.weight", 5, 1)
    assert live_units(model, remaining)[name].tolist() == [True, True, False, True, True, True]
