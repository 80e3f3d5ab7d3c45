"""BertAdam and its schedule against LXMERT's formulas, written out number by number."""

import math

import numpy as np
import pytest
import torch

from lxcompress.training.optimizer import BertAdam, linear_warmup


class Scalar:
    """One weight under BertAdam, as src/lxrt/optimization.py updates it."""

    def __init__(self, weight: float) -> None:
        self.weight, self.m, self.v = weight, 0.0, 0.0

    def step(self, gradient: float, lr: float, decay: float) -> None:
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient * gradient
        update = self.m / (math.sqrt(self.v) + 1e-6)
        if decay > 0.0:
            update += decay * self.weight
        self.weight -= lr * update


@pytest.mark.parametrize("decay", [0.01, 0.0])
def test_equals_the_formula(decay: float) -> None:
    random = np.random.default_rng(0)
    start = [random.standard_normal((3, 2)), random.standard_normal(4)]
    parameters = [torch.nn.Parameter(torch.tensor(values)) for values in start]  # float64
    scalars = [Scalar(weight) for values in start for weight in values.flat]
    optimizer = BertAdam(parameters, 0.1, weight_decay=decay)
    for step in range(7):
        lr = 0.1 / (step + 1)
        gradients = [random.standard_normal(values.shape) * 10.0**-step for values in start]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        flat = [float(value) for gradient in gradients for value in gradient.flat]
        for scalar, value in zip(scalars, flat, strict=True):
            scalar.step(value, lr, decay)
        found = torch.cat([parameter.detach().flatten() for parameter in parameters])
        expected = torch.tensor([scalar.weight for scalar in scalars], dtype=torch.float64)
        torch.testing.assert_close(found, expected, atol=0, rtol=1e-12)
    moments = [optimizer.state[parameter] for parameter in parameters]
    m = torch.cat([moment["exp_avg"].flatten() for moment in moments])
    v = torch.cat([moment["exp_avg_sq"].flatten() for moment in moments])
    torch.testing.assert_close(m, torch.tensor([s.m for s in scalars], dtype=m.dtype))
    torch.testing.assert_close(v, torch.tensor([s.v for s in scalars], dtype=v.dtype))


def test_first_step_has_no_bias_correction() -> None:
    # Adam would move by lr; without correction it is lr * 0.1 / sqrt(0.001).
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    parameter.grad = torch.full((1,), 5.0, dtype=torch.float64)
    BertAdam([parameter], 0.01).step()
    assert parameter.item() == pytest.approx(-0.01 * 0.1 / math.sqrt(0.001), rel=1e-5)


def test_decay_reaches_every_parameter_and_zero_gradient_weights() -> None:
    bias = torch.nn.Parameter(torch.ones(3))
    bias.grad = torch.zeros(3)
    BertAdam([bias], 0.5).step()
    torch.testing.assert_close(bias.detach(), torch.full((3,), 1 - 0.5 * 0.01))


def test_parameters_without_gradient_stay() -> None:
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    parameters[0].grad = torch.ones(2)
    optimizer = BertAdam(parameters, 0.1)
    optimizer.step()
    assert torch.equal(parameters[1].detach(), torch.ones(2))
    assert not optimizer.state[parameters[1]]["exp_avg"].any()
    optimizer.zero_grad()
    before = parameters[0].detach().clone()
    optimizer.step()
    assert torch.equal(parameters[0].detach(), before)


@pytest.mark.parametrize(("total", "warmup"), [(100, 0.1), (37, 0.1), (1000, 0.25)])
def test_schedule_is_lxmerts(total: int, warmup: float) -> None:
    for step in range(total + 1):
        x = step / total
        expected = x / warmup if x < warmup else max((x - 1.0) / (warmup - 1.0), 0)
        assert linear_warmup(step, total, warmup) == pytest.approx(expected, abs=1e-15)
    assert linear_warmup(0, total, warmup) == 0
    assert linear_warmup(total, total, warmup) == 0
    assert linear_warmup(total + 1, total, warmup) == 0


def test_schedule_peaks_at_the_end_of_the_warm_up() -> None:
    assert [linear_warmup(step, 100) for step in (5, 10, 55)] == pytest.approx([0.5, 1, 0.5])
