"""A Hugging Face cache in its true layout: blobs, and snapshots of links to them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_config
from transformers import LxmertForQuestionAnswering, PreTrainedTokenizerBase

VQA = "unc-nlp/lxmert-vqa-uncased"
BASE = "unc-nlp/lxmert-base-uncased"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


def use_cache(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the Hub's clients of this process read the cache in `folder`; they are offline."""
    from huggingface_hub import constants

    patch.setattr(constants, "HF_HUB_CACHE", str(folder))


def add_repository(cache: Path, name: str, files: dict[str, bytes]) -> Path:
    """Add a model repository as a download leaves it; return the folder of its snapshot."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / _COMMIT
    for part in (folder / "blobs", folder / "refs", snapshot):
        part.mkdir(parents=True)
    (folder / "refs" / "main").write_text(_COMMIT)
    for file, content in files.items():
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


def published_files(folder: Path, **config: Any) -> dict[str, bytes]:
    """The files of a published fine-tuned model in small: no answers, no tokenizer, a pickle."""
    torch.manual_seed(2)
    model = LxmertForQuestionAnswering(tiny_config(**{"num_qa_labels": 3129, **config}))
    settings = model.config.to_dict()
    for name in ("id2label", "label2id"):
        settings.pop(name, None)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return {
        "config.json": json.dumps(settings | {"architectures": [type(model).__name__]}).encode(),
        "pytorch_model.bin": (folder / "pytorch_model.bin").read_bytes(),
    }


def tokenizer_files(tokenizer: PreTrainedTokenizerBase, folder: Path) -> dict[str, bytes]:
    """The tokenizer files of the base model, with its configuration."""
    tokenizer.save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files | {"config.json": json.dumps(tiny_config().to_dict()).encode()}
