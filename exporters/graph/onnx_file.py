"""Read and write ONNX files tensor by tensor, also those over protobuf's limit of 2 GiB.

`OnnxFile` leaves the weights on the disk until they are read: it walks over the file's protobuf
records (https://protobuf.dev/programming-guides/encoding/) and notes where the bytes of each large
initializer lie. Loading a file through `onnx.load` would hold them in memory twice.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, external_data_helper, numpy_helper
from onnx.helper import np_dtype_to_tensor_dtype, tensor_dtype_to_np_dtype

from lxcompress.errors import LxcompressError, ModelError
from lxcompress.system.files import atomic_path, check_regular, lies_beside, sha256
from lxcompress.system.text import first_line

# Protobuf rejects messages over 2 GiB; some room is left for the graph itself.
_SINGLE_FILE_LIMIT = 2**31 - 2**24
_LARGE = 1024  # bytes of an initializer that is not read with the graph
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # field numbers in onnx.proto
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # protobuf's wire types


@dataclass(frozen=True)
class _Span:
    path: Path
    offset: int
    length: int


class OnnxFile:
    """An ONNX file.

    model: everything but the bytes of the large initializers.
    tensors: the initializers by name, without these bytes.
    """

    def __init__(self, path: Path, *, graph_only: bool = False) -> None:
        """Read the graph.

        graph_only: do not look for external data; `array` must not be called.

        Raises:
            ModelError: the file is missing, truncated, damaged or not an ONNX model.
        """
        with wrap_parse_errors(path):
            self._open(path, graph_only)

    def _open(self, path: Path, graph_only: bool) -> None:
        self.path = path
        self._spans: dict[str, _Span] = {}
        check_regular(path, ModelError)
        try:
            with (
                open(path, "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                self.model = ModelProto.FromString(self._without_weights(data))
        except FileNotFoundError:
            raise ModelError(f"ONNX file not found: {path}") from None
        except IsADirectoryError:
            raise ModelError(f"ONNX file expected, but this is a folder: {path}") from None
        except (ValueError, DecodeError) as problem:
            raise ModelError(f"{path} is truncated or not an ONNX file ({problem})") from None
        if not self.model.graph.node:
            raise ModelError(f"{path} is not an ONNX file: it has no graph")
        self.tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        for tensor in self.model.graph.initializer:
            if external_data_helper.uses_external_data(tensor) and not graph_only:
                try:
                    self._spans[tensor.name] = self._external(tensor)
                except (ValueError, OSError) as problem:  # not a number, or not a file name
                    raise ModelError(f"{path} is damaged: {tensor.name} ({problem})") from None

    @property
    def metadata(self) -> dict[str, str]:
        """The `metadata_props` of the model, by key."""
        return {item.key: item.value for item in self.model.metadata_props}

    def array(self, name: str) -> np.ndarray:
        """Return an initializer, read from the disk if it is large; ModelError if damaged."""
        tensor = self.tensors[name]
        try:
            if name not in self._spans:
                return numpy_helper.to_array(tensor)
            span, dtype = self._spans[name], tensor_dtype_to_np_dtype(tensor.data_type)
            count = math.prod(tensor.dims)
            if span.length != count * dtype.itemsize:
                raise ValueError(f"{span.length} bytes for {list(tensor.dims)}")
            values = np.fromfile(span.path, dtype, count, offset=span.offset)
            return values.reshape(tuple(tensor.dims))
        except (ValueError, TypeError, KeyError) as problem:
            raise ModelError(f"{self.path} is damaged: {name} ({problem})") from None

    def stored_bytes(self) -> int:
        """Return the bytes of the file and of its external data."""
        beside = {span.path for span in self._spans.values()} - {self.path}
        return self.path.stat().st_size + sum(path.stat().st_size for path in beside)

    def _without_weights(self, data: mmap.mmap) -> bytes:
        parts = []
        for field, start, content, end in _fields(data, 0, len(data)):
            if field == _GRAPH:
                graph = self._graph(data, content, end)
                parts += [_key(_GRAPH), _varint(len(graph)), graph]
            else:
                parts.append(data[start:end])
        return b"".join(parts)

    def _graph(self, data: mmap.mmap, start: int, end: int) -> bytes:
        parts = []
        for field, first, content, last in _fields(data, start, end):
            if field == _INITIALIZER:
                tensor = self._tensor(data, content, last)
                parts += [_key(_INITIALIZER), _varint(len(tensor)), tensor]
            else:
                parts.append(data[first:last])
        return b"".join(parts)

    def _tensor(self, data: mmap.mmap, start: int, end: int) -> bytes:
        parts, span = [], None
        for field, first, content, last in _fields(data, start, end):
            if field == _RAW_DATA and last - content > _LARGE:
                span = _Span(self.path, content, last - content)
            else:
                parts.append(data[first:last])
        tensor = b"".join(parts)
        if span is not None:
            self._spans[TensorProto.FromString(tensor).name] = span
        return tensor

    def _external(self, tensor: TensorProto) -> _Span:
        """Locate external data. Only files in the folder of the model are ever read."""
        info = external_data_helper.ExternalDataInfo(tensor)
        path = self.path.parent.resolve() / info.location
        is_name = info.location == path.name != ".."
        if not is_name or not lies_beside(path, self.path) or path.resolve() == self.path.resolve():
            raise ModelError(
                f"{self.path} refers to {info.location!r}, outside its own folder; not read"
            )
        if not path.is_file():
            raise ModelError(f"{self.path} lacks its external data, {path}")
        size, offset = path.stat().st_size, info.offset or 0
        length = size - offset if info.length is None else info.length
        if offset < 0 or length < 0 or offset + length > size:
            raise ModelError(f"{path} is truncated: {tensor.name} ends after the file's end")
        return _Span(path, offset, length)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, start, start of the content, and end of each field of a message."""
    position = start
    while position < end:
        key, content = _read_varint(data, position, end)
        wire = key & 7
        if wire == _VARINT:
            _, last = _read_varint(data, content, end)
        elif wire == _BYTES:
            length, content = _read_varint(data, content, end)
            last = content + length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            last = content + (8 if wire == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
        if last > end:
            raise ValueError(f"the record at byte {position} ends after the file's end")
        yield key >> 3, position, content, last
        position = last


def _read_varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"no valid number at byte {position}")


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _key(field: int) -> bytes:
    return _varint(field << 3 | _BYTES)


@contextmanager
def wrap_parse_errors(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes code or libraries raise into a ModelError."""
    try:
        yield
    except (LxcompressError, OSError, MemoryError):
        raise
    except Exception as problem:
        first = first_line(problem)
        raise ModelError(f"{path} is damaged: {first}") from problem


def file_hashes(path: Path) -> str:
    """Return the SHA-256, in hex, of a file and, after a space, of its external data if any."""
    files = (path, data_file(path))
    return " ".join(sha256(file) for file in files if file.exists())


def data_file(path: Path) -> Path:
    """Return the external data of the model at `path`, which need not exist."""
    return path.with_name(path.name + "_data")


def write_model(model: ModelProto, path: Path, *, limit: int = _SINGLE_FILE_LIMIT) -> None:
    """Write an ONNX file, whole or not at all.

    If the weights exceed `limit` bytes, they are moved out of `model` into `data_file(path)`.
    """
    large = [tensor for tensor in model.graph.initializer if len(tensor.raw_data) > _LARGE]
    if sum(len(tensor.raw_data) for tensor in large) > limit:
        data = data_file(path)
        with atomic_path(data) as temporary, open(temporary, "wb") as file:
            for tensor in large:
                array = numpy_helper.to_array(tensor)
                tensor.CopyFrom(append_external(file, data, tensor.name, array))
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def append_external(file: BufferedWriter, path: Path, name: str, array: np.ndarray) -> TensorProto:
    """Append `array` to `file`, aligned to pages, and return the initializer that refers to it.

    path: the final path of the data file, in the folder of the model.
    """
    offset = -(-file.tell() // mmap.PAGESIZE) * mmap.PAGESIZE
    file.seek(offset)
    # `array.tofile(file)` would not raise when the disk is full.
    file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    kind = np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=array.shape, raw_data=b"\0")
    external_data_helper.set_external_data(tensor, path.name, offset, array.nbytes)
    tensor.ClearField("raw_data")
    return tensor
