"""Buckets of parameters: small ones are stored together, so that one operation updates many.

A small model has over a hundred parameters of a few thousand values each. Clipping the gradients
and stepping the optimizer one parameter at a time is a thousand operations that take longer to
start than to compute. In a bucket, parameters and gradients are views of two flat tensors, as
DistributedDataParallel keeps gradients with `gradient_as_bucket_view`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType

import torch
from torch import nn

# Larger parameters gain nothing, and a bucket of them would need their memory twice for a moment.
_LARGEST_MEMBER = 2**16
_BUCKET = 2**18  # values
# Views begin at multiples of 64 bytes, as tensors of their own do (float32).
_ALIGNMENT = 16


class ParameterBuckets:
    """Parameters gathered in buckets, until the end of a `with` block.

    `groups` has, for each group of parameters given, the flat `nn.Parameter` of each bucket and
    the parameters that are too large for one: what an optimizer updates. A bucket never spans two
    groups, devices or dtypes. Inside the block, a parameter of a bucket that has no gradient after
    `backward` counts as one whose gradient is zero.
    """

    def __init__(self, *groups: Iterable[nn.Parameter]) -> None:
        """Move the data of the parameters into buckets; gradients that they have are dropped."""
        self._members: dict[nn.Parameter, tuple[nn.Parameter, int]] = {}
        self.groups = [self._gather(group) for group in groups]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All buckets and large parameters, in the order of the groups."""
        return [parameter for group in self.groups for parameter in group]

    def zero_grad(self) -> None:
        """Set all gradients to zero; those of large parameters to None, as optimizers do."""
        buckets = {bucket for bucket, _ in self._members.values()}
        for parameter in self.parameters:
            if parameter not in buckets:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def part(
        self, parameter: nn.Parameter, values: Mapping[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Return what belongs to `parameter`, in its shape, of a tensor for each bucket."""
        if parameter not in self._members:
            return values[parameter]
        bucket, start = self._members[parameter]
        return _view(values[bucket], start, parameter)

    def __enter__(self) -> ParameterBuckets:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give each parameter memory of its own again, and no gradient."""
        for parameter in self._members:
            parameter.data = parameter.detach().clone()
            parameter.grad = None

    def _gather(self, group: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        found: list[nn.Parameter] = []
        pending: list[nn.Parameter] = []
        size = 0
        for parameter in group:
            if parameter.numel() > _LARGEST_MEMBER:
                found.append(parameter)
                continue
            like = (parameter.device, parameter.dtype)
            other = pending and like != (pending[0].device, pending[0].dtype)
            if other or size + _aligned(parameter.numel()) > _BUCKET:
                found.append(self._bucket(pending))
                pending, size = [], 0
            pending.append(parameter)
            size += _aligned(parameter.numel())
        return [*found, self._bucket(pending)] if pending else found

    @torch.no_grad()
    def _bucket(self, members: list[nn.Parameter]) -> nn.Parameter:
        size = sum(_aligned(parameter.numel()) for parameter in members)
        bucket = nn.Parameter(members[0].new_zeros(size))
        bucket.grad = torch.zeros_like(bucket)
        start = 0
        for parameter in members:
            view = _view(bucket.data, start, parameter)
            view.copy_(parameter)
            parameter.data = view
            parameter.grad = _view(bucket.grad, start, parameter)
            self._members[parameter] = (bucket, start)
            start += _aligned(parameter.numel())
        return bucket


def _view(flat: torch.Tensor, start: int, parameter: nn.Parameter) -> torch.Tensor:
    return flat[start : start + parameter.numel()].view(parameter.shape)


def _aligned(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT
