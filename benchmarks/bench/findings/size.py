"""Sentences on the size of the files."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bench.schema import FileSize, Report
from benchmarks.report.numbers import megabytes

# What makes a ticket file smaller, by its encoding: fewer heads and neurons, zeros, or both.
_GAINS = {"compact": "structure", "compact+bitmask": "pruning"}


def size(report: Report) -> list[str]:
    files = report.size.tickets
    bound = max(files, key=lambda file: (file.formula - file.entropy_bound) / file.formula)
    sizes = {other.name: other.bytes for other in report.size.other_formats}
    bitmask = sizes["ticket, bitmask"]
    return [
        *map(size_of, files),
        f"{container(files, 'a ticket file')} {_bound(bound)}",
        f"The fp32 ticket in other formats: {megabytes(sizes['ticket, safetensors'])} as "
        f"safetensors, zeros included; {megabytes(sizes['ticket, safetensors zipped'])} zipped; "
        f"{megabytes(sizes['ticket, CSR'])} as CSR, {sizes['ticket, CSR'] / bitmask:.2f} times "
        f"the {megabytes(bitmask)} of the bitmask encoding.",
    ]


def container(files: Sequence[FileSize], one: str) -> str:
    """What the `files` hold besides weights; `one` names one of them."""
    most = max(files, key=lambda file: file.container / file.bytes)
    return (
        "The weights of every file take exactly the number of bytes that the size formula gives. "
        "Everything else (graph, names, answers, tokenizer) is at most "
        f"{most.container / most.bytes:.1%} of {one} ({most.precision})."
    )


def size_of(file: FileSize) -> str:
    """How large a ticket file is, and how much of that pruning gained."""
    share = (
        f"The {file.precision} ticket file has {file.of_dense_fp32:.1%} of the size of the dense "
        "fp32 file"
    )
    saved = 1 - file.of_dense_same_precision
    change = f"{saved:.1%} smaller" if saved >= 0 else f"{-saved:.1%} larger"
    gain = _GAINS.get(file.encoding, "sparsity")
    if file.precision == "fp32":
        return f"{share}; {gain} alone makes it {change}."
    dense = file.of_dense_fp32 / file.of_dense_same_precision
    return (
        f"{share}, the dense {file.precision} file {dense:.1%}. {gain.capitalize()} makes "
        f"the {file.precision} file {change}."
    )


def _bound(file: FileSize) -> str:
    """What a better code of the mask could gain, for the file in which it could gain most."""
    gain = 1 - file.entropy_bound / file.formula
    if gain < 0.0005:
        return "Even an optimal code of the mask would make the weights less than 0.1% smaller."
    return (
        f"An optimal code of the mask would make the weights at most {gain:.1%} smaller "
        f"({file.precision})."
    )
