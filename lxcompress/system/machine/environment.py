"""Versions and machine, saved with every result."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import lxcompress

_PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "safetensors",
    "tokenizers",
    "numpy",
    "scipy",
    "onnxruntime-gpu",
    "onnxruntime",
)


def describe(device: str | None = None) -> dict[str, Any]:
    """Return versions, processor, memory in bytes, and the GPU where `device` is one."""
    found = {"lxcompress": lxcompress.__version__, "python": platform.python_version()}
    found |= {name: version for name in _PACKAGES if (version := installed_version(name))}
    description: dict[str, Any] = {
        "versions": found,
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_bytes": memory_bytes(),
    }
    if device is not None:
        description["device"] = device
    if device == "cuda":
        description["gpu"] = torch.cuda.get_device_name()
        description["cuda"] = torch.version.cuda
    return description


def onnx_machine(threads: int | None) -> dict[str, Any]:
    """Return what latencies in ONNX Runtime on the CPU depend on. threads: of a session."""
    versions = (installed_version(name) for name in ("onnxruntime-gpu", "onnxruntime"))
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "onnxruntime": next((version for version in versions if version), None),
    }


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the processor's name, as far as the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """Return the physical memory in bytes, or None where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
