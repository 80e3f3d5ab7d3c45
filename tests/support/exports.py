"""Exporting a run in tests, and what it leaves in the output folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from exported import add_noise

from exporters.export import export
from exporters.records import ExportReport
from exporters.source import Source
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask


@dataclass
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error message, which must be one line, without a traceback."""
        assert self.code == 2, self
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and self.err.endswith(f"{lines[0]}\n"), self.err
        assert "Traceback" not in self.out + self.err
        return lines[0].removeprefix("error: ")


Command = Callable[..., Outcome]


def file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def modification_times(folder: Path) -> dict[str, int]:
    """Nanoseconds, by file name."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def read_report(run: Path) -> dict[str, Any]:
    return json.loads((run / "onnx" / "export.json").read_text())


def export_run(run: Path, *variants: str) -> ExportReport:
    source = Source.of(run, None, None)
    return export(source, source.variants(variants), "cpu")


def retrain(folder: Path) -> None:
    """Change the weights as another training would, under the same mask if there is one."""
    model = load_model(folder)
    add_noise(model, seed=1)
    if (folder / "mask.safetensors").exists():
        weights = prunable_parameters(model)
        Mask.load(folder / "mask.safetensors", weights).apply(weights)
    model.save_pretrained(folder)


def flip_bit_of_weight(path: Path) -> None:
    """In the middle of the largest weight of a file."""
    tensor = max(onnx.load(path).graph.initializer, key=lambda found: len(found.raw_data))
    content = bytearray(path.read_bytes())
    content[content.index(tensor.raw_data) + len(tensor.raw_data) // 2] ^= 16
    path.write_bytes(content)
