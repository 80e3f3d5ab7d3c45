"""The dense encoding: every element in row-major order, as float32 or float16."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Self

import numpy as np
from onnx import ModelProto
from onnx.helper import tensor_dtype_to_np_dtype

from exporters.encodings.base import SHARED, Encoding, Kind, Read, Weight
from exporters.graph.half_precision import HALF_MAX
from exporters.graph.interface import CONSTANT
from exporters.variants import Variant
from lxcompress.errors import ModelError


class Dense(Encoding):
    """One tensor under the weight's own name."""

    NAME = "dense"

    def __init__(self, dtype: np.dtype | type[np.generic] = np.float32) -> None:
        self._dtype = np.dtype(dtype)

    @classmethod
    def choose(cls, weight: Weight, variant: Variant, inner: Encoding) -> Encoding:
        """Return float16 for the weights of an fp16 variant, otherwise the default, float32."""
        return cls(np.float16) if variant.precision == "fp16" else inner

    @classmethod
    def find(cls, model: ModelProto, found: MutableMapping[str, Encoding]) -> None:
        """Find all initializers, except the constants of the graph and of decoders."""
        for tensor in model.graph.initializer:
            if not tensor.name.startswith((CONSTANT, SHARED)):
                found[tensor.name] = cls(tensor_dtype_to_np_dtype(tensor.data_type))

    @property
    def dtype(self) -> np.dtype:
        return self._dtype

    def encode(
        self, name: str, weight: np.ndarray, keep: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Store the weight itself.

        Raises:
            ModelError: an element is outside the range of float16.
        """
        if self._dtype == np.float16:
            largest = float(np.abs(weight).max())
            if not largest <= HALF_MAX:  # in this form, NaN does not pass
                raise ModelError(f"{name} has a weight of {largest:g}, too large for fp16")
        return {name: weight.astype(self._dtype, copy=False)}

    def kinds(self, name: str) -> dict[str, Kind]:
        return {name: "unpruned"}

    def decode(self, name: str, read: Read) -> np.ndarray:
        return read(name)

    def nbytes(self, shape: tuple[int, ...], remaining: int) -> dict[Kind, int]:
        return {"unpruned": math.prod(shape) * self._dtype.itemsize}

    @classmethod
    def add_to(cls, model: ModelProto, layers: Mapping[str, Self]) -> None:
        """Do nothing: the graph reads dense weights as they are."""

    @classmethod
    def remove_from(cls, model: ModelProto) -> None:
        """Do nothing, as `add_to`."""
