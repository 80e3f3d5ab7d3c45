"""A ticket as a Hugging Face model folder: weights, ONNX files and a card, and its upload."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

import lxcompress
from exporters.graph.onnx_file import data_file, file_hashes
from exporters.records import ExportReport
from exporters.source import Source
from exporters.targets.model_card import model_card
from exporters.targets.output_folder import check_place
from exporters.variants import VARIANTS
from lxcompress.errors import ConfigError, LxcompressError, ModelError, RunError
from lxcompress.run import Run
from lxcompress.system.files import atomic_path, read_json
from lxcompress.system.text import one_line

_NEEDED = ("config.json", "model.safetensors", "mask.safetensors")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def check_hub(
    source: Path, names: Sequence[str], output: Path | None, folder: Path, repo: str | None
) -> None:
    """ConfigError, before an export takes its time, for what `--hub` and `--push` could not do.

    `source`, variant `names` and `output` are those of the export.
    """
    run = Run(source)
    if source.is_dir() and not run.theta0.is_dir():
        raise ConfigError(f"--hub needs a run directory, whose result it tells; {source} is none")
    if names and all(name in VARIANTS and not VARIANTS[name].sparse for name in names):
        raise ConfigError("--hub needs a file of the ticket, such as --variant sparse-int8")
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder} exists already; choose another --hub or remove it")
    check_place("--hub", folder, (run.theta0, run.dense, run.ticket, output or run.onnx))
    if repo is not None:
        try:
            validate_repo_id(repo)
        except HFValidationError as problem:
            raise ConfigError(f"--push: {problem}") from None
        if "/" not in repo:
            raise ConfigError(f"--push {repo}: give OWNER/NAME")


def write_hub_folder(
    run: Run, report: ExportReport, folder: Path, onnx: Path | None = None
) -> None:
    """Write the model folder, whole or not at all; `report` is of the export to `onnx`, or the run.

    Of the ONNX files only the ticket's go along: the dense ones are there to compare with, and
    would make a repository that is about being small several times as large. Raises ConfigError
    when there is none, ModelError when one is not what the report says, and as `Source.of` and
    `atomic_path`.
    """
    source = Source.of(run.folder, None, None, onnx)
    result = read_json(run.result, "result", RunError)
    config = read_json(run.ticket / "config.json", "model configuration", ModelError)
    sparse = [variant for variant in VARIANTS.values() if variant.sparse]
    hashes = source.hashes(sparse[0])
    found = {variant.file: report.files.get(variant.file) for variant in sparse}
    # A report can name files of an older ticket too.
    files = {
        name: record
        for name, record in found.items()
        if record and record.provenance.files == hashes
    }
    if not files:
        raise ConfigError(f"{source.onnx} has no file of this ticket; export one")
    for name, record in files.items():
        path = source.onnx / name
        if not path.exists() or file_hashes(path) != record.sha256:
            raise ModelError(f"{path} is not the file that was checked; export it again")
    card = model_card(folder.name, result, files, config)
    with atomic_path(folder) as work:
        (work / "onnx").mkdir(parents=True)
        (work / "README.md").write_text(card, encoding="utf-8", newline="\n")
        for part in (*_NEEDED, *_TOKENIZER):
            if part in _NEEDED or (run.ticket / part).exists():
                shutil.copyfile(run.ticket / part, work / part)
        for file in files:
            for path in (source.onnx / file, data_file(source.onnx / file)):
                if path.exists():
                    shutil.copyfile(path, work / "onnx" / path.name)


def push(folder: Path, repo: str) -> str:
    """Upload the folder to `repo` (OWNER/NAME), which is made where it is not there; its URL.

    LxcompressError, with how to do it later, when that fails.
    """
    # token=True: without a token, say so instead of asking the server.
    api = HfApi(token=True, library_name="lxcompress", library_version=lxcompress.__version__)
    message = f"Upload a ticket by lxcompress {lxcompress.__version__}"
    try:
        url = api.create_repo(repo, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    except Exception as problem:  # whatever the libraries below make of a network, HTTP or a name
        reason = one_line(problem).rstrip(".") or type(problem).__name__
        raise LxcompressError(
            f"cannot upload to {repo}: {reason}; {folder} is complete, upload it later with "
            f"`{shlex.join(['hf', 'upload', repo, str(folder)])}`"
        ) from problem
    return str(url)
