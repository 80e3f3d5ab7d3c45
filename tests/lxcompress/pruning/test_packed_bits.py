"""One bit a weight, against arithmetic on Python's integers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lxcompress.pruning.packed_bits import pack, unpack

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)


@settings(max_examples=100, deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays.arrays(bool, shape)))
def test_there_and_back(keep: np.ndarray) -> None:
    packed = pack(keep)
    # All bytes together are one number, whose binary digits from the right are the elements.
    number = sum(int(bit) << place for place, bit in enumerate(keep.flatten()))
    assert packed.dtype == np.uint8
    assert packed.tobytes() == number.to_bytes(math.ceil(keep.size / 8), "little")
    found = unpack(packed, keep.shape)
    assert found.dtype == np.bool_ and found.shape == keep.shape
    assert np.array_equal(found, keep)


def test_row_major_whatever_the_memory_says() -> None:
    keep = np.random.default_rng(0).random((5, 7)) < 0.5
    for same in (keep.copy("F"), np.repeat(keep, 2, axis=1)[:, ::2]):
        assert np.array_equal(pack(same), pack(keep))
    assert np.array_equal(unpack(pack(keep.T), (7, 5)), keep.T)


@settings(max_examples=100, deadline=None)
@given(bits=arrays.arrays(np.uint8, st.integers(0, 5)), size=st.integers(0, 40))
def test_bits_that_do_not_fit_are_refused(bits: np.ndarray, size: int) -> None:
    number = int.from_bytes(bits.tobytes(), "little")
    if len(bits) != math.ceil(size / 8):
        with pytest.raises(ValueError, match="do not hold"):
            unpack(bits, (size,))
    elif number >> size:
        with pytest.raises(ValueError, match="spare bits are set"):
            unpack(bits, (size,))
    else:
        assert unpack(bits, (size,)).tolist() == [bool(number >> i & 1) for i in range(size)]


@pytest.mark.parametrize("bits", [np.zeros(2, np.int8), np.zeros((1, 2), np.uint8), np.zeros(2)])
def test_other_arrays_are_refused(bits: np.ndarray) -> None:
    with pytest.raises(ValueError, match="do not hold"):
        unpack(bits, (4, 4))


def test_a_negative_side_is_refused() -> None:
    with pytest.raises(ValueError, match="do not hold"):
        unpack(np.zeros(0, np.uint8), (-1,))
