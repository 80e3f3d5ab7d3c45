"""Packed tickets: restored to the byte, as small as the formula says, and proved or refused."""

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from tiny import tiny_config
from transformers import LxmertForQuestionAnswering

from exporters.packing import pack as packing
from exporters.packing import safetensors_file
from exporters.packing.pack import pack, unpack
from lxcompress.config import EMBEDDED_MODEL
from lxcompress.errors import ModelError
from lxcompress.model.lxmert import load_model, save_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.ticket_size import ticket_sizes
from lxcompress.system.files import sha256

Tensors = dict[str, torch.Tensor]
Metadata = dict[str, str]
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
NAME = "lxmert.pooler.dense.weight"


def bits(tensor: torch.Tensor) -> np.ndarray:
    """Its bytes, in which NaN equals itself and -0.0 is not 0.0."""
    return tensor.reshape(-1).view(torch.uint8).numpy()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_header_anew(path: Path) -> None:
    """As another tool may: tensors in no order, other metadata, loose JSON, no padding."""
    found = path.read_bytes()
    end = 8 + int.from_bytes(found[:8], "little")
    entries = json.loads(found[8:end])
    header = {"__metadata__": {"é\n": '"\\'}} | dict(reversed(entries.items()))
    text = json.dumps(header, indent=1, ensure_ascii=False).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + found[end:])


def make_ticket(source: Path | str, folder: Path) -> Path:
    model = load_model(source, without_head=True)
    weights = prunable_parameters(model)
    mask = magnitude_mask(weights, 0.5)
    mask.apply(weights)
    save_model(model, load_tokenizer(source), folder)
    mask.save(folder / "mask.safetensors")
    return folder


@pytest.fixture(scope="module")
def tiny_ticket(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ticket(tiny_model, tmp_path_factory.mktemp("tiny") / "ticket")


@pytest.fixture(scope="module")
def tiny_packed(tiny_ticket: Path) -> Path:
    pack(tiny_ticket, tiny_ticket.parent / "packed")
    return tiny_ticket.parent / "packed"


@pytest.fixture
def ticket(tiny_ticket: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil; likewise the next."""
    return Path(shutil.copytree(tiny_ticket, tmp_path / "ticket"))


@pytest.fixture
def packed(tiny_packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_packed, tmp_path / "packed"))


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(call: Command) -> Command:
    """Run `lxcompress` in this process: exit code, output, errors."""
    return call


# -- There and back ---------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    kept=st.sampled_from([0.0, 0.03, 0.5, 0.9, 1.0]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32),
)
def test_any_bits_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    sides: tuple[int, int],
    kept: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    hidden, inner = sides
    config = tiny_config(
        hidden_size=hidden, intermediate_size=inner, num_attention_heads=1, l_layers=1, x_layers=1
    )
    with torch.device("meta"):
        model = LxmertForQuestionAnswering(config)
    random = torch.Generator().manual_seed(seed)
    tensors: Tensors = {"../evil": torch.tensor(7), "empty": torch.zeros(0, 3)}
    for name, parameter in model.named_parameters():
        size = parameter.numel() * dtype.itemsize
        noise = torch.randint(256, (size,), generator=random, dtype=torch.uint8)
        tensors[name] = noise.view(dtype).reshape(parameter.shape)
        tensors[name].view(-1)[:: 1 + seed % 5] = -0.0
        tensors[name].view(-1)[:: 2 + seed % 7] = 0.0
    masks = {
        name: torch.rand(parameter.shape, generator=random) < kept
        for name, parameter in prunable_parameters(model).items()
    }
    for name, keep in masks.items():
        tensors[name][~keep] = 0.0
    folder = tmp_path_factory.mktemp("any")
    ticket, packed = folder / "ticket", folder / "deep" / "packed"
    config.save_pretrained(ticket)
    (ticket / "notes.bin").write_bytes(b"\x00\r\n\xff")
    save_file(tensors, ticket / "model.safetensors")
    Mask(masks).save(ticket / "mask.safetensors")
    if seed % 2:
        write_header_anew(ticket / "model.safetensors")

    sizes = pack(ticket, packed)
    assert unpack(packed, folder / "again") == sizes
    assert content(folder / "again") == content(ticket)
    assert {path.name for path in folder.iterdir()} == {"ticket", "deep", "again"}
    assert [path.name for path in packed.parent.iterdir()] == ["packed"]

    stored = load_file(packed / "model.bitmask.safetensors")
    for name, keep in masks.items():
        flags = np.packbits(keep.numpy().reshape(-1), bitorder="little")
        assert np.array_equal(stored.pop(f"{name}.mask").numpy(), flags)
        values = stored.pop(f"{name}.values")
        assert values.dtype == dtype
        assert np.array_equal(bits(values), bits(tensors.pop(name)[keep]))
    assert stored.keys() == tensors.keys()
    assert all(np.array_equal(bits(stored[name]), bits(tensors[name])) for name in tensors)


@pytest.mark.parametrize("source", ["tiny", EMBEDDED_MODEL])
def test_pack_and_unpack_a_ticket(
    source: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    ticket = make_ticket(tiny_model if source == "tiny" else source, tmp_path / "ticket")
    before = content(ticket)
    code, out, err = command("pack", ticket, "--output", tmp_path / "packed")
    assert (code, err) == (0, "")
    assert f"next: lxcompress unpack {tmp_path / 'packed'}" in out
    packed = content(tmp_path / "packed")
    others = before.keys() - {"model.safetensors", "mask.safetensors"}
    assert {"config.json", "tokenizer.json"} <= others
    assert packed.keys() == others | {"model.bitmask.safetensors"}
    assert all(packed[name] == before[name] for name in others)

    model = load_model(ticket)
    mask = Mask.load(ticket / "mask.safetensors", prunable_parameters(model))
    found = packed["model.bitmask.safetensors"]
    header = 8 + int.from_bytes(found[:8], "little")
    assert len(found) == header + ticket_sizes(model, mask)["bitmask"]
    dense = sum(len(before[f"{name}.safetensors"]) for name in ("model", "mask"))
    change = 100 * (len(found) / dense - 1)
    assert f"{dense / 1e6:.2f} MB before, {len(found) / 1e6:.2f} MB now ({change:+.1f}%)" in out

    code, out, err = command("unpack", tmp_path / "packed", "--output", tmp_path / "again")
    assert (code, err) == (0, "") and f"lxcompress evaluate {tmp_path / 'again'}" in out
    assert content(tmp_path / "again") == content(ticket) == before
    mask.verify(prunable_parameters(load_model(tmp_path / "again")), "what came back")


def test_the_file_is_as_documented(tiny_ticket: Path, tiny_packed: Path) -> None:
    path = tiny_packed / "model.bitmask.safetensors"
    found, tensors = path.read_bytes(), load_file(path)
    header = int.from_bytes(found[:8], "little")
    assert header % 8 == 0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    # The library, which needs all in memory, lays the same tensors out in the same way.
    theirs = save(tensors, metadata)
    length = int.from_bytes(theirs[:8], "little")
    assert json.loads(found[8 : 8 + header]) == json.loads(theirs[8 : 8 + length])
    assert found[8 + header :] == theirs[8 + length :]
    shapes = {
        name: list(weight.shape) for name, weight in load_file(weights_of(tiny_ticket)).items()
    }
    pruned = [name.removesuffix(".mask") for name in tensors if name.endswith(".mask")]
    assert json.loads(metadata.pop("shapes")) == {name: shapes[name] for name in pruned}
    for name in ("model", "mask"):
        original = tiny_ticket / f"{name}.safetensors"
        raw = original.read_bytes()
        assert metadata.pop(f"{name}_sha256") == sha256(original)
        text = metadata.pop(f"{name}_header").encode()
        assert raw.startswith(len(text).to_bytes(8, "little") + text)
    assert metadata == {"format": "lxcompress-bitmask", "version": "1", "bit_order": "little"}


def test_a_snapshot_of_hugging_faces_cache(ticket: Path, tmp_path: Path) -> None:
    """Its files are links to blobs, all in one folder; packed and unpacked they are plain files."""
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    for folder in (snapshot, blobs):
        folder.mkdir(parents=True)
    for number, path in enumerate(sorted(ticket.iterdir())):
        shutil.copyfile(path, blobs / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    pack(snapshot, tmp_path / "packed")
    unpack(tmp_path / "packed", tmp_path / "again")
    for folder in (tmp_path / "packed", tmp_path / "again"):
        assert not any(path.is_symlink() for path in folder.iterdir())
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == {
        path.name: path.read_bytes() for path in ticket.iterdir()
    }
    (snapshot / "notes").symlink_to("../../secret")
    for target in ("there", "gone"):
        if target == "there":
            (tmp_path / "secret").write_text("secret")
        else:
            (tmp_path / "secret").unlink()
        with pytest.raises(ModelError, match="notes is no plain file; remove it"):
            pack(snapshot, tmp_path / "other")


# -- What is refused --------------------------------------------------------------------------


def weights_of(folder: Path) -> Path:
    return folder / "model.safetensors"


def packed_of(folder: Path) -> Path:
    return folder / "model.bitmask.safetensors"


def edit(path: Path, change: Callable[[Tensors, Metadata], Any]) -> None:
    """Write a safetensors file anew, changed."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def revive(value: float) -> Callable[[Path], None]:
    """Give three pruned weights a value."""

    def change(tensors: Tensors, metadata: Metadata) -> None:
        weight = tensors[NAME].view(-1)
        weight[(weight == 0).nonzero()[:3]] = value

    return lambda ticket: edit(weights_of(ticket), change)


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 5)


def put(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def link(folder: Path) -> None:
    (folder.parent / "secret").write_text("secret")
    (folder / "notes").symlink_to("../secret")


COMMON: list[tuple[Callable[[Path], Any], str]] = [
    (shutil.rmtree, "{} is not there; give "),
    (become_a_file, "{} is a file; give "),
    (lambda folder: (folder / "logs").mkdir(), "{}/logs is no plain file; remove it"),
    (link, "{}/notes is no plain file; remove it"),
]
NOT_TO_PACK: list[tuple[Callable[[Path], Any], str]] = [
    *COMMON,
    (lambda run: (run / "theta0").mkdir(), "{} is a run directory; give its ticket, {}/ticket"),
    (
        without("mask.safetensors"),
        "{} is not a ticket, such as the ticket/ of a run: it has no mask",
    ),
    (without("model.safetensors"), "it has no model.safetensors"),
    (without("config.json"), "it has no config.json"),
    (put("model.bitmask.safetensors", ""), "it has a model.bitmask.safetensors"),
    (put("config.json", '{"model_type": "bert"}'), "is a bert model; lxcompress prunes LXMERT"),
    (put("config.json", "{"), "cannot load {}/config.json as an LXMERT model"),
    (
        put("config.json", '{"model_type": "lxmert", "hidden_size": 30}'),
        "{}/config.json describes no LXMERT: ",
    ),
    (put("config.json", '{"model_type": "lxmert"}'), "the mask of lxmert.encoder.layer.0"),
    (cut("model.safetensors"), "{}/model.safetensors is damaged ("),
    (put("model.safetensors", ""), "{}/model.safetensors is damaged ("),
    (cut("mask.safetensors"), "mask is damaged: {}/mask.safetensors"),
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
        "{}/model.safetensors has names that a packed file needs",
    ),
    *(
        (revive(value), "3 pruned weights of " + NAME + " in {}/model.safetensors are not +0")
        for value in (0.5, -0.0, math.nan)
    ),
]


def tell(key: str, value: str | None) -> Callable[[Path], None]:
    """Change the metadata; None takes the key away."""

    def change(tensors: Tensors, metadata: Metadata) -> None:
        metadata.pop(key)
        if value is not None:
            metadata[key] = value

    return lambda packed: edit(packed_of(packed), change)


def swap(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    return lambda packed: edit(
        packed_of(packed), lambda t, _: t.update({name: make(t[name]).clone()})
    )


def reshape(tensors: Tensors, metadata: Metadata) -> None:
    """Another shape, wherever it is told."""
    shapes, header = json.loads(metadata["shapes"]), json.loads(metadata["model_header"])
    shapes[NAME] = header[NAME]["shape"] = [32, 31]
    metadata |= {"shapes": json.dumps(shapes), "model_header": json.dumps(header)}


FORMAT = "is no packed ticket that this version reads: "
OTHERS = "is damaged (the tensors are not those of its metadata); pack the ticket again"
DIGEST = "is damaged: what it holds has not the SHA-256 of what was packed"
NOT_TO_UNPACK: list[tuple[Callable[[Path], Any], str]] = [
    *COMMON,
    (without("model.bitmask.safetensors"), "that `lxcompress pack` made: it has no model.bitmask"),
    (put("model.safetensors", ""), "it has a model.safetensors"),
    (put("mask.safetensors", ""), "it has a mask.safetensors"),
    (cut("model.bitmask.safetensors"), "{}/model.bitmask.safetensors is damaged ("),
    (put("model.bitmask.safetensors", "PK"), "{}/model.bitmask.safetensors is damaged ("),
    (lambda packed: save_file({}, packed_of(packed)), FORMAT + "format is None, not"),
    (tell("format", "gguf"), FORMAT + "format is 'gguf', not 'lxcompress-bitmask'"),
    (tell("version", "2"), FORMAT + "version is '2', not '1'"),
    (tell("bit_order", "big"), FORMAT + "bit_order is 'big', not 'little'"),
    (tell("model_header", None), "is damaged ('model_header')"),
    (tell("mask_header", "[" * 9999), "is damaged ("),
    (tell("mask_header", "7"), "is damaged ("),
    (tell("model_header", '{"a": 1}'), "is damaged ("),
    (tell("shapes", "{}"), "is damaged (the shapes are not those of its tensors)"),
    (tell("model_header", '{"a": {"shape": [-1], "data_offsets": [0, 4]}}'), "has the shape [-1]"),
    (tell("model_sha256", "0" * 64), DIGEST),
    (tell("mask_sha256", "0" * 64), DIGEST),
    (lambda packed: edit(packed_of(packed), reshape), "are not a bitmask of [32, 31]"),
    (swap(NAME + ".values", lambda values: values[:-1]), "weights, but 5"),
    (swap(NAME + ".values", lambda values: values + 1), DIGEST),
    (swap(NAME + ".values", lambda values: values.to(torch.float16)), DIGEST),
    (swap(NAME + ".mask", lambda flags: flags[:-1]), "127 bytes of uint8 are not a bitmask of"),
    (swap(NAME + ".mask", lambda flags: ~flags // 2), f"is damaged: {NAME}: a bitmask keeps "),
    (swap("lxmert.pooler.dense.bias", lambda bias: bias + 1), DIGEST),
    (lambda packed: edit(packed_of(packed), lambda t, _: t.pop(NAME + ".values")), OTHERS),
    (lambda packed: edit(packed_of(packed), lambda t, _: t.update(extra=torch.ones(1))), OTHERS),
]


def refused(command: Command, name: str, folder: Path, output: Path, message: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    code, out, err = command(name, folder, "--output", output)
    assert code == 2 and out == "", (out, err)
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert message.replace("{}", str(folder)) in err
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.parametrize(("spoil", "message"), NOT_TO_PACK)
def test_pack_refuses(
    spoil: Callable[[Path], Any], message: str, command: Command, ticket: Path, tmp_path: Path
) -> None:
    spoil(ticket)
    refused(command, "pack", ticket, tmp_path / "packed", message)


@pytest.mark.parametrize(("spoil", "message"), NOT_TO_UNPACK)
def test_unpack_refuses(
    spoil: Callable[[Path], Any], message: str, command: Command, packed: Path, tmp_path: Path
) -> None:
    spoil(packed)
    refused(command, "unpack", packed, tmp_path / "again", message)


@pytest.mark.parametrize("name", ["pack", "unpack"])
def test_outputs_that_are_refused(
    name: str, command: Command, ticket: Path, packed: Path, tmp_path: Path
) -> None:
    source = ticket if name == "pack" else packed
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("folder", "file", "link"):
        message = f"{tmp_path / taken} exists already; choose another --output or remove it"
        refused(command, name, source, tmp_path / taken, message)
    refused(command, name, source, source, f"{source} exists already")
    refused(command, name, source, source / "a" / "b", f"b lies in {source}; choose an --output")


@pytest.mark.parametrize("name", ["pack", "unpack"])
def test_a_file_that_may_not_be_read(
    name: str,
    command: Command,
    ticket: Path,
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Path, framework: str) -> None:
        raise FileNotFoundError(f"No such file or directory: {path}")  # as the library words it

    monkeypatch.setattr(safetensors_file, "safe_open", refuse)
    source, file = (ticket, "model") if name == "pack" else (packed, "model.bitmask")
    message = "{}/" + file + ".safetensors cannot be read (No such file"
    refused(command, name, source, tmp_path / "new", message)


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.sampled_from([0, 1, 2, 32, 128]))
def test_any_damage_is_found(
    place: float, flip: int, tiny_ticket: Path, tiny_packed: Path, tmp_path_factory: Any
) -> None:
    """A changed byte, or with `flip` 0 a file cut off there; half of them in the header."""
    folder = tmp_path_factory.mktemp("damage")
    shutil.copytree(tiny_packed, folder / "packed")
    found = bytearray(packed_of(tiny_packed).read_bytes())
    header = 8 + int.from_bytes(found[:8], "little")
    index = int(2 * place * header) if place < 0.5 else int(place * len(found))
    if flip:
        found[index] ^= flip
    else:
        del found[index:]
    packed_of(folder / "packed").write_bytes(found)
    try:
        unpack(folder / "packed", folder / "again")
    except ModelError:
        assert [path.name for path in folder.iterdir()] == ["packed"]
    else:  # a space at the end of the header, say
        assert flip and index < header
        assert content(folder / "again") == content(tiny_ticket)


# -- Failures in the middle -------------------------------------------------------------------


@pytest.mark.parametrize(("name", "middle"), [("pack", "compress"), ("unpack", "decompress")])
def test_a_full_disk(
    name: str,
    middle: str,
    command: Command,
    ticket: Path,
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        assert len(list(tmp_path.rglob(".new.tmp-*/*.safetensors"))) == 1
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing, middle, fail)
    source = ticket if name == "pack" else packed
    message = f"no space left on the disk while writing {tmp_path / 'new'}; free some"
    refused(command, name, source, tmp_path / "new", message)


def test_a_packed_file_that_does_not_restore(
    command: Command, ticket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pack` proves what it made before it is there."""
    compress = packing.compress
    reverse = lambda *given: (None, compress(*given)[1][::-1].copy())  # noqa: E731
    monkeypatch.setattr(packing, "compress", reverse)
    refused(command, "pack", ticket, tmp_path / "packed", DIGEST)


_KILLED = """
import os, signal, sys
from exporters.packing import pack as packing
from lxcompress.cli.main import main

command, source, output, middle = sys.argv[1:]
work, left = getattr(packing, middle), 5

def deadly(*arguments):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return work(*arguments)

setattr(packing, middle, deadly)
sys.argv = ["lxcompress", command, source, "--output", output]
main()
"""


@pytest.mark.parametrize(("name", "middle"), [("pack", "compress"), ("unpack", "decompress")])
def test_killed_in_the_middle(
    name: str, middle: str, command: Command, ticket: Path, packed: Path, tmp_path: Path
) -> None:
    source, wanted = (ticket, packed) if name == "pack" else (packed, ticket)
    output = tmp_path / "out" / "new"
    script = [sys.executable, "-c", _KILLED, name, str(source), str(output), middle]
    assert subprocess.run(script).returncode == -signal.SIGKILL
    (leftover,) = output.parent.iterdir()
    assert leftover.name.startswith(".new.tmp-")
    assert command(name, source, "--output", output)[0] == 0
    assert [path.name for path in output.parent.iterdir()] == ["new"]
    assert content(output) == content(wanted)
