"""Which weights are removed, against sorting with numpy and against torch.nn.utils.prune."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn
from torch.nn.utils import prune

from lxcompress.choices import Scope, Subnetwork
from lxcompress.errors import ConfigError, ModelError
from lxcompress.model.prunable import modality
from lxcompress.pruning import magnitude
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.pruning.mask import Mask

Weights = dict[str, torch.Tensor]

# Few different magnitudes, so that most thresholds fall among ties; zeros of both signs, the
# smallest subnormals, neighbours in the last bit, and the largest float.
TIED = [0.0, -0.0, 1e-45, -1e-45, 3e-45, 1e-38, 1.0, -1.0, 1.0000001, -2.5, 3.4028235e38]
PARTS = ("encoder.layer.0", "encoder.r_layers.0", "encoder.x_layers.0", "pooler", "encoder.layer.1")


@st.composite
def some_weights(draw: st.DrawFn, largest: int = 40) -> Weights:
    """One to five float32 tensors of any shape, as parts of an LXMERT."""
    numbers = st.one_of(
        st.sampled_from(TIED), st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
    weights = {}
    for part in PARTS[: draw(st.integers(1, len(PARTS)))]:
        shape = draw(arrays.array_shapes(max_dims=2, max_side=largest // 4))
        values = draw(arrays.arrays(np.float32, shape, elements=numbers))
        weights[f"lxmert.{part}.weight"] = torch.from_numpy(values)
    return weights


def count_of(weights: Weights, sparsity: float) -> int:
    return round(sparsity * sum(weight.numel() for weight in weights.values()))


def normal_weights(seed: int = 0) -> Weights:
    """Three tensors of one part each, 4,100 weights; all magnitudes differ."""
    random = torch.Generator().manual_seed(seed)
    shapes = ((40, 50), (30, 20), (50, 30))
    weights = {
        f"lxmert.{part}.weight": torch.randn(*shape, generator=random)
        for part, shape in zip(PARTS, shapes, strict=False)
    }
    flat = torch.cat([weight.flatten() for weight in weights.values()]).abs()
    assert len(flat.unique()) == len(flat) == 4100
    return weights


def removed(mask: Mask) -> np.ndarray:
    """Of all weights in the model's order, which are removed."""
    return np.concatenate([~keep.numpy().ravel() for _, keep in mask.items()])


def sorted_choice(magnitudes: np.ndarray, count: int, *, largest: bool = False) -> np.ndarray:
    """The reference: the first `count` of a stable sort."""
    order = np.argsort(-magnitudes if largest else magnitudes, kind="stable")
    chosen = np.zeros(magnitudes.size, dtype=bool)
    chosen[order[:count]] = True
    return chosen


def all_magnitudes(weights: Weights) -> np.ndarray:
    return np.concatenate([np.abs(weight.numpy().ravel()) for weight in weights.values()])


def sparsities(weights: Weights) -> st.SearchStrategy[float]:
    """Those that remove at least one weight and leave at least one."""
    total = sum(weight.numel() for weight in weights.values())
    allowed = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)
    return allowed.filter(lambda sparsity: 0 < round(sparsity * total) < total)


# -- Against sorting --------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(("low", "high")))
def test_removes_what_a_stable_sort_puts_first(data: st.DataObject, subnetwork: str) -> None:
    weights = data.draw(some_weights().filter(lambda w: sum(map(torch.numel, w.values())) > 1))
    sparsity = data.draw(sparsities(weights))
    mask = magnitude_mask(weights, sparsity, subnetwork=subnetwork)
    count = count_of(weights, sparsity)
    assert mask.pruned == count
    assert {name: keep.shape for name, keep in mask.items()} == {
        name: weight.shape for name, weight in weights.items()
    }
    expected = sorted_choice(all_magnitudes(weights), count, largest=subnetwork == "high")
    assert np.array_equal(removed(mask), expected)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from(("low", "high")))
def test_what_previous_removed_goes_first(data: st.DataObject, subnetwork: str) -> None:
    weights = data.draw(some_weights().filter(lambda w: sum(map(torch.numel, w.values())) > 1))
    magnitudes = all_magnitudes(weights)
    sparsity = data.draw(sparsities(weights))
    count = count_of(weights, sparsity)
    # Any earlier mask at all, not only one that was found from the same weights.
    gone = sorted_choice(
        np.random.default_rng(data.draw(st.integers(0, 99))).random(magnitudes.size),
        data.draw(st.integers(0, count)),
    )
    parts = torch.from_numpy(~gone).split([weight.numel() for weight in weights.values()])
    previous = Mask({n: p.view(weights[n].shape) for n, p in zip(weights, parts, strict=True)})
    mask = magnitude_mask(weights, sparsity, subnetwork=subnetwork, previous=previous)
    ranks = -magnitudes.astype(np.float64) if subnetwork == "high" else magnitudes
    expected = sorted_choice(np.where(gone, -np.inf, ranks), count)
    assert np.array_equal(removed(mask), expected)


@pytest.mark.parametrize("subnetwork", Subnetwork)
def test_tensors_larger_than_a_piece(monkeypatch: pytest.MonkeyPatch, subnetwork: str) -> None:
    weights = {"a": torch.randn(61, 7), "b": torch.randn(5, 3).repeat(20, 1)}
    mask = magnitude_mask(weights, 0.63, subnetwork=subnetwork, seed=3)
    monkeypatch.setattr(magnitude, "_BLOCK", 8)
    in_blocks = magnitude_mask(weights, 0.63, subnetwork=subnetwork, seed=3)
    assert np.array_equal(removed(mask), removed(in_blocks))


def test_weights_are_left_alone_and_may_lie_in_any_order() -> None:
    weights = normal_weights()
    transposed = {name: weight.t().contiguous().t() for name, weight in weights.items()}
    before = {name: weight.clone() for name, weight in weights.items()}
    trained = {name: nn.Parameter(weight) for name, weight in weights.items()}
    mask = magnitude_mask(trained, 0.5)
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    assert not any(weight.is_contiguous() for weight in transposed.values())
    assert np.array_equal(removed(magnitude_mask(transposed, 0.5)), removed(mask))


# -- Against torch.nn.utils.prune -------------------------------------------------------------


def as_modules(weights: Weights) -> dict[str, nn.Linear]:
    modules = {}
    for name, weight in weights.items():
        modules[name] = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        modules[name].weight = nn.Parameter(weight.clone())
    return modules


@pytest.mark.parametrize("sparsity", [0.001, 0.1, 0.5, 0.73, 0.9, 0.999])
def test_global_equals_torch(sparsity: float) -> None:
    weights = normal_weights()
    modules = as_modules(weights)
    prune.global_unstructured(
        [(module, "weight") for module in modules.values()],
        pruning_method=prune.L1Unstructured,
        amount=count_of(weights, sparsity),
    )
    mask = magnitude_mask(weights, sparsity)
    for name, module in modules.items():
        assert torch.equal(mask[name], dict(module.named_buffers())["weight_mask"].bool())


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_layer_equals_torch(sparsity: float) -> None:
    weights = normal_weights()
    mask = magnitude_mask(weights, sparsity, scope="layer")
    for name, module in as_modules(weights).items():
        prune.l1_unstructured(module, "weight", amount=sparsity)
        assert torch.equal(mask[name], dict(module.named_buffers())["weight_mask"].bool())


# -- High and random --------------------------------------------------------------------------


@pytest.mark.parametrize("scope", Scope)
def test_high_is_the_mirror_of_low(scope: str) -> None:
    weights = normal_weights()
    low = magnitude_mask(weights, 0.3, scope=scope)
    high = magnitude_mask(weights, 0.7, subnetwork="high", scope=scope)
    assert np.array_equal(removed(low), ~removed(high))


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_all_subnetworks_are_of_one_size(scope: str, sparsity: float) -> None:
    weights = normal_weights()
    masks = [magnitude_mask(weights, sparsity, subnetwork=s, scope=scope) for s in Subnetwork]
    assert {mask.pruned for mask in masks} == {count_of(weights, sparsity)}
    if scope == "layer":
        for name in weights:
            assert len({int(mask[name].sum()) for mask in masks}) == 1


def test_random_depends_on_the_seed_alone() -> None:
    weights = normal_weights()
    others = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    first = removed(magnitude_mask(weights, 0.5, subnetwork="random", seed=1))
    torch.manual_seed(5)
    assert np.array_equal(first, removed(magnitude_mask(others, 0.5, subnetwork="random", seed=1)))
    second = removed(magnitude_mask(weights, 0.5, subnetwork="random", seed=2))
    # Two independent halves agree on half: 2050 ± 32.
    assert 1850 < (first == second).sum() < 2250


def test_random_is_uniform() -> None:
    weights = {"a": torch.randn(300, 100), "b": torch.randn(100, 100)}
    chosen = [
        removed(magnitude_mask(weights, 0.3, subnetwork="random", seed=seed)) for seed in range(40)
    ]
    # Each tensor loses its share: 30% of 30,000 x 40, standard deviation 250.
    assert abs(sum(choice[:30_000].sum() for choice in chosen) - 360_000) < 1_500
    # Each weight goes as often as another: the counts are binomial(40, 0.3).
    times = np.sum(chosen, axis=0)
    assert times.var() == pytest.approx(40 * 0.3 * 0.7, rel=0.05)
    # Neighbours do not know of one another.
    assert abs(np.corrcoef(chosen[0][1:], chosen[0][:-1])[0, 1]) < 0.03


@pytest.mark.parametrize("subnetwork", Subnetwork)
@pytest.mark.parametrize("scope", Scope)
def test_steps_are_nested(subnetwork: str, scope: str) -> None:
    weights = normal_weights()
    masks: list[Mask] = []
    for number, sparsity in enumerate((0.1, 0.2, 0.5, 0.55)):
        weights = normal_weights(seed=number)  # trained on in between
        previous = masks[-1] if masks else None
        masks.append(
            magnitude_mask(weights, sparsity, subnetwork=subnetwork, scope=scope, previous=previous)
        )
        assert masks[-1].pruned == count_of(weights, sparsity)
    for earlier, later in pairwise(masks):
        assert not (removed(earlier) & ~removed(later)).any()


# -- Scopes -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(list(Subnetwork)), st.sampled_from(("layer", "modality")))
def test_each_part_gives_its_share(data: st.DataObject, subnetwork: str, scope: str) -> None:
    weights = data.draw(some_weights().filter(lambda w: sum(map(torch.numel, w.values())) > 1))
    sparsity = data.draw(sparsities(weights))
    mask = magnitude_mask(weights, sparsity, subnetwork=subnetwork, scope=scope)
    count = count_of(weights, sparsity)
    assert mask.pruned == count
    parts: dict[str, list[str]] = {}
    for name in weights:
        parts.setdefault(name if scope == "layer" else modality(name), []).append(name)
    fraction = count / mask.size
    for names in parts.values():
        size = sum(weights[name].numel() for name in names)
        gone = np.concatenate([~mask[name].numpy().ravel() for name in names])
        assert abs(gone.sum() - fraction * size) < 1
        if subnetwork != "random":
            magnitudes = all_magnitudes({name: weights[name] for name in names})
            expected = sorted_choice(magnitudes, gone.sum(), largest=subnetwork == "high")
            assert np.array_equal(gone, expected)


# -- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sparsity", [0.0, 1.0, -0.1, 1.5, 1e-9, 0.99999, float("nan"), float("inf"), -float("inf")]
)
def test_a_sparsity_that_removes_nothing_or_everything(sparsity: float) -> None:
    with pytest.raises(ConfigError, match=r"sparsity .* 4,100 prunable weights"):
        magnitude_mask(normal_weights(), sparsity)


def test_no_weights_at_all() -> None:
    with pytest.raises(ConfigError, match="0 prunable weights"):
        magnitude_mask({}, 0.5)


@pytest.mark.parametrize("scope", Scope)
def test_less_than_previous(scope: str) -> None:
    weights = normal_weights()
    previous = magnitude_mask(weights, 0.5, scope=scope)
    with pytest.raises(ConfigError, match="already pruned"):
        magnitude_mask(weights, 0.4, scope=scope, previous=previous)
    again = magnitude_mask(weights, 0.5, scope=scope, previous=previous)
    assert np.array_equal(removed(again), removed(previous))


def test_previous_of_another_model() -> None:
    weights = normal_weights()
    previous = magnitude_mask({"a": torch.randn(3, 3)}, 0.5)
    with pytest.raises(ModelError, match="does not prune"):
        magnitude_mask(weights, 0.6, previous=previous)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_type(dtype: torch.dtype) -> None:
    with pytest.raises(ModelError, match="float32"):
        magnitude_mask({"a": torch.ones(4, 4, dtype=dtype)}, 0.5)


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="'lowest' is not one of low, high, random"):
        magnitude_mask(normal_weights(), 0.5, subnetwork="lowest")
    with pytest.raises(ConfigError, match="'tensor' is not one of global, layer, modality"):
        magnitude_mask(normal_weights(), 0.5, scope="tensor")
