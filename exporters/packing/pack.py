"""Packed tickets: a model folder without its zeros, restored to the byte.

A packed folder holds the files of the ticket's Hugging Face folder unchanged, except for
model.safetensors and mask.safetensors. One safetensors file, model.bitmask.safetensors, replaces
both (version 1):

    NAME.mask    for each pruned tensor NAME: uint8 [ceil(n / 8)], its bits in mask.safetensors
    NAME.values  for each pruned tensor NAME: its remaining elements, row-major, in its own dtype
    NAME         every other tensor of model.safetensors, unchanged

The bits are those of `exporters.encodings.bitmask`. Tensors are ordered by the size of their
elements, largest first, then by name. The metadata, all of it text:

    format, version, bit_order    "lxcompress-bitmask", "1", "little"
    shapes                        JSON: the shape of each pruned tensor, by name
    model_sha256, mask_sha256     hex, of the two files that it replaces
    model_header, mask_header     the JSON headers of the two files, padding included

A file is restored from its header and tensors (`exporters.packing.safetensors_file`). Its SHA-256
detects damage; it does not protect against forgery.
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

from exporters.encodings.bitmask import MASK_SUFFIX, VALUES_SUFFIX, compress, decompress
from exporters.packing.safetensors_file import (
    StoredTensor,
    list_tensors,
    make_header,
    open_safetensors,
    read_elements,
    read_header,
    write,
)
from lxcompress.errors import ModelError
from lxcompress.model.folder import MASK_FILE, MODEL_CONFIG, MODEL_WEIGHTS
from lxcompress.model.lxmert import read_config, without_weights
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.run import Run
from lxcompress.system.files import atomic_path, lies_beside, sha256

PACKED_FILE = "model.bitmask.safetensors"

_METADATA = {"format": "lxcompress-bitmask", "version": "1", "bit_order": "little"}


def pack(model: Path, packed: Path) -> dict[str, int]:
    """Write the ticket in folder `model` to the new folder `packed`, whole or not at all.

    Before the folder gets its name, both files are restored from it to /dev/null and their SHA-256
    compared. Memory: one byte for each prunable weight, and one tensor.

    Returns:
        Bytes of model.safetensors and mask.safetensors ("dense"), and of the file that replaces
        them ("packed").

    Raises:
        ModelError: `model` is not a ticket of LXMERT, is damaged, has pruned weights that are not
            +0, or holds links or folders; or `packed` exists already or lies in `model`.
    """
    run = Run(model)
    if run.exists():
        raise ModelError(f"{model} is a run directory; give its ticket, {run.ticket}")
    kind = "a ticket, such as the ticket/ of a run"
    needed = (MASK_FILE, MODEL_WEIGHTS, MODEL_CONFIG)
    with _copy_folder(model, packed, kind, needed, absent=(PACKED_FILE,)) as folder:
        mask = Mask.load(model / MASK_FILE, _prunable_of(model))
        _write_packed(model / MODEL_WEIGHTS, model / MASK_FILE, mask, folder / PACKED_FILE)
        _restore(folder / PACKED_FILE, Path(os.devnull), Path(os.devnull), "Checking")
    return _sizes(model, packed)


def unpack(packed: Path, model: Path) -> dict[str, int]:
    """Restore the ticket of a packed folder to the new folder `model`, whole or not at all.

    Memory: one tensor.

    Returns:
        Bytes, as `pack` does.

    Raises:
        ModelError: `packed` is not a packed ticket, is damaged, or holds links or folders; or
            `model` exists already or lies in `packed`.
    """
    kind, absent = "a folder that `lxcompress pack` wrote", (MODEL_WEIGHTS, MASK_FILE)
    with _copy_folder(packed, model, kind, needed=(PACKED_FILE,), absent=absent) as folder:
        _restore(packed / PACKED_FILE, folder / MODEL_WEIGHTS, folder / MASK_FILE, "Unpacking")
    return _sizes(model, packed)


def _write_packed(weights: Path, mask_file: Path, mask: Mask, packed: Path) -> None:
    """Write the file that replaces both; raise ModelError when they do not fit each other."""
    with open_safetensors(weights) as file, open_safetensors(mask_file) as bits:
        header, mask_header = read_header(weights), read_header(mask_file)
        tensors = list_tensors(header, file)
        stored = dict(tensors)
        for name, keep in mask.items():
            if name not in tensors or tensors[name].shape != list(keep.shape):
                raise ModelError(
                    f"{weights} has no {name} of {list(keep.shape)}, which {mask_file} prunes; "
                    "give a folder whose files belong together"
                )
            tensor, remaining = stored.pop(name), int(keep.count_nonzero())
            values = partial(_remaining, tensor, keep.numpy(), f"{name} in {weights}")
            size = remaining * tensor.element_size
            stored[name + VALUES_SUFFIX] = StoredTensor(tensor.dtype, [remaining], size, values)
        masks = list_tensors(mask_header, bits)
        stored |= {name + MASK_SUFFIX: tensor for name, tensor in masks.items()}
        if len(stored) != len(tensors) + len(masks):
            raise ModelError(
                f"{weights} has tensor names that packing reserves, such as *{MASK_SUFFIX}"
            )
        metadata = {
            **_METADATA,
            "shapes": json.dumps({name: list(keep.shape) for name, keep in mask.items()}),
            "model_sha256": sha256(weights),
            "mask_sha256": sha256(mask_file),
            "model_header": header,
            "mask_header": mask_header,
        }
        # In this order, elements are aligned to their size whatever the lengths of the masks.
        order = sorted(stored, key=lambda name: (-stored[name].element_size, name))
        write(
            packed,
            make_header(metadata, stored, order),
            [stored[name] for name in order],
            "Packing",
        )


def _restore(packed: Path, weights: Path, mask_file: Path, doing: str) -> None:
    """Write both files; raise ModelError when they are not the ones that were packed."""
    with open_safetensors(packed) as file:
        metadata = file.metadata() or {}
        for key, value in _METADATA.items():
            if metadata.get(key) != value:
                raise ModelError(
                    f"{packed} is not a packed ticket that this version reads: {key} is "
                    f"{metadata.get(key)!r}, not {value!r}"
                )
        try:
            headers = metadata["model_header"], metadata["mask_header"]
            digests = metadata["model_sha256"], metadata["mask_sha256"]
            tensors = list_tensors(headers[0], file)
            masks = list_tensors(headers[1], file, MASK_SUFFIX)
            if {name: tensors[name].shape for name in masks} != json.loads(metadata["shapes"]):
                raise ValueError("the shapes do not match its tensors")
            parts = {name + part for name in masks for part in (MASK_SUFFIX, VALUES_SUFFIX)}
            if parts | (tensors.keys() - masks.keys()) != set(file.keys()):
                raise ValueError("the tensors do not match its metadata")
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as problem:
            raise ModelError(f"{packed} is damaged ({problem}); pack the ticket again") from None
        for name in masks:
            decode = partial(_decode, file, name, tensors[name].shape, packed)
            tensors[name] = tensors[name]._replace(read=decode)
        found = (
            write(weights, headers[0], tensors.values(), doing),
            write(mask_file, headers[1], masks.values(), doing),
        )
    if found != digests:
        raise ModelError(
            f"{packed} is damaged: the restored files differ from the packed ones in SHA-256; pack "
            "the ticket again"
        )


def _remaining(tensor: StoredTensor, keep: np.ndarray, what: str) -> np.ndarray:
    """Return the remaining elements; raise ModelError unless the pruned ones are +0."""
    elements = tensor.read()
    nonzero = np.count_nonzero(elements[~keep])
    if nonzero:
        raise ModelError(
            f"{nonzero} pruned weights of {what} are not +0 and cannot be left out; give the "
            "weights that were trained under this mask"
        )
    return compress(elements, keep)[1]


def _decode(file: Any, name: str, shape: list[int], packed: Path) -> np.ndarray:
    bits, values = (read_elements(file, name + part) for part in (MASK_SUFFIX, VALUES_SUFFIX))
    try:
        return decompress(bits, values, shape)
    except ValueError as problem:
        raise ModelError(f"{packed} is damaged: {name}: {problem}; pack the ticket again") from None


def _prunable_of(model: Path) -> Mapping[str, torch.Tensor]:
    """Return the prunable weights of an LXMERT on the meta device: names and shapes, no values."""
    config = read_config(model / MODEL_CONFIG)
    try:
        return prunable_parameters(without_weights(config))
    except Exception as problem:  # transformers raises many kinds for an invalid configuration
        raise ModelError(f"{model / MODEL_CONFIG} is not of an LXMERT: {problem}") from problem


@contextmanager
def _copy_folder(
    source: Path, output: Path, kind: str, needed: tuple[str, ...], absent: tuple[str, ...]
) -> Iterator[Path]:
    """Yield the new folder, under a temporary name, with the unchanged files of `source`.

    Folders in `source`, and links to other places than that of the weights, are rejected: following
    one could disclose files that nobody meant to publish, and leaving it out would lose a part.
    """
    if not source.is_dir():
        raise ModelError(
            f"{source} {'is a file' if source.exists() else 'does not exist'}; give {kind}"
        )
    for name in needed:
        if not (source / name).exists():
            raise ModelError(f"{source} is not {kind}: it has no {name}")
    for name in absent:
        if (source / name).exists():
            raise ModelError(f"{source} is not {kind}: it has a {name}")
    files = sorted(source.iterdir())
    for path in files:
        # needed[0] is what makes the folder a ticket or a packed one: it says where blobs may be.
        if not path.is_file() or not lies_beside(path, source / needed[0]):
            raise ModelError(f"{path} is not a regular file; replace it by one or remove it")
    if output.exists() or output.is_symlink():
        raise ModelError(f"{output} exists already; choose another --output or remove it")
    if source.resolve() in output.resolve().parents:
        raise ModelError(f"{output} lies in {source}; choose an --output elsewhere")
    with atomic_path(output) as folder:
        folder.mkdir()
        for path in files:
            if path.name not in (MODEL_WEIGHTS, MASK_FILE, PACKED_FILE):
                shutil.copyfile(path, folder / path.name)
        yield folder


def _sizes(model: Path, packed: Path) -> dict[str, int]:
    dense = sum((model / name).stat().st_size for name in (MODEL_WEIGHTS, MASK_FILE))
    return {"dense": dense, "packed": (packed / PACKED_FILE).stat().st_size}
