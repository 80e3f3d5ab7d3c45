"""N:M masks against counting and sorting each group."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.choices import Pattern, Subnetwork, n_of_m
from lxcompress.errors import ConfigError
from lxcompress.pruning.n_of_m import find_n_of_m, n_of_m_mask


@settings(deadline=None)
@given(
    m=st.integers(2, 8),
    rows=st.integers(1, 5),
    groups=st.integers(1, 5),
    subnetwork=st.sampled_from(list(Subnetwork)),
    data=st.data(),
)
def test_every_group_has_exactly_n(
    m: int, rows: int, groups: int, subnetwork: Subnetwork, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, m - 1))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    weight = torch.randn(rows, groups * m, generator=generator)
    mask = n_of_m_mask({"a": weight}, n, m, subnetwork=subnetwork, seed=3)
    kept = mask["a"].numpy().reshape(rows, groups, m)
    assert (kept.sum(axis=2) == n).all()
    magnitudes = weight.abs().numpy().reshape(rows, groups, m)
    for row, group in np.ndindex(rows, groups):
        inside, outside = (magnitudes[row, group][kept[row, group] == side] for side in (1, 0))
        if subnetwork == Subnetwork.LOW:
            assert inside.min() >= outside.max()
        elif subnetwork == Subnetwork.HIGH:
            assert inside.max() <= outside.min()


def test_a_random_mask_depends_on_the_seed() -> None:
    weights = {"a": torch.ones(8, 64), "b": torch.ones(8, 64)}
    masks = [n_of_m_mask(weights, 2, 4, subnetwork="random", seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(masks[0]["a"], masks[1]["a"])
    assert not torch.equal(masks[0]["a"], masks[2]["a"])
    assert not torch.equal(masks[0]["a"], masks[0]["b"])


def test_rows_that_cannot_be_divided_are_named() -> None:
    with pytest.raises(ConfigError, match=r"rows of b have 6 weights.*groups of 4"):
        n_of_m_mask({"a": torch.ones(2, 8), "b": torch.ones(2, 6)}, 2, 4)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("2:4", (2, 4)),
        ("1:16", (1, 16)),
        ("4:4", None),
        ("0:4", None),
        ("5:4", None),
        ("2:4 ", None),
    ],
)
def test_patterns_are_parsed(pattern: str, expected: tuple[int, int] | None) -> None:
    assert n_of_m(pattern) == expected
    if expected:
        assert Pattern.of(pattern) == Pattern.N_OF_M
    else:
        with pytest.raises(ConfigError, match="choose unstructured, structured or N:M"):
            Pattern.of(pattern)


@settings(deadline=None)
@given(m=st.integers(2, 8), groups=st.integers(3, 6), data=st.data())
def test_the_smallest_pattern_is_found(m: int, groups: int, data: st.DataObject) -> None:
    """Any smaller one would have to fit random masks by chance."""
    n = data.draw(st.integers(1, m - 1))
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(16, groups * m, generator=generator) for name in "ab"}
    mask = n_of_m_mask(weights, n, m)
    assert find_n_of_m(dict(mask.items())) == f"{n}:{m}"


def test_no_pattern_is_found() -> None:
    keep = n_of_m_mask({"a": torch.arange(1.0, 65).view(4, 16)}, 2, 4)["a"]
    for masks in (
        {"a": torch.ones(4, 16) > 0},
        {"a": torch.zeros(4, 16) > 0},
        {"a": keep, "b": torch.ones(4, 16) > 0},
        {"a": keep, "b": torch.rand(4, 15) < 0.5},
        {},
    ):
        assert find_n_of_m(masks) is None
    assert find_n_of_m({"a": keep}) == "2:4"
    keep[1, 0], keep[2, 2] = True, False
    assert find_n_of_m({"a": keep}) is None
