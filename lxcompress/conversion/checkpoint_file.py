"""Reading a checkpoint: a state dict that `torch.save` wrote, as weights only."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lxcompress.errors import ModelError
from lxcompress.system.files import check_regular

# Where training scripts keep the state dict when they save more than it.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# How torch.load names what it does not run: "GLOBAL posix.system", "global: GLOBAL a.B".
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint by name; nothing in the file is executed.

    Raises:
        ModelError: the file is missing, cut off, not a checkpoint, or holds more than tensors in
            plain containers.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the .pth file in it")
    check_regular(path, ModelError)
    content = _load(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__}, not a state dict")
    odd = [name for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if odd or not content:
        example = f": {odd[0]!r} is a {type(content[odd[0]]).__name__}" if odd else ", it is empty"
        raise ModelError(f"{path} is not a state dict (a tensor for each name){example}")
    return {str(name): value for name, value in content.items()}


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"checkpoint not found: {path}") from None
    except OSError as problem:
        raise ModelError(f"checkpoint cannot be read: {path} ({problem.strerror})") from None
    except Exception as problem:  # a damaged file fails in many ways
        refused = _REFUSED.search(str(problem))
        if refused:
            raise ModelError(
                f"{path} holds {refused[1]}, which could run code, and was not loaded; save the "
                "model's state_dict() alone"
            ) from problem
        raise ModelError(
            f"{path} is not a checkpoint of PyTorch, or is cut off (a download that stopped?)"
        ) from problem
