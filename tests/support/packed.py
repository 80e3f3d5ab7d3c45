"""Tickets to pack, and folders with what `lxcompress pack` wrote."""

from __future__ import annotations

from pathlib import Path

from call import Call

from lxcompress.model.lxmert import load_model, save_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.pruning.magnitude import magnitude_mask

NAME = "lxmert.pooler.dense.weight"  # of a pruned tensor
DIGEST = "is damaged: the restored files differ from the packed ones in SHA-256"


def make_ticket(source: Path | str, folder: Path) -> Path:
    model = load_model(source, without_head=True)
    weights = prunable_parameters(model)
    mask = magnitude_mask(weights, 0.5)
    mask.apply(weights)
    save_model(model, load_tokenizer(source), folder)
    mask.save(folder / "mask.safetensors")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def weights_of(folder: Path) -> Path:
    return folder / "model.safetensors"


def packed_of(folder: Path) -> Path:
    return folder / "model.bitmask.safetensors"


def check_rejected(call: Call, name: str, folder: Path, output: Path, message: str) -> None:
    """Run a command that must fail with one line, and must not write anything."""
    before = sorted(folder.parent.rglob("*"))
    code, out, err = call(name, folder, "--output", output)
    assert code == 2 and out == "", (out, err)
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert message.replace("{}", str(folder)) in err
    assert sorted(folder.parent.rglob("*")) == before
