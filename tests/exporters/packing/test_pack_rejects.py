"""What `lxcompress pack` and `unpack` reject: one line, exit code 2, nothing written."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from call import Call
from packed import DIGEST, NAME, check_rejected, packed_of, weights_of
from safetensors import safe_open
from safetensors.torch import save_file

from exporters.packing import safetensors_file

Tensors = dict[str, torch.Tensor]
Metadata = dict[str, str]


def edit(path: Path, change: Callable[[Tensors, Metadata], Any]) -> None:
    """Change a safetensors file."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def with_pruned_weights(value: float) -> Callable[[Path], None]:
    """Set three pruned weights to a value."""

    def change(tensors: Tensors, metadata: Metadata) -> None:
        weight = tensors[NAME].view(-1)
        weight[(weight == 0).nonzero()[:3]] = value

    return lambda ticket: edit(weights_of(ticket), change)


def truncate(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 5)


def write_file(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def add_link(folder: Path) -> None:
    (folder.parent / "secret").write_text("secret")
    (folder / "notes").symlink_to("../secret")


COMMON: list[tuple[Callable[[Path], Any], str]] = [
    (shutil.rmtree, "{} does not exist; give "),
    (replace_by_file, "{} is a file; give "),
    (lambda folder: (folder / "logs").mkdir(), "{}/logs is not a regular file; replace it"),
    (add_link, "{}/notes is not a regular file; replace it"),
]
REJECTED_BY_PACK: list[tuple[Callable[[Path], Any], str]] = [
    *COMMON,
    (lambda run: (run / "theta0").mkdir(), "{} is a run directory; give its ticket, {}/ticket"),
    (
        remove("mask.safetensors"),
        "{} is not a ticket, such as the ticket/ of a run: it has no mask",
    ),
    (remove("model.safetensors"), "it has no model.safetensors"),
    (remove("config.json"), "it has no config.json"),
    (write_file("model.bitmask.safetensors", ""), "it has a model.bitmask.safetensors"),
    (
        write_file("config.json", '{"model_type": "bert"}'),
        "is a bert model; lxcompress prunes LXMERT",
    ),
    (write_file("config.json", "{"), "cannot load {}/config.json as an LXMERT model"),
    (
        write_file("config.json", '{"model_type": "lxmert", "hidden_size": 30}'),
        "{}/config.json is not of an LXMERT: ",
    ),
    (write_file("config.json", '{"model_type": "lxmert"}'), "the mask of lxmert.encoder.layer.0"),
    (truncate("model.safetensors"), "{}/model.safetensors is damaged ("),
    (write_file("model.safetensors", ""), "{}/model.safetensors is damaged ("),
    (truncate("mask.safetensors"), "mask is damaged: {}/mask.safetensors"),
    (
        lambda ticket: shutil.copy(weights_of(ticket), ticket / "mask.safetensors"),
        "{}/mask.safetensors is not a mask that this version reads: format is 'pt'",
    ),
    (
        lambda ticket: save_file({"a": torch.ones(2)}, weights_of(ticket)),
        "{}/model.safetensors has no lxmert.",
    ),
    (
        lambda ticket: edit(
            weights_of(ticket), lambda t, _: t.update({NAME: t[NAME][:-1].clone()})
        ),
        "has no " + NAME + " of [32, 32], which {}/mask.safetensors prunes",
    ),
    (
        lambda ticket: edit(
            weights_of(ticket), lambda t, _: t.update({NAME + ".mask": t[NAME] + 1})
        ),
        "{}/model.safetensors has tensor names that packing reserves",
    ),
    *(
        (
            with_pruned_weights(value),
            "3 pruned weights of " + NAME + " in {}/model.safetensors are not +0",
        )
        for value in (0.5, -0.0, math.nan)
    ),
]


def set_metadata(key: str, value: str | None) -> Callable[[Path], None]:
    """Change a metadata value; None removes the key."""

    def change(tensors: Tensors, metadata: Metadata) -> None:
        metadata.pop(key)
        if value is not None:
            metadata[key] = value

    return lambda packed: edit(packed_of(packed), change)


def replace(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    return lambda packed: edit(
        packed_of(packed), lambda t, _: t.update({name: make(t[name]).clone()})
    )


def reshape(tensors: Tensors, metadata: Metadata) -> None:
    """Change the shape of a tensor wherever it is stated."""
    shapes, header = json.loads(metadata["shapes"]), json.loads(metadata["model_header"])
    shapes[NAME] = header[NAME]["shape"] = [32, 31]
    metadata |= {"shapes": json.dumps(shapes), "model_header": json.dumps(header)}


FORMAT = "is not a packed ticket that this version reads: "
OTHERS = "is damaged (the tensors do not match its metadata); pack the ticket again"
REJECTED_BY_UNPACK: list[tuple[Callable[[Path], Any], str]] = [
    *COMMON,
    (remove("model.bitmask.safetensors"), "that `lxcompress pack` wrote: it has no model.bitmask"),
    (write_file("model.safetensors", ""), "it has a model.safetensors"),
    (write_file("mask.safetensors", ""), "it has a mask.safetensors"),
    (truncate("model.bitmask.safetensors"), "{}/model.bitmask.safetensors is damaged ("),
    (write_file("model.bitmask.safetensors", "PK"), "{}/model.bitmask.safetensors is damaged ("),
    (lambda packed: save_file({}, packed_of(packed)), FORMAT + "format is None, not"),
    (set_metadata("format", "gguf"), FORMAT + "format is 'gguf', not 'lxcompress-bitmask'"),
    (set_metadata("version", "2"), FORMAT + "version is '2', not '1'"),
    (set_metadata("bit_order", "big"), FORMAT + "bit_order is 'big', not 'little'"),
    (set_metadata("model_header", None), "is damaged ('model_header')"),
    (set_metadata("mask_header", "[" * 9999), "is damaged ("),
    (set_metadata("mask_header", "7"), "is damaged ("),
    (set_metadata("model_header", '{"a": 1}'), "is damaged ("),
    (set_metadata("shapes", "{}"), "is damaged (the shapes do not match its tensors)"),
    (
        set_metadata("model_header", '{"a": {"shape": [-1], "data_offsets": [0, 4]}}'),
        "has the shape [-1]",
    ),
    (set_metadata("model_sha256", "0" * 64), DIGEST),
    (set_metadata("mask_sha256", "0" * 64), DIGEST),
    (lambda packed: edit(packed_of(packed), reshape), "are not a bitmask of [32, 31]"),
    (replace(NAME + ".values", lambda values: values[:-1]), "weights, but 5"),
    (replace(NAME + ".values", lambda values: values + 1), DIGEST),
    (replace(NAME + ".values", lambda values: values.to(torch.float16)), DIGEST),
    (replace(NAME + ".mask", lambda flags: flags[:-1]), "127 bytes of uint8 are not a bitmask of"),
    (replace(NAME + ".mask", lambda flags: ~flags // 2), f"is damaged: {NAME}: a bitmask keeps "),
    (replace("lxmert.pooler.dense.bias", lambda bias: bias + 1), DIGEST),
    (lambda packed: edit(packed_of(packed), lambda t, _: t.pop(NAME + ".values")), OTHERS),
    (lambda packed: edit(packed_of(packed), lambda t, _: t.update(extra=torch.ones(1))), OTHERS),
]


@pytest.mark.parametrize(("change", "message"), REJECTED_BY_PACK)
def test_inputs_that_pack_rejects(
    change: Callable[[Path], Any], message: str, call: Call, ticket: Path, tmp_path: Path
) -> None:
    change(ticket)
    check_rejected(call, "pack", ticket, tmp_path / "packed", message)


@pytest.mark.parametrize(("change", "message"), REJECTED_BY_UNPACK)
def test_inputs_that_unpack_rejects(
    change: Callable[[Path], Any], message: str, call: Call, packed: Path, tmp_path: Path
) -> None:
    change(packed)
    check_rejected(call, "unpack", packed, tmp_path / "again", message)


@pytest.mark.parametrize("name", ["pack", "unpack"])
def test_outputs_that_are_rejected(
    name: str, call: Call, ticket: Path, packed: Path, tmp_path: Path
) -> None:
    source = ticket if name == "pack" else packed
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("folder", "file", "link"):
        message = f"{tmp_path / taken} exists already; choose another --output or remove it"
        check_rejected(call, name, source, tmp_path / taken, message)
    check_rejected(call, name, source, source, f"{source} exists already")
    check_rejected(
        call, name, source, source / "a" / "b", f"b lies in {source}; choose an --output"
    )


@pytest.mark.parametrize("name", ["pack", "unpack"])
def test_a_file_that_cannot_be_read(
    name: str,
    call: Call,
    ticket: Path,
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(path: Path, framework: str) -> None:
        raise FileNotFoundError(f"No such file or directory: {path}")  # the library's message

    monkeypatch.setattr(safetensors_file, "safe_open", fail)
    source, file = (ticket, "model") if name == "pack" else (packed, "model.bitmask")
    message = "{}/" + file + ".safetensors cannot be read (No such file"
    check_rejected(call, name, source, tmp_path / "new", message)
