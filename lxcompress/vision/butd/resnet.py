"""The residual network of the bottom-up-attention detector, in Caffe's form.

He et al. 2016 (arXiv 1512.03385), with the stride in the first 1x1 convolution of a stage, and
the stem's pooling unpadded and rounded up. Names of parameters are Detectron2's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPSILON = 1e-5


class FrozenBatchNorm(nn.Module):
    """Batch normalisation of [B, C, H, W] with stored statistics."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=BATCH_NORM_EPSILON
        )


class Convolution(nn.Conv2d):
    """A convolution without bias, and its batch normalisation `norm`."""

    def __init__(
        self, channels_in: int, channels: int, size: int, stride: int = 1, dilation: int = 1
    ) -> None:
        padding = dilation * (size // 2)
        super().__init__(channels_in, channels, size, stride, padding, dilation, bias=False)
        self.norm = FrozenBatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.norm(super().forward(x))
        return normalised

    def undilated(self, x: Tensor) -> Tensor:
        """Convolve with a dilation and a stride of 1."""
        convolved = functional.conv2d(x, self.weight, padding=self.kernel_size[0] // 2)
        normalised: Tensor = self.norm(convolved)
        return normalised


class Stem(nn.Module):
    """The first convolution and pooling, to a quarter of the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(3, channels, size=7, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).relu_()
        return functional.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)


class Bottleneck(nn.Module):
    """A residual block, with its stride in the first 1x1 convolution."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        inner = channels // 4
        self.shortcut = (
            Convolution(channels_in, channels, size=1, stride=stride)
            if channels_in != channels
            else None
        )
        self.conv1 = Convolution(channels_in, inner, size=1, stride=stride)
        self.conv2 = Convolution(inner, inner, size=3, dilation=dilation)
        self.conv3 = Convolution(inner, channels, size=1)

    def forward(self, x: Tensor, middle: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """middle: computes the 3x3 convolution with its normalisation in place of `conv2`."""
        out: Tensor = self.conv1(x).relu_()
        out = self.conv3((middle or self.conv2)(out).relu_())
        out += x if self.shortcut is None else self.shortcut(x)
        return out.relu_()


def stage(
    blocks: int, channels_in: int, channels: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """One of res2 to res5: residual blocks, the stride in the first, the dilation in all."""
    first = Bottleneck(channels_in, channels, stride, dilation)
    more = (Bottleneck(channels, channels, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *more)


def blocks_of(stage: nn.Sequential) -> list[Bottleneck]:
    """The residual blocks of a stage."""
    return [block for block in stage if isinstance(block, Bottleneck)]


class Backbone(nn.Module):
    """A picture [1, 3, H, W] to its feature map [1, 16 * width, H / 16, W / 16]."""

    def __init__(self, width: int, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.res2 = stage(blocks[0], width, 4 * width)
        self.res3 = stage(blocks[1], 4 * width, 8 * width, stride=2)
        self.res4 = stage(blocks[2], 8 * width, 16 * width, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.res4(self.res3(self.res2(self.stem(x))))
        return features
