"""The device and precision of a computation, through `accelerate`."""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from lxcompress.errors import ConfigError, DeviceError


def make_accelerator(device: str, precision: str, tensorboard: str | None = None) -> Accelerator:
    """Return an Accelerator on exactly the requested device.

    "auto" takes CUDA, then Apple's MPS, then the CPU; precision "auto" is bf16 on a CUDA device
    that has it, else fp32. Makes torch deterministic, so that a resumed run equals an
    uninterrupted one to the bit. `tensorboard` is the folder of a TensorBoard tracker. Raises
    DeviceError when the machine lacks what is requested, ConfigError without TensorBoard.
    """
    if tensorboard is not None and find_spec("tensorboard") is None:
        # accelerate would silently continue without it.
        raise ConfigError("--tensorboard: install it with `pip install 'lxcompress[tensorboard]'`")
    device = resolve_device(device)
    precision = resolve_precision(precision, device)
    if device == "cuda":
        # cuBLAS is deterministic only with a fixed workspace, set before CUDA starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # accelerate keeps its choice for the whole process, which may do several runs.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="no" if precision == "fp32" else precision,
        log_with="tensorboard" if tensorboard is not None else None,
        project_dir=tensorboard,
    )
    if accelerator.num_processes > 1:
        raise DeviceError(
            f"started as {accelerator.num_processes} processes; lxcompress trains on one device, "
            "start it without a launcher"
        )
    return accelerator


def resolve_device(device: str) -> str:
    """Resolve "auto"; raise DeviceError for a device that this machine does not have."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        why = (
            "this PyTorch is built without CUDA"
            if torch.version.cuda is None
            else "PyTorch finds no usable NVIDIA driver or GPU"
        )
        raise DeviceError(f"--device cuda: {why}; see `lxcompress doctor`, or use --device cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: this machine has no Apple GPU; use --device cpu")
    return device


def resolve_precision(precision: str, device: str) -> str:
    """Resolve "auto"; raise DeviceError for bf16 where the device does not support it."""
    bf16 = device == "cpu" or (
        device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    if precision == "auto":
        return "bf16" if device == "cuda" and bf16 else "fp32"
    if precision == "bf16" and not bf16:
        raise DeviceError(f"--precision bf16: {device} does not compute in bf16; use fp32")
    return precision
