"""Winograd's convolution against PyTorch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.vision.butd.resnet import Convolution
from lxcompress.vision.butd.winograd import WinogradConvolution


def convolution(channels: int, out: int, seed: int) -> Convolution:
    generator = torch.Generator().manual_seed(seed)
    made = Convolution(channels, out, size=3, dilation=2).requires_grad_(False)
    made.weight.normal_(generator=generator)
    made.norm.weight.uniform_(0.5, 2, generator=generator)
    made.norm.bias.normal_(generator=generator)
    made.norm.running_mean.normal_(generator=generator)
    made.norm.running_var.uniform_(0.5, 2, generator=generator)
    return made


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 3),
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 99),
)
def test_values_are_those_without_dilation(
    count: int, size: tuple[int, int], channels: tuple[int, int], seed: int
) -> None:
    direct = convolution(*channels, seed)
    x = torch.randn(count, channels[0], *size, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        WinogradConvolution(direct)(x), direct.undilated(x), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("channels", [64, 512])
def test_the_error_is_that_of_float32(channels: int) -> None:
    direct = convolution(channels, 32, 0)
    x = torch.randn(4, channels, 7, 7).relu()
    found = WinogradConvolution(direct)(x)
    expected = direct.double().undilated(x.double())
    assert (found - expected).norm() / expected.norm() < 1e-5
