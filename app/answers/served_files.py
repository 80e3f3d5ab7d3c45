"""The ONNX files that the demo serves: of a run, a model folder, a hub id, or one exported file."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.graph.onnx_file import OnnxFile
from exporters.variants import VARIANTS, Variant
from lxcompress.errors import ConfigError, ModelError, RunError
from lxcompress.run import Run
from lxcompress.system.cache import writable_cache

if TYPE_CHECKING:  # it imports PyTorch, which the demo does not need when the files exist
    from exporters.source import Source

_TICKET = "sparse-int8"  # what a run serves of its ticket
_ONNX = ".onnx"


@dataclass(frozen=True)
class ModelOptions:
    """What the user says about a model; None where nothing is said.

    variant: of the ticket, or of a model alone.
    dense_variant: of a run's dense model.
    answers, tokenizer: for a model without them.
    """

    variant: str | None = None
    dense_variant: str | None = None
    answers: str | None = None
    tokenizer: str | None = None

    def check_for_run(self) -> None:
        """Raise ConfigError if an option does not fit any run."""
        self.reject("a run has its own answers", "answers", "tokenizer")
        _check_variant("variant", self.variant, sparse=True)
        _check_variant("dense-variant", self.dense_variant, sparse=False)

    def reject(self, why: str, *names: str) -> None:
        """Raise ConfigError if one of these options is given."""
        for name in names:
            if getattr(self, name) is not None:
                raise ConfigError(f"{why}; leave out --{name.replace('_', '-')}")


@dataclass(frozen=True)
class ServedFiles:
    """The files to serve.

    name: of the model, as it was given.
    main: the ticket's file, or that of a model alone.
    dense: the file of the ticket's dense model; None for a model alone.
    feature_size: features of a region that the model takes.
    data: name of the dataset that it was trained on; None where it is not known.
    detector: what made the regions of that dataset; None where it is not known.
    source: what `export` writes the files from; None if there is nothing to export.
    variants: of the files.
    """

    name: str
    main: Path
    dense: Path | None
    feature_size: int
    data: str | None = None
    detector: str | None = None
    source: Source | None = None
    variants: tuple[Variant, ...] = ()

    @classmethod
    def find(cls, name: str, options: ModelOptions) -> ServedFiles:
        """Find the files of a model. Reads configurations, not weights, except of a hub id.

        Raises:
            RunError: a run is not finished, or its ticket is not sparse.
            ModelError: there is no such model, it is not LXMERT, or it has no answers.
            ConfigError: an option does not fit the model.
            DataError: the answer list is none.
        """
        path = Path(name)
        if path.suffix == _ONNX:
            options.reject(f"{name} has its own answers", "answers", "tokenizer")
            options.reject(f"{name} is one exported file", "variant", "dense_variant")
            return cls(name, path, None, _feature_size(path))
        if Run(path).exists():
            options.check_for_run()
            return cls._of_run(name, Run.open_finished(path), options)
        options.reject(f"{name} is not a run, so no dense model is beside it", "dense_variant")
        return cls._of_model(name, options)

    @classmethod
    def _of_run(cls, name: str, run: Run, options: ModelOptions) -> ServedFiles:
        run.check_sparse()
        ticket = VARIANTS[options.variant or _TICKET]
        dense = VARIANTS[options.dense_variant or _comparable_dense(run, ticket)]
        main, other = run.onnx / ticket.file, run.onnx / dense.file
        data = run.read_result().dataset
        if main.exists() and other.exists():
            return cls(name, main, other, _feature_size(main), data.name, data.detector)
        from exporters.source import Source
        from lxcompress.model.lxmert import read_config

        missing = tuple(one for one in (dense, ticket) if not (run.onnx / one.file).exists())
        size = read_config(run.ticket).visual_feat_dim
        source = Source.of(run.folder, None, None)
        return cls(name, main, other, size, data.name, data.detector, source, missing)

    @classmethod
    def _of_model(cls, name: str, options: ModelOptions) -> ServedFiles:
        from exporters.source import Source

        digest = hashlib.sha256(
            "\0".join([_identity(name), str(options.answers), str(options.tokenizer)]).encode()
        )
        folder = Path("onnx") / f"{Path(name).name}-{digest.hexdigest()[:12]}"
        source = Source.of(
            name,
            None,
            None,
            writable_cache() / folder,
            answers=options.answers,
            tokenizer=options.tokenizer,
        )
        assert source.model is not None
        source.model.load_tokenizer()  # that there is none is known before minutes of work
        default = "sparse-fp32" if source.ticket else "fp32"
        (variant,) = source.variants([options.variant or default])
        size = source.model.read_config().visual_feat_dim
        file = source.onnx / variant.file
        return cls(name, file, None, size, source=source, variants=(variant,))

    @property
    def missing(self) -> list[Path]:
        """The files that `export` has to write."""
        files = [self.main] if self.dense is None else [self.dense, self.main]
        return [file for file in files if not file.exists()]

    def export(self) -> None:
        """Write and check the files that are missing or out of date, as `lxcompress export` does.

        Raises:
            ModelError: the model cannot be loaded, or a file does not pass its checks.
        """
        if self.source is not None:
            from exporters.export import export

            export(self.source, self.variants, "cpu")


def find_newest_run(runs: Path) -> Path | None:
    """The most recently finished run in the folder `runs` with a sparse ticket, or None."""
    candidates = [Run(folder) for folder in (runs.iterdir() if runs.is_dir() else ())]
    finished = [run for run in candidates if run.exists() and run.is_finished()]
    newest_first = sorted(finished, key=lambda run: run.result.stat().st_mtime, reverse=True)
    for run in newest_first:
        with suppress(RunError):  # damaged, or made with --no-enforce-mask
            run.check_sparse()
            return run.folder
    return None


def _check_variant(option: str, name: str | None, *, sparse: bool) -> None:
    names = [variant.name for variant in VARIANTS.values() if variant.sparse == sparse]
    if name is not None and name not in names:
        raise ConfigError(f"--{option} {name}: choose {', '.join(names)}")


def _comparable_dense(run: Run, ticket: Variant) -> str:
    """The dense variant that the ticket of a run is best compared with.

    That is fp32; for a structured ticket, which is faster, the one of its own precision.
    """
    return ticket.precision if run.read_result().ticket.structure else "fp32"


def _identity(name: str) -> str:
    """A hub id as it is, and a folder by its absolute path."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def _feature_size(path: Path) -> int:
    """Features of a region that an exported file takes."""
    for given in OnnxFile(path).model.graph.input:
        dimensions = given.type.tensor_type.shape.dim
        if given.name == "visual_feats" and dimensions:
            return int(dimensions[-1].dim_value)
    raise ModelError(f"{path} was not written by `lxcompress export`: it takes no regions")
