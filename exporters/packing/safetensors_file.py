"""The safetensors container, written tensor by tensor under a header of our choice.

It is the length of the header (8 bytes, little-endian), the header as JSON, and the tensors without
gaps (https://huggingface.co/docs/safetensors). Reading is the library's; it writes only what is in
memory all at once, and under no header but its own.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from lxcompress.errors import ModelError
from lxcompress.system.progress import progress

_UNSIGNED = {1: torch.uint8, 2: torch.uint16, 4: torch.uint32, 8: torch.uint64}


class StoredTensor(NamedTuple):
    """A tensor of a safetensors file: `size` in bytes, `read` gives its elements."""

    dtype: str
    shape: list[int]
    size: int
    read: Callable[[], np.ndarray]

    @property
    def element_size(self) -> int:
        return self.size // max(1, math.prod(self.shape))


def write(path: Path, header: str, tensors: Collection[StoredTensor], doing: str) -> str:
    """Write a safetensors file, tensor by tensor; gives its SHA-256."""
    text, digest = header.encode(), hashlib.sha256()
    with path.open("wb") as file, progress(doing, len(tensors), "tensors") as meter:

        def put(data: bytes | memoryview) -> None:
            file.write(data)
            digest.update(data)

        put(len(text).to_bytes(8, "little"))
        put(text)
        for tensor in tensors:
            put(tensor.read().reshape(-1).data)
            meter.advance()
    return digest.hexdigest()


def make_header(
    metadata: dict[str, str], tensors: Mapping[str, StoredTensor], order: list[str]
) -> str:
    """The header of a safetensors file, padded with spaces to a multiple of 8 bytes."""
    content: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in order:
        dtype, shape, size, _ = tensors[name]
        begin, end = end, end + size
        content[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(content, separators=(",", ":"))  # in ASCII: a character is a byte
    return text + " " * (-len(text) % 8)


def read_header(path: Path) -> str:
    """The header, which the library keeps to itself, of a file that it has found in order."""
    with path.open("rb") as file:
        return file.read(int.from_bytes(file.read(8), "little")).decode()


def tensors_of(header: str, file: Any, suffix: str = "") -> dict[str, StoredTensor]:
    """The tensors of a header in the order of their data; `file` has them as name + `suffix`."""
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        if not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError(f"{name} has the shape {shape}")
        read = partial(elements, file, name + suffix)
        tensors[name] = StoredTensor(entry["dtype"], shape, end - begin, read)
    return tensors


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """The open safetensors file; its tensors are PyTorch's, for numpy has no bfloat16."""
    try:
        opened = safe_open(path, framework="pt")
    except OSError as problem:  # apart from what the block may raise, such as a full disk
        raise ModelError(f"{path} cannot be read ({problem})") from None
    except SafetensorError as problem:
        raise ModelError(f"{path} is damaged ({problem}); get or make it again") from None
    with opened as file:
        yield file


def elements(file: Any, name: str) -> np.ndarray:
    """A tensor to the bit, as unsigned integers: neither -0.0 nor NaN is a special case."""
    tensor = file.get_tensor(name)
    return tensor.view(_UNSIGNED[tensor.element_size()]).numpy()
