"""Dense weights: stored as they are, or rounded to the nearest float16."""

import numpy as np
import pytest
from exported import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from exporters.encodings.dense import Dense
from lxcompress.errors import ModelError

HALF_MAX = 65504.0
WEIGHTS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=6),
    elements=st.floats(-HALF_MAX, HALF_MAX, width=32),
)
HALVES = arrays.arrays(
    np.float16,
    arrays.array_shapes(max_side=6),
    elements=st.floats(-HALF_MAX, HALF_MAX, width=16),
)


@settings(max_examples=100, deadline=None)
@given(WEIGHTS)
def test_float32_is_exact(weight: np.ndarray) -> None:
    stored = Dense().encode("w", weight)
    assert list(stored) == ["w"]
    assert same_bits(Dense().decode("w", stored.__getitem__), weight)


@settings(max_examples=100, deadline=None)
@given(WEIGHTS)
def test_float16_is_the_nearest(weight: np.ndarray) -> None:
    stored = Dense(np.float16).encode("w", weight)
    assert same_bits(Dense(np.float16).decode("w", stored.__getitem__), weight.astype(np.float16))


@settings(max_examples=50, deadline=None)
@given(HALVES)
def test_what_float16_holds_comes_back(weight: np.ndarray) -> None:
    stored = Dense(np.float16).encode("w", weight.astype(np.float32))
    assert same_bits(Dense(np.float16).decode("w", stored.__getitem__), weight)


@pytest.mark.parametrize("value", [65504.1, 65520.0, -1e30, np.inf, -np.inf, np.nan])
def test_values_that_float16_cannot_hold(value: float) -> None:
    weight = np.array([1, value, 0], np.float32)
    with pytest.raises(ModelError, match="^w has a weight of .*, too large for fp16$"):
        Dense(np.float16).encode("w", weight)
    assert same_bits(Dense().encode("w", weight)["w"], weight)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 4), (np.float16, 2)])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (1, 1), (2, 3, 4)])
def test_size(dtype: type[np.generic], size: int, shape: tuple[int, ...]) -> None:
    encoding = Dense(dtype)
    assert encoding.dtype.itemsize == size
    expected = size * int(np.prod(shape))
    assert encoding.nbytes(shape, remaining=0) == {"unpruned": expected}
    assert encoding.encode("w", np.ones(shape, np.float32))["w"].nbytes == expected
    assert encoding.kinds("w") == {"w": "unpruned"}
