"""What is exported: the models of a run, or any LXMERT folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from transformers import LxmertConfig, PreTrainedTokenizerBase

import lxcompress
from exporters.records import Provenance
from exporters.variants import VARIANTS, Variant
from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.errors import ConfigError, ModelError
from lxcompress.run import Run
from lxcompress.system.files import sha256
from lxcompress.training.start_weights import check_fit

_MAX_TOKENS = 20  # LXMERT's


@dataclass(frozen=True)
class Source:
    """`dense` and `ticket` are model folders; files go to `onnx`, and are checked on `data`.

    `run` is the run that these are of, if any.
    """

    dense: Path | None
    ticket: Path | None
    onnx: Path
    data: str
    max_tokens: int
    run: Run | None = field(default=None, compare=False)
    mask_name = Run(Path()).mask.name

    @classmethod
    def of(
        cls, path: Path, data: str | None, max_tokens: int | None, output: Path | None = None
    ) -> Source:
        """A run directory (its own data and settings) or a model folder (`data` must be given).

        Files go to `output`, else into `onnx/` there.

        Raises RunError for a run that has no ticket yet, ModelError for what is neither.
        """
        run = Run(path)
        if run.exists():
            if data is not None or max_tokens is not None:
                raise ConfigError("a run has its own data and settings; leave out --data")
            Run.open_finished(path)
            config = run.read_config()
            run.check_sparse()
            onnx = output or run.onnx
            return cls(run.dense, run.ticket, onnx, config.data, config.max_tokens, run)
        if not path.is_dir():
            raise ModelError(f"{path} is neither a run directory nor a model folder")
        if not (path / "config.json").exists():
            raise ModelError(f"{path} is no model folder: it has no config.json")
        if data is None:
            raise ConfigError(
                f"{path} is a model folder; give --data, the dataset on whose questions the "
                "files are checked"
            )
        ticket = path if (path / cls.mask_name).exists() else None
        dense = None if ticket else path
        return cls(dense, ticket, output or run.onnx, data, max_tokens or _MAX_TOKENS)

    @cached_property
    def dataset(self) -> Dataset:
        """The data, opened; DataError when they are not those that the run was made with."""
        return self.run.open_dataset() if self.run else open_dataset(self.data)

    def variants(self, names: Sequence[str]) -> list[Variant]:
        """Those of `names`, or all that the source has the models for; ConfigError for others."""
        available = [
            variant
            for variant in VARIANTS.values()
            if (self.ticket if variant.sparse else self.dense) is not None
        ]
        if not names:
            return available
        chosen = []
        for name in dict.fromkeys(names):
            if name not in VARIANTS:
                raise ConfigError(f"--variant {name}: choose {', '.join(VARIANTS)}")
            if VARIANTS[name] not in available:
                lacks = "a mask" if VARIANTS[name].sparse else "an unpruned model"
                raise ConfigError(
                    f"--variant {name} needs {lacks}, which is not there; "
                    f"choose {', '.join(variant.name for variant in available)}"
                )
            chosen.append(VARIANTS[name])
        return chosen

    def model_folder(self, variant: Variant) -> Path:
        """The folder whose model a variant is; absolute, so that it is never taken for a hub id."""
        folder = self.ticket if variant.sparse else self.dense
        assert folder is not None
        return folder.absolute()

    def hashes(self, variant: Variant) -> dict[str, str]:
        """SHA-256, by name, of the files of a variant's model: weights, mask, config, tokenizer."""
        folder = self.model_folder(variant)
        kinds = ("*.safetensors", "*.bin", "*.json", "vocab.txt")
        files = [file for kind in kinds for file in sorted(folder.glob(kind))]
        return {file.name: sha256(file) for file in files}

    def provenance(self, variant: Variant, device: str) -> Provenance:
        """Return what a variant's file is exported from, and checked with on `device`."""
        return Provenance(
            lxcompress=lxcompress.__version__,
            files=self.hashes(variant),
            data=self.dataset.fingerprint,
            max_tokens=self.max_tokens,
            checked_on=device,
        )


def open_questions(
    source: Source, config: LxmertConfig, tokenizer: PreTrainedTokenizerBase
) -> EncodedQuestions:
    """The validation questions of the source's data, whose missing regions are made first.

    Raises DataError when it has none.
    """
    dataset = source.dataset
    check_fit(config, dataset, ["val"], tokenizer, source.max_tokens)
    dataset.prepare_regions("val")
    split = dataset.split("val")
    return EncodedQuestions(split.questions, split.regions, tokenizer, max_tokens=source.max_tokens)
