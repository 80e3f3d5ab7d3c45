"""What an export reads: the models of a run or a model folder, and questions to check with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from transformers import LxmertConfig, PreTrainedTokenizerBase

import lxcompress
from exporters.records import Provenance
from exporters.variants import VARIANTS, Variant
from lxcompress.config import PruneConfig
from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.errors import ConfigError, ModelError
from lxcompress.run import MODEL_CONFIG, Run
from lxcompress.system.files import sha256
from lxcompress.ticket import is_ticket
from lxcompress.training.start_weights import check_fit

_MAX_TOKENS: int = PruneConfig.model_fields["max_tokens"].default


@dataclass(frozen=True)
class Source:
    """Models to export and how to check the files.

    dense, ticket: model folders; None if the source has no such model.
    onnx: output folder.
    data: dataset whose validation questions the files are checked on.
    max_tokens: longest question, [CLS] and [SEP] included.
    run: the run that the models are of; None for a model folder.
    """

    dense: Path | None
    ticket: Path | None
    onnx: Path
    data: str
    max_tokens: int
    run: Run | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls, path: Path, data: str | None, max_tokens: int | None, output: Path | None = None
    ) -> Source:
        """Open a run directory, or a model folder with the dataset to check its files on.

        data, max_tokens: for a model folder; a run has its own.
        output: output folder; None for onnx/ in `path`.

        Raises:
            RunError: the run is not finished or was trained without enforcing its mask.
            ModelError: `path` is neither a run nor a model folder.
            ConfigError: `data` is missing, or given for a run.
        """
        if Run(path).exists():
            if data is not None or max_tokens is not None:
                raise ConfigError("a run has its own data and settings; leave out --data")
            run = Run.open_finished(path)
            config = run.read_config()
            run.check_sparse()
            onnx = output or run.onnx
            return cls(run.dense, run.ticket, onnx, config.data, config.max_tokens, run)
        if not path.is_dir():
            raise ModelError(f"{path} is neither a run directory nor a model folder")
        if not (path / MODEL_CONFIG).exists():
            raise ModelError(f"{path} is not a model folder: it has no {MODEL_CONFIG}")
        if data is None:
            raise ConfigError(
                f"{path} is a model folder; give --data, the dataset on whose questions the "
                "files are checked"
            )
        ticket = path if is_ticket(path) else None
        dense = None if ticket else path
        return cls(dense, ticket, output or Run(path).onnx, data, max_tokens or _MAX_TOKENS)

    @cached_property
    def dataset(self) -> Dataset:
        """The data; DataError when they are not those that the run was made with."""
        return self.run.open_dataset() if self.run else open_dataset(self.data)

    def variants(self, names: Sequence[str]) -> list[Variant]:
        """Return the variants of these names, or all that the source has a model for.

        Raises:
            ConfigError: a name is unknown, or the source has no model for it.
        """
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
                missing = "a mask" if VARIANTS[name].sparse else "an unpruned model"
                raise ConfigError(
                    f"--variant {name} needs {missing}, which is not there; "
                    f"choose {', '.join(variant.name for variant in available)}"
                )
            chosen.append(VARIANTS[name])
        return chosen

    def model_folder(self, variant: Variant) -> Path:
        """Return the model folder of a variant, absolute so that it cannot be read as a hub id."""
        folder = self.ticket if variant.sparse else self.dense
        assert folder is not None
        return folder.absolute()

    def hashes(self, variant: Variant) -> dict[str, str]:
        """Return the SHA-256 of weights, mask, config and tokenizer files of a variant's model."""
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
    """Return the validation questions of the source's data; missing regions are detected first.

    Raises:
        DataError: the data have no validation split.
        ModelError: the model does not fit the data.
    """
    dataset = source.dataset
    check_fit(config, dataset, ["val"], tokenizer, source.max_tokens)
    dataset.prepare_regions("val")
    split = dataset.split("val")
    return EncodedQuestions(split.questions, split.regions, tokenizer, max_tokens=source.max_tokens)
