"""What an export reads: the models of a run or a model folder, and questions to check with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from transformers import LxmertConfig, LxmertForQuestionAnswering, PreTrainedTokenizerBase

import lxcompress
from exporters.generated import GENERATED, generated_questions
from exporters.records import Provenance
from exporters.variants import VARIANTS, Variant
from lxcompress.config import EMBEDDED_MODEL, MAX_TOKENS
from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.dataset import Dataset, open_dataset
from lxcompress.errors import ConfigError, ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.folder import MODEL_CONFIG
from lxcompress.model.source import ModelSource
from lxcompress.model.tokenizer import check_vocabulary
from lxcompress.run import Run
from lxcompress.system.files import sha256
from lxcompress.system.hub import is_hub_id
from lxcompress.ticket import is_ticket
from lxcompress.training.start_weights import check_fit, check_length


@dataclass(frozen=True)
class Source:
    """Models to export and how to check the files.

    dense, ticket: model folders; None if the source has no such model.
    onnx: output folder.
    data: dataset whose validation questions the files are checked on; None for generated ones.
    max_tokens: longest question, [CLS] and [SEP] included.
    run: the run that the models are of; None for a model folder.
    model: the model folder or hub id, with what it lacks; None for a run.
    """

    dense: Path | None
    ticket: Path | None
    onnx: Path
    data: str | None
    max_tokens: int
    run: Run | None = field(default=None, compare=False)
    model: ModelSource | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        path: str | Path,
        data: str | None,
        max_tokens: int | None,
        output: Path | None = None,
        *,
        answers: str | None = None,
        tokenizer: str | None = None,
    ) -> Source:
        """Open a run directory, a model folder or a hub id.

        data, max_tokens: for a model; a run has its own. Without data, the files are checked on
            generated questions and regions.
        output: output folder; None for onnx/ in `path`, or in ./NAME of a hub id.
        answers, tokenizer: for a model that lacks them.

        Raises:
            RunError: the run is not finished or was trained without enforcing its mask.
            ModelError: `path` is neither a run nor a model folder nor a hub id, or has no answers.
            ConfigError: an option is given that a run does not take.
        """
        run = Run(Path(path))
        if run.exists():
            if data is not None or max_tokens is not None:
                raise ConfigError("a run has its own data and settings; leave out --data")
            if answers is not None or tokenizer is not None:
                raise ConfigError("a run has its own answers; leave out --answers and --tokenizer")
            run = Run.open_finished(run.folder)
            config = run.read_config()
            run.check_sparse()
            onnx = output or run.onnx
            return cls(run.dense, run.ticket, onnx, config.data, config.max_tokens, run)
        is_elsewhere = str(path) == EMBEDDED_MODEL or is_hub_id(str(path))
        if not run.folder.is_dir() and not is_elsewhere:
            raise ModelError(f"{path} is neither a run directory nor a model folder or hub id")
        if run.folder.is_dir() and not (run.folder / MODEL_CONFIG).exists():
            raise ModelError(f"{path} is not a model folder: it has no {MODEL_CONFIG}")
        model = ModelSource.open(path, answers, tokenizer)
        labels_of(model.read_config())  # known before minutes of work
        ticket = model.folder if is_ticket(model.folder) else None
        dense = None if ticket else model.folder
        folder = run if model.is_folder else Run(Path(Path(path).name))
        tokens = max_tokens or MAX_TOKENS
        return cls(dense, ticket, output or folder.onnx, data, tokens, model=model)

    @cached_property
    def dataset(self) -> Dataset:
        """The data, if there are any.

        Raises:
            DataError: they are not those that the run was made with.
        """
        assert self.data is not None
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
        hashes = {file.name: sha256(file) for file in files}
        return hashes | (self.model.hashes() if self.model else {})

    def load(self, variant: Variant) -> tuple[LxmertForQuestionAnswering, PreTrainedTokenizerBase]:
        """Load a variant's model, with its answers, and its tokenizer.

        Raises:
            ModelError: either cannot be loaded, or they do not fit.
        """
        model = self.model_source(variant)
        return model.load_model(), model.load_tokenizer()

    def model_source(self, variant: Variant) -> ModelSource:
        """Return where a variant's model, its answers and its tokenizer are."""
        return self.model or ModelSource.open(self.model_folder(variant))

    @property
    def data_fingerprint(self) -> str:
        """The fingerprint of the dataset, or what stands for generated questions."""
        return GENERATED if self.data is None else self.dataset.fingerprint

    def provenance(self, variant: Variant, device: str) -> Provenance:
        """Return what a variant's file is exported from, and checked with on `device`."""
        return Provenance(
            lxcompress=lxcompress.__version__,
            files=self.hashes(variant),
            data=self.data_fingerprint,
            max_tokens=self.max_tokens,
            checked_on=device,
        )


def open_questions(
    source: Source, config: LxmertConfig, tokenizer: PreTrainedTokenizerBase
) -> EncodedQuestions:
    """Return the questions that files are checked on.

    Those are the validation questions of the source's data, whose missing regions are detected
    first, or generated ones.

    Raises:
        DataError: the data have no validation split.
        ModelError: the model does not fit the data or the tokenizer.
    """
    if source.data is None:
        check_vocabulary(tokenizer, config)
        check_length(source.max_tokens, config)
        return generated_questions(config, tokenizer, source.max_tokens)
    dataset = source.dataset
    check_fit(config, dataset, ["val"], tokenizer, source.max_tokens)
    dataset.prepare_regions("val")
    split = dataset.split("val")
    return EncodedQuestions(split.questions, split.regions, tokenizer, max_tokens=source.max_tokens)
