"""A model as people have it: a folder or a hub id, and what it lacks, from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transformers import LxmertConfig, LxmertForQuestionAnswering, PreTrainedTokenizerBase

from lxcompress.config import EMBEDDED_MODEL
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import has_labels, set_labels
from lxcompress.model.answer_list import answer_file, find_answers
from lxcompress.model.folder import MASK_FILE, MODEL_CONFIG
from lxcompress.model.locate import locate
from lxcompress.model.lxmert import load_model, read_config
from lxcompress.model.tokenizer import (
    BASE_TOKENIZERS,
    TOKENIZER_FILES,
    load_base_tokenizer,
    load_tokenizer,
)
from lxcompress.system.files import sha256
from lxcompress.system.hub import download, is_hub_id

PUBLISHED = {
    "unc-nlp/lxmert-vqa-uncased": "lxmert-vqa",
    "unc-nlp/lxmert-gqa-uncased": "lxmert-gqa",
}
"""Fine-tuned models of the Hub that have neither answers nor a tokenizer, and their answer list."""

_SAFETENSORS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
_PICKLES = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class ModelSource:
    """A question-answering LXMERT, and where its answers and tokenizer are.

    name: as it was given: a folder, a hub id or lxmert-shapes.
    folder: where its files are on this machine.
    answers: file or shipped list that replaces the model's own answers; None for its own.
    tokenizer: folder or hub id of another tokenizer than the model's; None for its own.
    """

    name: str
    folder: Path
    answers: str | None = None
    tokenizer: str | None = None

    @classmethod
    def open(
        cls, name: str | Path, answers: str | None = None, tokenizer: str | None = None
    ) -> ModelSource:
        """Find the model's folder; a hub id is downloaded into the Hub's cache.

        Raises:
            ModelError: there is no such folder or hub id.
        """
        return cls(str(name), _find_folder(str(name)), answers, tokenizer)

    @property
    def is_folder(self) -> bool:
        """Whether the user named a folder of theirs: not one in the Hub's cache or the package."""
        return self.name != EMBEDDED_MODEL and Path(self.name).is_dir()

    def read_config(self) -> LxmertConfig:
        """Return the configuration, with the answers.

        Raises:
            ModelError: it is not LXMERT's, or `answers` has another length than its head.
            DataError: `answers` is not an answer list.
        """
        config = read_config(self.folder)
        self._set_answers(config)
        return config

    def load_model(self) -> LxmertForQuestionAnswering:
        """Load the model in fp32, with the answers in its configuration; raises as `load_model`.

        Also as `read_config`.
        """
        self.read_config()  # a wrong answer list is found before the weights are read
        model = load_model(self.folder)
        self._set_answers(model.config)
        return model

    def load_tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer: the one given, or the model's own, or the published models'.

        Raises:
            ModelError: there is none.
        """
        if self.tokenizer is not None:
            return load_tokenizer(self.tokenizer)
        try:
            return load_tokenizer(self.folder)
        except ModelError:
            if self.name not in PUBLISHED:
                raise
        tokenizer = load_base_tokenizer()
        if tokenizer is None:
            raise ModelError(
                f"{self.name} has no tokenizer of its own, and {' or '.join(BASE_TOKENIZERS)}, "
                "whose tokenizer it takes, cannot be had (offline?): connect and try again, or "
                "give one with --tokenizer"
            )
        return tokenizer

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of what replaces the model's own answers and tokenizer, by option."""
        files = {}
        if self.answers is not None:
            files["--answers"] = answer_file(self.answers)
        if self.tokenizer is not None:
            # A hub id is downloaded into a cache, where its files do not change.
            folder = Path(self.tokenizer)
            files |= {f"--tokenizer {path.name}": path for path in sorted(folder.glob("*.json"))}
        return {name: sha256(path) for name, path in files.items()}

    def _set_answers(self, config: LxmertConfig) -> None:
        answers = self.answers
        if answers is None and not has_labels(config):
            answers = PUBLISHED.get(self.name)
        if answers is not None:
            set_labels(config, find_answers(answers, config.num_qa_labels))


def _find_folder(name: str) -> Path:
    located = Path(locate(name))
    if located.exists():
        if located.is_dir():
            return located
        raise ModelError(f"{name} is a file, not a model folder")
    if not is_hub_id(name):
        raise ModelError(f"cannot load {name}: there is no such model folder")
    folder = download(name, (MODEL_CONFIG,))
    if not (folder / MODEL_CONFIG).exists():
        raise ModelError(f"{name} on the Hugging Face Hub is not a model: it has no {MODEL_CONFIG}")
    read_config(folder)  # another network's weights are not downloaded
    folder = download(name, (*TOKENIZER_FILES, *_SAFETENSORS, MASK_FILE))
    if not any(any(folder.glob(pattern)) for pattern in _SAFETENSORS):
        folder = download(name, (*TOKENIZER_FILES, *_PICKLES))
    return folder
