"""3x3 convolutions with a quarter of the multiplications (Winograd), for small grids.

Lavin & Gray 2016 (arXiv 1509.09308), F(4x4, 3x3): 36 multiplications give 16 values, which take 144
otherwise. In float32 the result differs from the direct one by about 1e-6 of its norm. The CPU
convolutions of PyTorch do not use it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lxcompress.vision.butd.resnet import BATCH_NORM_EPSILON, Convolution

_TILE, _WINDOW = 4, 6  # values of a tile, and inputs that they depend on, along each side

# The matrices of section 4.2 of the paper.
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


class WinogradConvolution:
    """A 3x3 convolution with its normalisation, without stride or dilation; copies the weights."""

    def __init__(self, convolution: Convolution) -> None:
        norm = convolution.norm
        scale = norm.weight.double() / (norm.running_var.double() + BATCH_NORM_EPSILON).sqrt()
        self._bias = (norm.bias.double() - norm.running_mean.double() * scale).float()
        weight = convolution.weight.double() * scale[:, None, None, None]
        matrix = torch.tensor(_WEIGHT, dtype=torch.float64)
        transformed = torch.einsum("ay,ocyx,bx->abco", matrix, weight, matrix).float()
        self._weight = transformed.reshape(_WINDOW**2, *transformed.shape[2:]).contiguous()
        self._input, self._output = (
            torch.kron(matrix, matrix) for matrix in (torch.tensor(_INPUT), torch.tensor(_OUTPUT))
        )
        self._input, self._output = self._input.float(), self._output.float()

    def __call__(self, x: Tensor) -> Tensor:
        """[n, C, H, W] to [n, O, H, W], both in the channels-last format."""
        count, channels, height, width = x.shape
        rows, columns = -(-height // _TILE), -(-width // _TILE)
        below, right = rows * _TILE + 1 - height, columns * _TILE + 1 - width
        padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, right, 1, below))
        windows = padded.unfold(1, _WINDOW, _TILE).unfold(2, _WINDOW, _TILE)
        # [n, rows, columns, C, 6, 6] to [36, n * rows * columns * C]
        windows = windows.permute(4, 5, 0, 1, 2, 3).reshape(_WINDOW**2, -1)
        spectrum = (self._input @ windows).view(_WINDOW**2, -1, channels)
        product = torch.bmm(spectrum, self._weight)
        tiles = (self._output @ product.view(_WINDOW**2, -1)).view(
            _TILE, _TILE, count, rows, columns, -1
        )
        out = tiles.permute(2, 3, 0, 4, 1, 5).reshape(count, rows * _TILE, columns * _TILE, -1)
        return (out[:, :height, :width] + self._bias).permute(0, 3, 1, 2)
