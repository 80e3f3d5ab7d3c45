"""Safetensors files written tensor by tensor, with a given header.

A file is the length of the header (8 bytes, little-endian), the header as JSON, and the tensors
without gaps (https://huggingface.co/docs/safetensors). The library reads them; for writing, it
needs all tensors in memory and makes its own header.
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
from lxcompress.system.files import check_regular
from lxcompress.system.progress import progress

_UNSIGNED = {1: torch.uint8, 2: torch.uint16, 4: torch.uint32, 8: torch.uint64}


class StoredTensor(NamedTuple):
    """A tensor of a safetensors file: `size` in bytes, `read` returns its elements."""

    dtype: str
    shape: list[int]
    size: int
    read: Callable[[], np.ndarray]

    @property
    def element_size(self) -> int:
        """Bytes of an element."""
        return self.size // max(1, math.prod(self.shape))


def write(path: Path, header: str, tensors: Collection[StoredTensor], description: str) -> str:
    """Write a safetensors file tensor by tensor, and return its SHA-256 in hex."""
    text, digest = header.encode(), hashlib.sha256()
    with path.open("wb") as file, progress(description, len(tensors), "tensors") as meter:

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
    """Return a safetensors header for `tensors` in `order`, padded to a multiple of 8 bytes."""
    content: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in order:
        dtype, shape, size, _ = tensors[name]
        begin, end = end, end + size
        content[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(content, separators=(",", ":"))  # ASCII, so a character is a byte
    return text + " " * (-len(text) % 8)


def read_header(path: Path) -> str:
    """Return the raw header, which the library does not give, of a file that it has validated."""
    with path.open("rb") as file:
        return file.read(int.from_bytes(file.read(8), "little")).decode()


def list_tensors(header: str, file: Any, suffix: str = "") -> dict[str, StoredTensor]:
    """Return the tensors of a header, by name, in the order of their data.

    file: an open safetensors file in which each is called name + `suffix`.

    Raises:
        ValueError: a shape is invalid.
    """
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        if not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError(f"{name} has the shape {shape}")
        read = partial(read_elements, file, name + suffix)
        tensors[name] = StoredTensor(entry["dtype"], shape, end - begin, read)
    return tensors


@contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """Yield the open file. Its tensors are PyTorch's, because numpy has no bfloat16.

    Raises:
        ModelError: the file cannot be read or is damaged.
    """
    check_regular(path, ModelError)
    try:
        opened = safe_open(path, framework="pt")
    except OSError as problem:  # only of opening; the block may raise others, as for a full disk
        raise ModelError(f"{path} cannot be read ({problem})") from None
    except SafetensorError as problem:
        raise ModelError(f"{path} is damaged ({problem}); download or write it again") from None
    with opened as file:
        yield file


def read_elements(file: Any, name: str) -> np.ndarray:
    """Return the bits of a tensor as unsigned integers, so that -0.0 and NaN are exact."""
    tensor = file.get_tensor(name)
    return tensor.view(_UNSIGNED[tensor.element_size()]).numpy()
