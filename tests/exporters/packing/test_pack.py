"""Packed tickets: restored to the byte, as small as the formula says, and complete or absent."""

import errno
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from call import Call
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import DIGEST, check_rejected, content, make_ticket, packed_of, weights_of
from processes import Script
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from tiny import tiny_config
from transformers import LxmertForQuestionAnswering

from exporters.packing import pack as packing
from exporters.packing.pack import pack, unpack
from lxcompress.config import EMBEDDED_MODEL
from lxcompress.errors import ModelError
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.ticket_size import ticket_sizes
from lxcompress.system.files import sha256

Tensors = dict[str, torch.Tensor]
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def bits(tensor: torch.Tensor) -> np.ndarray:
    """The bytes of a tensor, in which NaN equals itself and -0.0 is not 0.0."""
    return tensor.reshape(-1).view(torch.uint8).numpy()


def rewrite_header(path: Path) -> None:
    """Write the header as another tool may: other order and metadata, indented, no padding."""
    found = path.read_bytes()
    end = 8 + int.from_bytes(found[:8], "little")
    entries = json.loads(found[8:end])
    header = {"__metadata__": {"é\n": '"\\'}} | dict(reversed(entries.items()))
    text = json.dumps(header, indent=1, ensure_ascii=False).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + found[end:])


# -- Round trip -------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    kept=st.sampled_from([0.0, 0.03, 0.5, 0.9, 1.0]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32),
)
def test_any_bits_are_restored(
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
        rewrite_header(ticket / "model.safetensors")

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
    source: str, call: Call, tiny_model: Path, tmp_path: Path
) -> None:
    ticket = make_ticket(tiny_model if source == "tiny" else source, tmp_path / "ticket")
    before = content(ticket)
    code, out, err = call("pack", ticket, "--output", tmp_path / "packed")
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

    code, out, err = call("unpack", tmp_path / "packed", "--output", tmp_path / "again")
    assert (code, err) == (0, "") and f"lxcompress evaluate {tmp_path / 'again'}" in out
    assert content(tmp_path / "again") == content(ticket) == before
    mask.verify(prunable_parameters(load_model(tmp_path / "again")), "the restored model")


def test_the_documented_format(tiny_ticket: Path, tiny_packed: Path) -> None:
    path = tiny_packed / "model.bitmask.safetensors"
    found, tensors = path.read_bytes(), load_file(path)
    header = int.from_bytes(found[:8], "little")
    assert header % 8 == 0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    # The library, which needs all tensors in memory, writes them in the same layout.
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
        with pytest.raises(ModelError, match="notes is not a regular file"):
            pack(snapshot, tmp_path / "other")


# -- Damage -----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), flip=st.sampled_from([0, 1, 2, 32, 128]))
def test_any_damage_is_detected(
    position: float, flip: int, tiny_ticket: Path, tiny_packed: Path, tmp_path_factory: Any
) -> None:
    """A changed byte, or with `flip` 0 a truncated file; half of the positions in the header."""
    folder = tmp_path_factory.mktemp("damage")
    shutil.copytree(tiny_packed, folder / "packed")
    found = bytearray(packed_of(tiny_packed).read_bytes())
    header = 8 + int.from_bytes(found[:8], "little")
    index = int(2 * position * header) if position < 0.5 else int(position * len(found))
    if flip:
        found[index] ^= flip
    else:
        del found[index:]
    packed_of(folder / "packed").write_bytes(found)
    try:
        unpack(folder / "packed", folder / "again")
    except ModelError:
        assert [path.name for path in folder.iterdir()] == ["packed"]
    else:  # for example in the padding of the header
        assert flip and index < header
        assert content(folder / "again") == content(tiny_ticket)


# -- Failures while writing -------------------------------------------------------------------


@pytest.mark.parametrize(("name", "middle"), [("pack", "compress"), ("unpack", "decompress")])
def test_a_full_disk(
    name: str,
    middle: str,
    call: Call,
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
    check_rejected(call, name, source, tmp_path / "new", message)


def test_a_packed_file_that_cannot_be_restored(
    call: Call, ticket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pack` checks the file before the folder appears."""
    compress = packing.compress
    reverse = lambda *given: (None, compress(*given)[1][::-1].copy())  # noqa: E731
    monkeypatch.setattr(packing, "compress", reverse)
    check_rejected(call, "pack", ticket, tmp_path / "packed", DIGEST)


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
def test_killed_while_writing(
    name: str, middle: str, call: Call, ticket: Path, packed: Path, tmp_path: Path
) -> None:
    source, wanted = (ticket, packed) if name == "pack" else (packed, ticket)
    output = tmp_path / "out" / "new"
    script = Script(_KILLED, name, source, output, middle)
    assert script.finish()[0] == -signal.SIGKILL
    (leftover,) = output.parent.iterdir()
    assert leftover.name.startswith(".new.tmp-")
    assert call(name, source, "--output", output)[0] == 0
    assert [path.name for path in output.parent.iterdir()] == ["new"]
    assert content(output) == content(wanted)
