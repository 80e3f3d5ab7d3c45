"""Training parameters in buckets is training the parameters themselves."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lxcompress.training.buckets import ParameterBuckets
from lxcompress.training.optimizer import BertAdam

LARGE = 2**16 + 1  # values: too many for a bucket


def parameters(shapes: list[tuple[int, ...]]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def set_gradients(values: list[nn.Parameter], step: int) -> None:
    """Accumulate a gradient that depends on the step, as autograd does."""
    generator = torch.Generator().manual_seed(step)
    for parameter in values:
        weights = torch.randn(parameter.shape, generator=generator)
        (parameter * weights).sum().backward()


SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 5), st.integers(1, 40)),
        st.tuples(st.integers(1, 50)),
        st.just(()),
        st.just((LARGE,)),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=50)  # the first step loads kernels
@given(shapes=SHAPES)
def test_steps_in_buckets_are_the_steps_of_the_parameters(shapes: list[tuple[int, ...]]) -> None:
    alone, gathered = parameters(shapes), parameters(shapes)
    reference = BertAdam(alone, 0.01)
    with ParameterBuckets(gathered) as weights:
        optimizer = BertAdam(weights.parameters, 0.01)
        for step in range(3):
            set_gradients(alone, step)
            set_gradients(gathered, step)
            norm = torch.nn.utils.clip_grad_norm_(alone, 1e9)
            torch.testing.assert_close(
                torch.nn.utils.clip_grad_norm_(weights.parameters, 1e9), norm
            )
            reference.step()
            optimizer.step()
            reference.zero_grad()
            weights.zero_grad()
        for moment in ("exp_avg", "exp_avg_sq"):
            moments = {bucket: state[moment] for bucket, state in optimizer.state.items()}
            for one, other in zip(alone, gathered, strict=True):
                found = weights.part(other, moments)
                torch.testing.assert_close(found, reference.state[one][moment])
    for one, other in zip(alone, gathered, strict=True):
        torch.testing.assert_close(other, one)


def test_parameters_have_their_own_memory_again_afterwards() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with ParameterBuckets(model.parameters()) as weights:
        assert len(weights.parameters) == 1
        assert len({p.untyped_storage().data_ptr() for p in model.parameters()}) == 1
    assert len({p.untyped_storage().data_ptr() for p in model.parameters()}) == 4
    for name, parameter in model.named_parameters():
        assert parameter.is_leaf
        assert parameter.grad is None
        assert parameter.untyped_storage().nbytes() == 4 * parameter.numel()
        assert torch.equal(parameter.detach(), before[name])


def test_memory_is_given_back_after_an_error() -> None:
    (parameter,) = parameters([(3,)])
    with pytest.raises(KeyError), ParameterBuckets([parameter]):
        raise KeyError
    assert parameter.untyped_storage().nbytes() == 12


def test_large_parameters_are_not_in_buckets() -> None:
    small, large, other = parameters([(8,), (LARGE,), (8,)])
    storage = large.data_ptr()
    with ParameterBuckets([small, large, other]) as weights:
        assert any(parameter is large for parameter in weights.parameters)
        assert len(weights.parameters) == 2
        assert large.data_ptr() == storage
        large.grad = torch.ones(LARGE)
        weights.zero_grad()
        assert large.grad is None
        assert small.grad is not None
        assert not small.grad.any()


def test_groups_and_dtypes_are_not_mixed() -> None:
    matrix, vector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    double = nn.Parameter(torch.ones(2, dtype=torch.float64))
    with ParameterBuckets([matrix, double], [vector]) as weights:
        first, second = weights.groups
        assert [bucket.dtype for bucket in first] == [torch.float32, torch.float64]
        assert len(second) == 1
        groups: list[dict[str, Any]] = [{"params": first, "weight_decay": 0.1}, {"params": second}]
        optimizer = BertAdam(groups, 0.1)
        assert [len(group["params"]) for group in optimizer.param_groups] == [2, 1]


def test_a_bucket_is_not_larger_than_it_may_be() -> None:
    many = parameters([(2**16,)] * 9)
    with ParameterBuckets(many) as weights:
        assert [bucket.numel() for bucket in weights.parameters] == [2**18, 2**18, 2**16]
