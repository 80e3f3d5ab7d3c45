"""Masks: the file to the bit, everything that is refused, and zeros that stay zero in training."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open
from safetensors.numpy import save_file
from tiny import random_batch, tiny_config
from torch.nn import functional
from transformers import LxmertForQuestionAnswering

from lxcompress.choices import Subnetwork
from lxcompress.errors import ModelError
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.unused_branch import skip_unused_branch
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.pruning.mask import Mask
from lxcompress.training.optimizer import BertAdam

Bits = dict[str, np.ndarray]
Metadata = dict[str, str]


@st.composite
def some_masks(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """Bool tensors; sizes are rarely multiples of 8."""
    shapes = arrays.array_shapes(max_dims=2, max_side=9)
    values = st.lists(shapes.flatmap(lambda shape: arrays.arrays(bool, shape)), min_size=1)
    names = (f"layer.{10 - number}.weight" for number in range(100))
    drawn = draw(values.filter(lambda found: len(found) < 6))
    return {name: torch.from_numpy(value) for name, value in zip(names, drawn, strict=False)}


def blank(kept: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Parameters that such a mask fits."""
    return {name: torch.ones(keep.shape) for name, keep in kept.items()}


def gradient(weight: torch.Tensor) -> torch.Tensor:
    assert weight.grad is not None
    return weight.grad


def example() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = {"b": (3, 5), "a": (4, 4), "c": (1, 9)}
    return {name: torch.rand(shape, generator=random) < 0.5 for name, shape in shapes.items()}


# -- On disk ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(some_masks())
def test_save_and_load(tmp_path_factory: pytest.TempPathFactory, kept: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("mask") / "mask.safetensors"
    Mask(kept).save(path)
    found = Mask.load(path, blank(kept))
    assert list(found) == list(kept)
    assert all(torch.equal(found[name], keep) for name, keep in kept.items())
    # One bit a weight, beside the header that begins with its own size in 8 bytes.
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    assert len(content) - header == sum(math.ceil(keep.numel() / 8) for keep in kept.values())


def test_bit_order_is_the_documented_one(tmp_path: Path) -> None:
    kept = example()
    Mask(kept).save(tmp_path / "mask.safetensors")
    content = (tmp_path / "mask.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header.pop("__metadata__")
    shapes = json.loads(metadata.pop("shapes"))
    assert metadata == {"format": "lxcompress-mask", "version": "1", "bit_order": "little"}
    assert shapes == {name: list(keep.shape) for name, keep in kept.items()}
    assert header.keys() == kept.keys()
    for name, keep in kept.items():
        begin, end = header[name]["data_offsets"]
        packed = content[8 + size + begin : 8 + size + end]
        bits = [packed[i // 8] >> (i % 8) & 1 for i in range(8 * len(packed))]
        assert header[name]["dtype"] == "U8"
        assert bits[: keep.numel()] == keep.flatten().int().tolist()
        assert not any(bits[keep.numel() :])


def test_saving_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mask").write_bytes(b"old")
    Mask(example()).save(tmp_path / "mask")
    assert [path.name for path in tmp_path.iterdir()] == ["mask"]
    assert Mask.load(tmp_path / "mask", blank(example())).size == 40


def test_counts() -> None:
    mask = Mask({"a": torch.tensor([True, False, False]), "b": torch.tensor([[True], [False]])})
    assert (mask.size, mask.pruned, mask.sparsity) == (5, 3, 0.6)


def test_a_mask_holds_true_and_false() -> None:
    with pytest.raises(ModelError, match="the mask of a has dtype torch.float32, not bool"):
        Mask({"a": torch.ones(3)})


# -- Damaged files ----------------------------------------------------------------------------


def set_spare_bit(bits: Bits, metadata: Metadata) -> None:
    bits["b"][-1] |= 128


def lose_a_byte(bits: Bits, metadata: Metadata) -> None:
    bits["a"] = bits["a"][:-1]


def add_a_byte(bits: Bits, metadata: Metadata) -> None:
    bits["a"] = np.append(bits["a"], np.uint8(0))


def other_type(bits: Bits, metadata: Metadata) -> None:
    bits["a"] = bits["a"].astype(np.int8)


def lose_a_tensor(bits: Bits, metadata: Metadata) -> None:
    del bits["a"]


def add_a_tensor(bits: Bits, metadata: Metadata) -> None:
    bits["z"] = bits["a"]


def put(key: str, value: str | None) -> Callable[[Bits, Metadata], None]:
    def change(bits: Bits, metadata: Metadata) -> None:
        metadata.pop(key)
        if value is not None:
            metadata[key] = value

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (set_spare_bit, "spare bits"),
        (lose_a_byte, "do not hold"),
        (add_a_byte, "do not hold"),
        (other_type, "do not hold"),
        (lose_a_tensor, "mask is damaged"),
        (add_a_tensor, "no shape for z"),
        (put("version", "2"), "version is '2', not '1'"),
        (put("version", None), "version is None"),
        (put("format", "other"), "format is 'other'"),
        (put("bit_order", "big"), "bit_order is 'big'"),
        (put("shapes", None), "mask is damaged"),
        (put("shapes", '{"a": [4, 4], '), "mask is damaged"),
        (put("shapes", "null"), "mask is damaged"),
        (put("shapes", "[" * 100_000), "mask is damaged"),
        (put("shapes", '{"a": [4, 4], "b": [1e400, 5], "c": [1, 9]}'), "mask is damaged"),
        (put("shapes", '["a", "b", "c"]'), "mask is damaged"),
        (put("shapes", '{"a": 16, "b": [3, 5], "c": [1, 9]}'), "mask is damaged|another model"),
        (put("shapes", '{"a": [-16], "b": [3, 5], "c": [1, 9]}'), "mask is damaged"),
        (put("shapes", '{"a": [4.5, 4], "b": [3, 5], "c": [1, 9]}'), "mask is damaged"),
        (put("shapes", '{"a": "4", "b": [3, 5], "c": [1, 9]}'), "mask is damaged"),
        (put("shapes", '{"a": null, "b": [3, 5], "c": [1, 9]}'), "mask is damaged"),
        (put("shapes", '{"a": [2, 8], "b": [3, 5], "c": [1, 9]}'), "another model"),
    ],
)
def test_damage(tmp_path: Path, damage: Callable[[Bits, Metadata], None], message: str) -> None:
    kept, path = example(), tmp_path / "mask.safetensors"
    Mask(kept).save(path)
    with safe_open(path, framework="np") as file:
        metadata = dict(file.metadata())
        bits = {name: file.get_tensor(name).copy() for name in kept}
    damage(bits, metadata)
    save_file(bits, path, metadata=metadata)
    with pytest.raises(ModelError, match=message):
        Mask.load(path, blank(kept))


def test_cut_off_anywhere(tmp_path: Path) -> None:
    Mask(example()).save(tmp_path / "mask")
    content = (tmp_path / "mask").read_bytes()
    for length in range(len(content)):
        (tmp_path / "mask").write_bytes(content[:length])
        with pytest.raises(ModelError, match="mask is damaged"):
            Mask.load(tmp_path / "mask", blank(example()))


def test_any_changed_bit_of_the_header(tmp_path: Path) -> None:
    Mask(example()).save(tmp_path / "mask")
    content = (tmp_path / "mask").read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for place in range(header):
        for flipped in (1, 32):
            changed = bytearray(content)
            changed[place] ^= flipped
            (tmp_path / "mask").write_bytes(changed)
            with pytest.raises(ModelError):
                Mask.load(tmp_path / "mask", blank(example()))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="mask not found: .*nowhere"):
        Mask.load(tmp_path / "nowhere", {})
    with pytest.raises(ModelError, match="mask cannot be read"):
        Mask.load(tmp_path, {})


def test_a_mask_of_another_model(tmp_path: Path) -> None:
    kept = example()
    Mask(kept).save(tmp_path / "mask")
    parameters = blank(kept)
    for wrong, message in (
        ({name: parameters[name] for name in ("a", "b")}, "tensor c that this model does not"),
        ({**parameters, "d": torch.ones(2)}, "lacks 1 tensors of this model, e.g. d"),
        ({**parameters, "a": torch.ones(2, 8)}, r"is \(4, 4\), the model's tensor \(2, 8\)"),
    ):
        with pytest.raises(ModelError, match=message):
            Mask.load(tmp_path / "mask", wrong)
        mask = Mask(kept)
        for use in (mask.apply, mask.enforcer, mask.check_fit):
            with pytest.raises(ModelError, match=message):
                use(wrong)
        with pytest.raises(ModelError, match=message):
            mask.verify(wrong, "here")
        # Nothing was done to the tensors that do fit.
        assert all((parameter == 1).all() for parameter in wrong.values())


# -- On weights -------------------------------------------------------------------------------


def test_apply_and_verify() -> None:
    kept = example()
    weights = {name: torch.full(keep.shape, -1.5) for name, keep in kept.items()}
    mask = Mask(kept)
    with pytest.raises(ModelError, match=r"pruned weights of b are not zero in the ticket"):
        mask.verify(weights, "the ticket")
    mask.apply(weights)
    mask.verify(weights, "the ticket")
    for name, keep in kept.items():
        assert torch.equal(weights[name], torch.where(keep, -1.5, 0.0))
        assert not weights[name][~keep].signbit().any()
    place = (~kept["a"]).nonzero()[0]
    weights["a"][tuple(place)] = 1e-45
    with pytest.raises(ModelError, match="^1 pruned weights of a are not zero in the ticket$"):
        mask.verify(weights, "the ticket")
    weights["a"][tuple(place)] = float("nan")
    with pytest.raises(ModelError, match="^1 pruned weights of a"):
        mask.verify(weights, "the ticket")


@pytest.mark.parametrize("subnetwork", Subnetwork)
def test_pruned_weights_stay_exactly_zero_in_training(subnetwork: str) -> None:
    torch.manual_seed(0)
    model = LxmertForQuestionAnswering(tiny_config()).train()
    use_fast_attention(model)
    skip_unused_branch(model)
    prunable = prunable_parameters(model)
    mask = magnitude_mask(prunable, 0.6, subnetwork=subnetwork)
    mask.apply(prunable)
    start = {name: weight.detach().clone() for name, weight in prunable.items()}
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = BertAdam(trainable, lr=1e-2, weight_decay=0.1)
    enforcer = mask.enforcer(prunable)
    for step in range(4):
        batch = random_batch(model.config, seed=step)
        targets = batch.pop("targets")
        logits = model(**batch).question_answering_score
        functional.binary_cross_entropy_with_logits(logits, targets).backward()
        unmasked = {name: gradient(weight).clone() for name, weight in prunable.items()}
        enforcer.mask_gradients()
        survivors = [
            gradient(weight)[mask[name]] if name in prunable else weight.grad.flatten()
            for name, weight in model.named_parameters()
            if weight.grad is not None
        ]
        # The norm that clipping goes by is that of the weights which exist.
        norm = torch.nn.utils.clip_grad_norm_(trainable, 1e9)
        torch.testing.assert_close(norm, torch.cat(survivors).norm())
        optimizer.step()
        for name, weight in prunable.items():
            keep, moments = mask[name], optimizer.state[weight]
            assert torch.equal(gradient(weight)[keep], unmasked[name][keep])
            for pruned in (weight[~keep], moments["exp_avg"][~keep], moments["exp_avg_sq"][~keep]):
                # All bits are zero: neither a remnant nor a negative zero.
                assert not pruned.detach().view(torch.int32).any()
        optimizer.zero_grad()
        mask.verify(prunable, "training")
    assert any((unmasked[name][~mask[name]] != 0).any() for name in prunable)
    for name, weight in prunable.items():
        assert (weight != start[name])[mask[name]].float().mean() > 0.9


def test_whatever_a_pruned_value_was_becomes_positive_zero() -> None:
    values = [-1.5, 2.5, -0.0, float("nan"), float("-inf"), 1e-45, 3.4028235e38]
    weight = torch.nn.Parameter(torch.tensor(values * 2))
    keep = torch.tensor([False] * len(values) + [True] * len(values))
    mask = Mask({"a": keep})
    weight.grad = weight.detach().clone()
    before = weight.detach().view(torch.int32).clone()
    mask.apply({"a": weight})
    mask.enforcer({"a": weight}).mask_gradients()
    for tensor in (weight.detach(), weight.grad):
        bits = tensor.view(torch.int32)
        assert not bits[~keep].any()
        assert torch.equal(bits[keep], before[keep])


def test_a_weight_without_a_gradient() -> None:
    weights = {"a": torch.nn.Parameter(torch.ones(2)), "b": torch.nn.Parameter(torch.ones(2))}
    enforcer = Mask({name: torch.tensor([True, False]) for name in weights}).enforcer(weights)
    (3 * weights["b"]).sum().backward()
    enforcer.mask_gradients()
    assert weights["a"].grad is None
    assert weights["b"].grad is not None
    assert weights["b"].grad.tolist() == [3, 0]
