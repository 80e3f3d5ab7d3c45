"""The checks of `lxcompress doctor`. Devices are tried, not just listed."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement

from lxcompress.system.cache import cache_folder, why_cache_not_writable
from lxcompress.system.machine.environment import describe, installed_version
from lxcompress.system.machine.onnx_providers import why_unusable

# Three fp32 model folders and a checkpoint (weights and two moments) of 214 M parameters.
_FULL_SIZE_DISK = 6 * 4 * 214_000_000
# Weights, gradients, two moments, and activations of a batch of 32.
_FULL_SIZE_MEMORY = 8_000_000_000
_DEFAULT_DISK = 200_000_000
_SHARED_MEMORY = Path("/dev/shm")


def examine() -> dict[str, Any]:
    """Return "found" (name: value), "notes", and "problems" that keep lxcompress from working."""
    notes: list[str] = []
    problems = wrong_versions()
    environment = describe()
    found = {f"{name} version": version for name, version in environment["versions"].items()}
    found["system"] = environment["system"]
    found["processor"] = f"{environment['processor']}, {environment['cores']} cores"
    memory = environment["memory_bytes"]
    if memory is not None:
        found["memory"] = f"{memory / 1e9:.1f} GB"
        if memory < _FULL_SIZE_MEMORY:
            notes.append("fine-tuning a full-size LXMERT takes about 8 GB of memory")
    if _SHARED_MEMORY.is_dir():
        size = shutil.disk_usage(_SHARED_MEMORY).total
        found["shared memory"] = f"{_SHARED_MEMORY}: {size / 1e6:.0f} MB, not used by lxcompress"
    found["PyTorch device"] = _torch_device(notes)
    found["ONNX Runtime uses"] = ", ".join(usable_providers(problems, notes)) or "nothing"
    _check_disk(found, notes, problems)
    return {"found": found, "notes": notes, "problems": problems}


def wrong_versions() -> list[str]:
    """Return a message for each requirement that is missing or too old."""
    wrong = []
    for line in metadata.requires("lxcompress") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = installed_version(requirement.name)
        if version is None:
            wrong.append(f"{requirement.name} is not installed: pip install '{requirement}'")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is installed, {requirement} is needed")
    return wrong


def _torch_device(notes: list[str]) -> str:
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return f"cuda: {name}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    if torch.backends.mps.is_available():
        return "mps: Apple GPU"
    why = "is built without CUDA" if torch.version.cuda is None else "finds no NVIDIA GPU or driver"
    notes.append(f"PyTorch {why}: training runs on the CPU, too slow for a full-size LXMERT")
    return f"cpu: {torch.get_num_threads()} threads"


def usable_providers(problems: list[str], notes: list[str]) -> list[str]:
    """Return the execution providers with which ONNX Runtime really opens a session."""
    try:
        import onnxruntime
    except ImportError as problem:
        problems.append(f"ONNX Runtime cannot be loaded: {problem}")
        return []
    usable = []
    for provider in onnxruntime.get_available_providers():
        if provider == "TensorrtExecutionProvider":
            continue  # needs TensorRT, which lxcompress does not use
        why = why_unusable(provider)
        if why is None:
            usable.append(provider)
        else:
            notes.append(f"ONNX Runtime lists {provider} but cannot use it here: {why}")
    return usable


def _check_disk(found: dict[str, str], notes: list[str], problems: list[str]) -> None:
    here = Path.cwd()
    _check_space(here, found, "disk, here", problems)
    if shutil.disk_usage(here).free < _FULL_SIZE_DISK:
        notes.append("a run of a full-size LXMERT takes about 5 GB of disk")
    why = why_cache_not_writable()
    if why is not None:
        found["cache"] = "none that can be written to"
        problems.append(why)
        return
    found["cache"] = f"{cache_folder()}, can be written to"
    _check_space(_existing(cache_folder()), found, "disk, cache", problems)


def _check_space(folder: Path, found: dict[str, str], name: str, problems: list[str]) -> None:
    free = shutil.disk_usage(folder).free
    found[name] = f"{folder}: {free / 1e9:.1f} GB free"
    if free < _DEFAULT_DISK:
        problems.append(f"{folder} has only {free / 1e6:.0f} MB free; the default needs 200")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
