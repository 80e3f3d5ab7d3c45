"""The interface of encodings: how a weight is stored in a file, and how the graph reads it.

Encodings are composed from the inside out. A pruned weight of a sparse int8 file has the encoding
`Bitmask(Int8(…))`: quantized first, then stored as bits and the remaining int8 values.

Export:

    encode_model.encode_model
    ├── registry.choose_encodings       the encoding of each weight
    │   └── Encoding.choose               of each class in turn, around the previous one or not
    ├── Encoding.encode                 a weight → the stored arrays
    └── Encoding.add_to                 nodes and functions that read the stored arrays

Load:

    decode_model.EncodedWeights
    ├── registry.find_encodings         the encoding of each weight of a file
    │   └── Encoding.find                 of each class in turn, from the nodes of the graph
    ├── Encoding.unpack, .decode        the stored arrays → a weight
    └── Encoding.remove_from            the graph without these nodes and functions

Sizes:

    size_formula.expected_bytes
    └── Encoding.nbytes                 from the shape and the number of remaining weights

A new encoding is one new file with a subclass of `Encoding`, listed in `registry.ENCODINGS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from onnx import ModelProto

from exporters.variants import Variant

DOMAIN = "lxcompress"  # of the local functions
DOMAIN_VERSION = 1
SHARED = "lxcompress."  # prefix of tensor names that the decoders of several weights share

Kind = Literal["mask", "values", "unpruned", "scales"]
"""What a stored tensor holds, in reports of sizes."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Read = Callable[[str], np.ndarray]
"""Returns a stored tensor by its name."""


@dataclass(frozen=True)
class Weight:
    """What the choice of an encoding may depend on.

    shape: in the graph, where the matrices of linear layers are `[in, out]`.
    role: "matrix" of a linear layer, "table" of an embedding, "vector" (biases, LayerNorm).
    remaining: number of elements that the ticket's mask leaves; None if it does not cover the
        weight.
    """

    shape: tuple[int, ...]
    role: Literal["matrix", "table", "vector"]
    remaining: int | None


class Encoding(ABC):
    """How one weight is stored. Instances hold the parameters that differ between weights."""

    NAME: ClassVar[str]

    SPARSE: ClassVar[bool] = False
    """Whether pruned elements are left out."""

    DECODED_AT_LOAD: ClassVar[bool] = False
    """Whether the graph decodes the weight before it computes, instead of computing with the
    stored values."""

    OPERATORS: ClassVar[frozenset[str]] = frozenset()
    """Operators that only decoding uses. ONNX Runtime must fold them when it loads a file."""

    @classmethod
    @abstractmethod
    def choose(cls, weight: Weight, variant: Variant, inner: Encoding) -> Encoding:
        """Return the encoding of `weight` in a file of `variant`: `inner`, or one that uses it."""

    @classmethod
    @abstractmethod
    def find(cls, model: ModelProto, found: MutableMapping[str, Encoding]) -> None:
        """Add the weights of `model` that have this encoding to `found`, or replace them there.

        found: by weight, what the classes before this one in the registry found.
        """

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """The dtype of the stored values."""

    @property
    def dense(self) -> Encoding:
        """The encoding that remains after decoding at load."""
        return self

    def layer(self, encoding_type: type[Encoding]) -> Encoding | None:
        """Return the layer of this composition that has the given type, if there is one."""
        return self if isinstance(self, encoding_type) else None

    @abstractmethod
    def encode(
        self, name: str, weight: np.ndarray, keep: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return the arrays to store for a float32 weight, by tensor name, in file order.

        keep: bool, of the weight's shape, True for the remaining weights; None if not pruned.

        Raises:
            ModelError: the encoding cannot represent the weight.
        """

    @abstractmethod
    def kinds(self, name: str) -> dict[str, Kind]:
        """Return the names of the tensors that are stored for a weight, with what each holds."""

    def unpack(self, name: str, read: Read) -> dict[str, np.ndarray]:
        """Return the arrays that `dense` would store for this weight.

        Raises:
            ValueError: the stored tensors do not fit each other.
        """
        return {tensor: read(tensor) for tensor in self.kinds(name)}

    @abstractmethod
    def decode(self, name: str, read: Read) -> np.ndarray:
        """Return the weight's values, float32 or float16.

        Raises:
            ValueError: the stored tensors do not fit each other.
        """

    def read_mask(self, name: str, read: Read) -> np.ndarray | None:
        """Return the mask of a weight, bool of its shape; None if the encoding is not sparse.

        Raises:
            ValueError: the stored mask is damaged.
        """
        return None

    @abstractmethod
    def nbytes(self, shape: tuple[int, ...], remaining: int) -> dict[Kind, int]:
        """Return the expected bytes of a weight of `shape` with `remaining` unpruned elements."""

    @classmethod
    @abstractmethod
    def add_to(cls, model: ModelProto, layers: Mapping[str, Self]) -> None:
        """Make the graph read the stored tensors of the weights in `layers`, in place."""

    @classmethod
    @abstractmethod
    def remove_from(cls, model: ModelProto) -> None:
        """Undo `add_to`, in place, except for initializers."""


def replace_all(field: Any, items: Iterable[Any]) -> None:
    """Replace the content of a repeated field of a protobuf message."""
    content = list(items)
    del field[:]
    field.extend(content)
