"""A ticket: a model folder with a mask that its weights obey."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lxcompress.errors import ModelError
from lxcompress.model.folder import MASK_FILE
from lxcompress.model.prunable import prunable_parameters
from lxcompress.ticket import is_ticket, load_ticket


def test_a_ticket_is_its_weights_and_its_mask(tiny_exported: Path) -> None:
    folder = tiny_exported / "ticket"
    assert is_ticket(folder) and not is_ticket(tiny_exported / "dense")
    model, mask = load_ticket(folder)
    weights = prunable_parameters(model)
    assert list(mask) == list(weights)
    for name, keep in mask.items():
        assert torch.equal(weights[name] != 0, keep & (weights[name] != 0))


def test_a_pruned_weight_that_is_not_zero(tiny_exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_exported / "ticket", tmp_path / "ticket"))
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = "lxmert.pooler.dense.weight"
    tensors[name][tensors[name] == 0] = 1e-30
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"\d+ pruned weights of {name} are not zero in "):
        load_ticket(folder)


def test_a_folder_without_a_mask(tiny_exported: Path) -> None:
    with pytest.raises(ModelError, match=rf"mask not found: .*{MASK_FILE}"):
        load_ticket(tiny_exported / "dense")
