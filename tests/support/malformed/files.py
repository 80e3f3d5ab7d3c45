"""Mutations of files: of their bytes, of what lies at their path, and by their format."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from malformed.values import mutate, mutate_json, mutate_yaml

Mutation = Callable[[Path, random.Random], str]
"""Changes what lies at a path; returns what was changed."""


def _bytes(path: Path, rng: random.Random) -> str:
    content = bytearray(path.read_bytes())
    size = max(len(content), 1)
    kind = rng.choice(("empty", "cut", "cut", "flip", "zeros", "append", "noise", "gzip", "utf-16"))
    if kind == "empty":
        content.clear()
    elif kind == "cut":
        del content[rng.randrange(size) :]
    elif kind == "flip":
        for _ in range(rng.choice((1, 8, 64))):
            if content:
                content[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == "zeros":
        start = rng.randrange(size)
        content[start : start + 64] = bytes(min(64, size - start))
    elif kind == "append":
        content += rng.randbytes(32)
    elif kind == "noise":
        content[:] = rng.randbytes(min(size, 4096))
    elif kind == "gzip":
        content[:] = gzip.compress(bytes(content))
    else:
        content[:] = content[:10_000].decode("latin-1").encode("utf-16")
    path.write_bytes(content)
    return kind


def _place(path: Path, rng: random.Random) -> str:
    """Something else than a file where the file belongs."""
    kinds = ("missing", "folder", "loop", "dangling", "fifo", "socket", "null device", "zip bomb")
    kind = rng.choice(kinds)
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's path has at most 108 bytes
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(before)
    elif kind == "null device":
        path.symlink_to("/dev/null")
    elif kind == "zip bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x", bytes(20_000_000))
    return kind


def _json(path: Path, rng: random.Random) -> str:
    what, text = mutate_json(path.read_text(encoding="utf-8"), rng)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return what


def _yaml(path: Path, rng: random.Random) -> str:
    what, text = mutate_yaml(path.read_text(encoding="utf-8"), rng)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return what


def _safetensors(path: Path, rng: random.Random) -> str:
    """Change the header, or write the tensors again with others."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    kind = rng.choice(("header", "header", "length", "numbers", "dtype", "shape", "drop", "rename"))
    if kind == "length":
        size = rng.choice((0, 1, length - 1, length + 1, 2**40, 2**64 - 1))
        path.write_bytes(struct.pack("<Q", size) + content[8:])
        return f"header of {size} bytes"
    if kind == "header":
        what, changed = mutate(header, rng)
        text = json.dumps(changed).encode("utf-8", "surrogatepass")
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
        return f"header: {what}"
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    name = rng.choice(sorted(tensors))
    array = tensors[name]
    what = kind
    if kind == "numbers":
        value = rng.choice((np.nan, np.inf, -np.inf, 1e30, -1))
        tensors[name] = array.copy()
        with np.errstate(all="ignore"):
            tensors[name].reshape(-1)[:1] = np.asarray(value).astype(array.dtype)
        what = f"a {value}"
    elif kind == "dtype":
        dtype = rng.choice((np.float64, np.float16, np.int64, np.uint8, np.bool_))
        with np.errstate(all="ignore"):
            tensors[name] = array.astype(dtype)
        what = f"as {np.dtype(dtype)}"
    elif kind == "shape":
        shape = rng.choice(((-1,), (1, -1), (-1, 1)))
        tensors[name] = rng.choice((array.reshape(shape), array[:0], np.repeat(array, 2, axis=0)))
        what = f"shape {tensors[name].shape}"
    elif kind == "rename":
        tensors[f"{name}.x"] = tensors.pop(name)
    else:
        del tensors[name]
    metadata = header.get("__metadata__")
    save_file(tensors, path, metadata=metadata)
    return f"{name}: {what}"


def _onnx(path: Path, rng: random.Random) -> str:
    import onnx

    model: Any = onnx.load(path, load_external_data=False)
    graph = model.graph
    node, initializer = rng.choice(graph.node), rng.choice(graph.initializer)
    metadata = rng.choice(model.metadata_props)
    kind = rng.choice(
        ("no initializer", "dims", "raw data", "type", "foreign operator", "no node", "cycle")
        + (
            "no metadata",
            "metadata",
            "metadata JSON",
            "opset",
            "external",
            "input",
            "output",
            "nan",
        )
    )
    what = f"{kind} {initializer.name}"
    if kind == "no initializer":
        graph.initializer.remove(initializer)
    elif kind == "dims":
        initializer.dims.append(rng.choice((2, 0, -1, 2**40)))
    elif kind == "raw data":
        initializer.raw_data = initializer.raw_data[:-1]
    elif kind == "type":
        initializer.data_type = rng.choice((0, 1, 2, 7, 10, 99))
    elif kind == "nan":
        size = len(initializer.raw_data)
        initializer.raw_data = (b"\xff" * size)[:size]
    elif kind == "external":
        initializer.ClearField("raw_data")
        entry = initializer.external_data.add(key="location", value="../../../etc/passwd")
        assert entry.key
        initializer.data_location = 1
    elif kind == "foreign operator":
        node.domain, node.op_type = rng.choice((("evil", "Run"), ("", "NoSuchOperator")))
    elif kind == "no node":
        graph.node.remove(node)
    elif kind == "cycle":
        node.input[:] = [node.output[0]] * max(len(node.input), 1)
    elif kind == "no metadata":
        model.metadata_props.remove(metadata)
        what = f"{kind} {metadata.key}"
    elif kind == "metadata":
        metadata.value = str(rng.choice(("", "x", "nan", "-1", "9" * 5000, "[" * 100_000, "null")))
        what = f"{kind} {metadata.key} = {metadata.value:.20}"
    elif kind == "metadata JSON":
        changed, metadata.value = _mutated_metadata(metadata.value, rng)
        what = f"{kind} {metadata.key}: {changed}"
    elif kind == "opset":
        model.opset_import[0].version = rng.choice((0, 1, 99, 2**31))
    elif kind == "input":
        del graph.input[rng.randrange(len(graph.input))]
    else:
        del graph.output[:]
    path.write_bytes(model.SerializeToString())
    return what


def _mutated_metadata(text: str, rng: random.Random) -> tuple[str, str]:
    changed, mutated = mutate_json(text, rng)
    return changed, mutated.encode("utf-8", "replace").decode()


def _picture(path: Path, rng: random.Random) -> str:
    from PIL import Image

    kind = rng.choice(("html", "cut", "bomb", "one pixel", "flat", "other format", "size"))
    content = path.read_bytes()
    if kind == "html":
        path.write_text("<html>not found</html>")
    elif kind == "cut":
        path.write_bytes(content[: rng.randrange(8, len(content))])
    elif kind == "bomb":
        Image.new("1", (20_000, 20_000)).save(path)
    elif kind == "one pixel":
        Image.new("RGB", (1, 1)).save(path)
    elif kind == "flat":
        Image.new("L", (10_000, 1)).save(path)
    elif kind == "other format":
        buffer = io.BytesIO()
        Image.open(path).convert("RGB").save(buffer, rng.choice(("GIF", "BMP", "TIFF", "PDF")))
        path.write_bytes(buffer.getvalue())
    else:
        path.write_bytes(content[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + content[24:])
    return kind


def _tsv(path: Path, rng: random.Random) -> str:
    lines = path.read_bytes().split(b"\n")
    line = rng.randrange(max(len(lines) - 1, 1))
    cells = lines[line].split(b"\t")
    cell = rng.randrange(len(cells))
    kind = rng.choice(
        (b"", b"-1", b"nan", b"x" * 200_000, b"\xff\xfe", b"9" * 5000, b"AAAA", b"\0")
    )
    cells[cell] = kind
    if rng.random() < 0.3:
        del cells[cell]
    lines[line] = b"\t".join(cells)
    path.write_bytes(b"\n".join(lines))
    return f"line {line}, column {cell}: {kind[:20]!r}"


def _copied_name(path: Path, rng: random.Random) -> str:
    """A second file beside it, with a name that few expect."""
    names = (b"\xff\xfe" + path.suffix.encode(), b"a\nb.json", b"x" * 250, b" ", b"._" + b"x.png")
    name = os.fsdecode(rng.choice(names))
    shutil.copy(path, path.parent / name)
    return f"beside {name!r:.20}"


_OF_SUFFIX: dict[str, Mutation] = {
    ".json": _json,
    ".jsonl": _bytes,
    ".yaml": _yaml,
    ".safetensors": _safetensors,
    ".onnx": _onnx,
    ".png": _picture,
    ".tsv": _tsv,
}


def mutate_file(path: Path, rng: random.Random) -> str:
    """Change one file, half of the time by its format; return what was changed."""
    special = _OF_SUFFIX.get(path.suffix, _bytes)
    mutation = rng.choice((special, special, special, _bytes, _place, _copied_name))
    return mutation(path, rng)
