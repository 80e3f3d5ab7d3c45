"""Write a model repository for the Hugging Face Hub: weights, ONNX files, card. Upload it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

import lxcompress
from exporters.records import ExportReport
from exporters.source import Source
from exporters.targets.cards.model import export_card
from exporters.targets.cards.parts import ONNX_FOLDER
from exporters.targets.cards.ticket import ticket_card
from exporters.targets.onnx_copy import copy_onnx_file
from exporters.targets.output_folder import check_output_folder
from exporters.variants import VARIANTS
from lxcompress.errors import ConfigError, LxcompressError
from lxcompress.model.folder import MASK_FILE, MODEL_CONFIG, MODEL_WEIGHTS
from lxcompress.model.lxmert import read_config, save_model
from lxcompress.system.files import atomic_path
from lxcompress.system.proxies import explain_proxy
from lxcompress.system.text import one_line

_MODEL_FILES = (MODEL_CONFIG, MODEL_WEIGHTS, MASK_FILE)
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


def check_hub(source: Source, names: Sequence[str], folder: Path, repo: str | None) -> None:
    """Check the options `--hub` and `--push` before an export that takes minutes.

    `source` and variant `names` are those of the export.

    Raises:
        ConfigError: `write_hub_folder` or `push` would fail.
    """
    is_dense = [name in VARIANTS and not VARIANTS[name].sparse for name in names]
    if source.ticket is not None and names and all(is_dense):
        raise ConfigError("--hub needs a file of the ticket, such as --variant sparse-int8")
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder} exists already; choose another --hub or remove it")
    theta0 = source.run.theta0 if source.run else None
    models = [model for model in (theta0, source.dense, source.ticket) if model is not None]
    check_output_folder("--hub", folder, [*models, source.onnx])
    if repo is not None:
        try:
            validate_repo_id(repo)
        except HFValidationError as problem:
            raise ConfigError(f"--push: {problem}") from None
        if "/" not in repo:
            raise ConfigError(f"--push {repo}: give OWNER/NAME")


def write_hub_folder(source: Source, report: ExportReport, folder: Path) -> None:
    """Write the model repository to `folder`, whole or not at all.

    Of a run, it contains the ticket's ONNX files only: dense files, which serve for comparison,
    would multiply the size of a repository whose point is to be small. A model of another origin
    gets what it may lack: its answers in config.json, its tokenizer, and safetensors.

    Args:
        report: the report of the export of `source`.

    Raises:
        ConfigError: there is no ONNX file of this model.
        ModelError: an ONNX file was changed after the export.
        LxcompressError: `folder` exists, or the disk is full.
    """
    variants = [variant for variant in source.variants([]) if variant.sparse or not source.ticket]
    hashes = source.hashes(variants[0])
    records = {variant.file: report.files.get(variant.file) for variant in variants}
    # The report may also list files of an earlier model.
    files = {
        name: record
        for name, record in records.items()
        if record and record.provenance.files == hashes
    }
    if not files:
        what = "ticket" if source.ticket else "model"
        raise ConfigError(f"{source.onnx} has no file of this {what}; export one")
    with atomic_path(folder) as work:
        if source.run is not None:
            config = read_config(source.run.ticket)
            card = ticket_card(folder.name, source.run.read_result(), files, config)
            _copy_model(source.run.ticket, work)
        else:
            model, tokenizer = source.load(variants[0])
            card = export_card(folder.name, source, files, model.config)
            save_model(model, tokenizer, work)
            if source.ticket is not None:
                shutil.copyfile(source.ticket / MASK_FILE, work / MASK_FILE)
        (work / ONNX_FOLDER).mkdir()
        (work / "README.md").write_text(card, encoding="utf-8", newline="\n")
        for name, record in files.items():
            copy_onnx_file(source.onnx / name, work / ONNX_FOLDER / name, record.sha256)


def _copy_model(ticket: Path, folder: Path) -> None:
    folder.mkdir()
    for name in (*_MODEL_FILES, *_TOKENIZER_FILES):
        if name in _MODEL_FILES or (ticket / name).exists():
            shutil.copyfile(ticket / name, folder / name)


def push(folder: Path, repo: str) -> str:
    """Upload the folder to the Hub as `repo` (OWNER/NAME), creating it if needed; return its URL.

    Raises:
        LxcompressError: the upload failed; says how to upload the folder later.
    """
    # token=True: without a token, fail here instead of sending an anonymous request.
    api = HfApi(token=True, library_name="lxcompress", library_version=lxcompress.__version__)
    message = f"Upload a model by lxcompress {lxcompress.__version__}"
    try:
        url = api.create_repo(repo, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    except Exception as problem:  # network, HTTP and validation errors have no common base class
        reason = explain_proxy(problem) or one_line(problem).rstrip(".") or type(problem).__name__
        raise LxcompressError(
            f"cannot upload to {repo}: {reason}; {folder} is complete, upload it later with "
            f"`{shlex.join(['hf', 'upload', repo, str(folder)])}`"
        ) from problem
    return str(url)
