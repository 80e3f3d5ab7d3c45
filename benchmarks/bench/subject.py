"""What the user wants measured: a run, or a model and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporters.source import Source
from lxcompress.errors import ModelError
from lxcompress.run import Run
from lxcompress.system.shell import lxcompress_command


@dataclass(frozen=True)
class Subject:
    """A run directory, a model folder or a hub id, with the options of `lxcompress export`.

    data: of a model: dataset to measure accuracy on; None for generated questions.
    answers, tokenizer: for a model that lacks them.
    onnx: folder of the exported files; None for onnx/ in `path`, or in ./NAME of a hub id.
    """

    path: str | Path
    data: str | None = None
    answers: str | None = None
    tokenizer: str | None = None
    onnx: Path | None = None

    @property
    def name(self) -> str:
        """The name of the folder, or the hub id."""
        path = Path(self.path)
        return path.resolve().name if path.is_dir() else str(self.path)

    def open(self) -> Source:
        """Open the run or the model.

        Raises:
            RunError, ModelError, ConfigError: as `Source.of`.
            ModelError: it is one exported file, or a ticket without its dense model.
        """
        path = Path(self.path)
        if path.suffix == ".onnx":
            raise ModelError(
                f"{path} is one exported file; bench compares all files of a model, so give the "
                "run, model folder or hub id that they were exported from"
            )
        source = Source.of(
            self.path, self.data, None, self.onnx, answers=self.answers, tokenizer=self.tokenizer
        )
        if source.dense is None:
            raise ModelError(
                f"{self.path} is a ticket without the dense model to compare it with; "
                f"{_advice(path)}"
            )
        return source

    def export_command(self, variants: Sequence[str] = (), max_tokens: int | None = None) -> str:
        """Return the command that exports the files, with what the model lacks."""
        options = _options({"output": self.onnx, "max-tokens": max_tokens})
        for name in variants:
            options += ["--variant", name]
        return lxcompress_command("export", self.path, *self._options, *options)

    def bench_command(self, options: Sequence[str]) -> str:
        """Return the command that measures it with these options."""
        words = [*self._options, *_options({"onnx": self.onnx}), *options]
        return lxcompress_command("bench", self.path, *words)

    @property
    def _options(self) -> list[str]:
        return _options({"data": self.data, "answers": self.answers, "tokenizer": self.tokenizer})


def _options(values: dict[str, object]) -> list[str]:
    """The options that have a value, for the command line."""
    given = {name: value for name, value in values.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def _advice(ticket: Path) -> str:
    if Run(ticket.parent).exists():
        return f"`{lxcompress_command('bench', ticket.parent)}` measures the run that it is part of"
    return "bench its run, or a model without a mask"
