"""Packed tickets: a model folder without its zeros, restored to the byte.

A packed folder has the files of the ticket's Hugging Face folder unchanged, but for
model.safetensors and mask.safetensors. One safetensors file, model.bitmask.safetensors, stands
for both (version 1):

    NAME.mask    for each pruned tensor NAME: uint8 [ceil(n / 8)], its bits in mask.safetensors
    NAME.values  for each pruned tensor NAME: the elements that stay, row-major, in its own dtype
    NAME         every other tensor of model.safetensors as it is

The bits are those of `exporters.encodings.bitmask`. Tensors lie in the order of the size of
their elements, the largest first, then of their names. The metadata gives, all as text:

    format, version, bit_order    "lxcompress-bitmask", "1", "little"
    shapes                        JSON: pruned tensor to its shape
    model_sha256, mask_sha256     hex, of the two files that it stands for
    model_header, mask_header     the JSON headers of the two files, padding included

Header and tensors make a file again (`exporters.packing.safetensors_file`), and its SHA-256
proves it: against damage, not against a forger, whose hash would fit.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from exporters.encodings.bitmask import MASK_SUFFIX, VALUES_SUFFIX, compress, decompress
from exporters.packing.safetensors_file import (
    StoredTensor,
    elements,
    make_header,
    read_header,
    reading,
    tensors_of,
    write,
)
from lxcompress.errors import ModelError
from lxcompress.model.lxmert import read_config
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.run import Run
from lxcompress.system.files import atomic_path, lies_beside, sha256

MODEL, MASK, PACKED = "model.safetensors", "mask.safetensors", "model.bitmask.safetensors"

_METADATA = {"format": "lxcompress-bitmask", "version": "1", "bit_order": "little"}


def pack(model: Path, packed: Path) -> dict[str, int]:
    """Write the ticket in folder `model` to the new folder `packed`, whole or not at all.

    Before the folder gets its name, both files are restored from it once, to nowhere, and their
    SHA-256 compared. Memory: one byte for each prunable weight, and one tensor. Gives bytes:
    "dense" of model.safetensors and mask.safetensors, "packed" of the file that stands for them.

    Raises ModelError when `model` is no ticket of LXMERT, is damaged, has pruned weights that are
    not +0, or holds more than plain files; and when `packed` exists or lies in `model`.
    """
    run = Run(model)
    if run.theta0.exists():
        raise ModelError(f"{model} is a run directory; give its ticket, {run.ticket}")
    kind, needed = "a ticket, such as the ticket/ of a run", (MASK, MODEL, "config.json")
    with _copy(model, packed, kind, needed, absent=(PACKED,)) as folder:
        mask = Mask.load(model / MASK, _prunable_of(model))
        _write_packed(model / MODEL, model / MASK, mask, folder / PACKED)
        _restore(folder / PACKED, Path(os.devnull), Path(os.devnull), "Checking")
    return _sizes(model, packed)


def unpack(packed: Path, model: Path) -> dict[str, int]:
    """Write the ticket of the packed folder to the new folder `model`, whole or not at all.

    Memory: one tensor. Gives bytes as `pack` does. Raises ModelError when `packed` is something
    else, is damaged, holds more than plain files, or does not give the SHA-256 of the originals;
    and when `model` exists or lies in `packed`.
    """
    kind = "a folder that `lxcompress pack` made"
    with _copy(packed, model, kind, needed=(PACKED,), absent=(MODEL, MASK)) as folder:
        _restore(packed / PACKED, folder / MODEL, folder / MASK, "Unpacking")
    return _sizes(model, packed)


def _write_packed(weights: Path, mask_file: Path, mask: Mask, packed: Path) -> None:
    """Write the file that stands for both; ModelError when they do not belong together."""
    with reading(weights) as file, reading(mask_file) as bits:
        header, mask_header = read_header(weights), read_header(mask_file)
        tensors = tensors_of(header, file)
        stored = dict(tensors)
        for name, keep in mask.items():
            if name not in tensors or tensors[name].shape != list(keep.shape):
                raise ModelError(
                    f"{weights} has no {name} of {list(keep.shape)}, which {mask_file} prunes; "
                    "give a folder whose files belong together"
                )
            tensor, kept = stored.pop(name), int(keep.count_nonzero())
            values = partial(_kept, tensor, keep.numpy(), f"{name} in {weights}")
            size = kept * tensor.element_size
            stored[name + VALUES_SUFFIX] = StoredTensor(tensor.dtype, [kept], size, values)
        masks = tensors_of(mask_header, bits)
        stored |= {name + MASK_SUFFIX: tensor for name, tensor in masks.items()}
        if len(stored) != len(tensors) + len(masks):
            raise ModelError(
                f"{weights} has names that a packed file needs, such as *{MASK_SUFFIX}"
            )
        metadata = {
            **_METADATA,
            "shapes": json.dumps({name: list(keep.shape) for name, keep in mask.items()}),
            "model_sha256": sha256(weights),
            "mask_sha256": sha256(mask_file),
            "model_header": header,
            "mask_header": mask_header,
        }
        # Then elements begin at multiples of their size, whatever the lengths of the masks.
        order = sorted(stored, key=lambda name: (-stored[name].element_size, name))
        write(
            packed,
            make_header(metadata, stored, order),
            [stored[name] for name in order],
            "Packing",
        )


def _restore(packed: Path, weights: Path, mask_file: Path, doing: str) -> None:
    """Write both files again; ModelError when they are not those that were packed."""
    with reading(packed) as file:
        metadata = file.metadata() or {}
        for key, value in _METADATA.items():
            if metadata.get(key) != value:
                raise ModelError(
                    f"{packed} is no packed ticket that this version reads: {key} is "
                    f"{metadata.get(key)!r}, not {value!r}"
                )
        try:
            headers = metadata["model_header"], metadata["mask_header"]
            digests = metadata["model_sha256"], metadata["mask_sha256"]
            tensors, masks = tensors_of(headers[0], file), tensors_of(headers[1], file, MASK_SUFFIX)
            if {name: tensors[name].shape for name in masks} != json.loads(metadata["shapes"]):
                raise ValueError("the shapes are not those of its tensors")
            parts = {name + part for name in masks for part in (MASK_SUFFIX, VALUES_SUFFIX)}
            if parts | (tensors.keys() - masks.keys()) != set(file.keys()):
                raise ValueError("the tensors are not those of its metadata")
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as problem:
            raise ModelError(f"{packed} is damaged ({problem}); pack the ticket again") from None
        for name in masks:
            whole = partial(_decoded, file, name, tensors[name].shape, packed)
            tensors[name] = tensors[name]._replace(read=whole)
        found = (
            write(weights, headers[0], tensors.values(), doing),
            write(mask_file, headers[1], masks.values(), doing),
        )
    if found != digests:
        raise ModelError(
            f"{packed} is damaged: what it holds has not the SHA-256 of what was packed; pack the "
            "ticket again"
        )


def _kept(tensor: StoredTensor, keep: np.ndarray, what: str) -> np.ndarray:
    """The elements that stay; ModelError unless the others are +0, as `decode` makes them."""
    elements = tensor.read()
    alive = np.count_nonzero(elements[~keep])
    if alive:
        raise ModelError(
            f"{alive} pruned weights of {what} are not +0 and cannot be left out; give the "
            "weights that were trained under this mask"
        )
    return compress(elements, keep)[1]


def _decoded(file: Any, name: str, shape: list[int], packed: Path) -> np.ndarray:
    bits, values = (elements(file, name + part) for part in (MASK_SUFFIX, VALUES_SUFFIX))
    try:
        return decompress(bits, values, shape)
    except ValueError as problem:
        raise ModelError(f"{packed} is damaged: {name}: {problem}; pack the ticket again") from None


def _prunable_of(model: Path) -> Mapping[str, torch.Tensor]:
    """The prunable weights of the LXMERT in folder `model`: names and shapes, no values."""
    config = read_config(model / "config.json")
    try:
        with torch.device("meta"):
            return prunable_parameters(LxmertForQuestionAnswering(config))
    except Exception as problem:  # whatever transformers makes of a wrong configuration
        raise ModelError(f"{model / 'config.json'} describes no LXMERT: {problem}") from problem


@contextmanager
def _copy(
    source: Path, output: Path, kind: str, needed: tuple[str, ...], absent: tuple[str, ...]
) -> Iterator[Path]:
    """The new folder under a temporary name, with all files of `source` that stay as they are.

    A folder in `source`, or a link elsewhere than to where the weights are, is an error: to follow
    it could give away what nobody meant to, and to leave it out would lose a part.
    """
    if not source.is_dir():
        raise ModelError(f"{source} is {'a file' if source.exists() else 'not there'}; give {kind}")
    for names, has in ((needed, False), (absent, True)):
        for name in names:
            if (source / name).exists() is has:
                raise ModelError(f"{source} is not {kind}: it has {'a' if has else 'no'} {name}")
    files = sorted(source.iterdir())
    for path in files:
        # What is checked for being a mask, or a packed ticket, says where the others may be.
        if not path.is_file() or not lies_beside(path, source / needed[0]):
            raise ModelError(f"{path} is no plain file; remove it or put a plain file in its place")
    if output.exists() or output.is_symlink():
        raise ModelError(f"{output} exists already; choose another --output or remove it")
    if source.resolve() in output.resolve().parents:
        raise ModelError(f"{output} lies in {source}; choose an --output elsewhere")
    with atomic_path(output) as folder:
        folder.mkdir()
        for path in files:
            if path.name not in (MODEL, MASK, PACKED):
                shutil.copyfile(path, folder / path.name)
        yield folder


def _sizes(model: Path, packed: Path) -> dict[str, int]:
    dense = sum((model / name).stat().st_size for name in (MODEL, MASK))
    return {"dense": dense, "packed": (packed / PACKED).stat().st_size}
