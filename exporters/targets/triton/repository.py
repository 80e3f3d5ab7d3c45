"""Write a ticket as a model repository for NVIDIA's Triton Inference Server.

    DIR/<model>/config.pbtxt     tensors, batching, instances: Triton's `ModelConfig`
    DIR/<model>/1/model.onnx     the ticket, with its external data if it has any
    DIR/<model>/labels.txt       its answers, one a line; Triton can return them for logits
    DIR/<model>/tokenizer.json   for clients, which send tokens; truncates and pads
    DIR/<model>/client.py        a client that asks questions about a picture
    DIR/<model>/README.md        how to start the server and ask questions

Triton batches requests whose dimensions other than the batch are equal; this graph does not support
its ragged batches. Clients therefore pad questions to `lxcompress.max_tokens` and pictures to
`lxcompress.regions`, two of the configuration's `parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

import lxcompress
from exporters.graph.interface import OPSET
from exporters.graph.metadata import read_labels
from exporters.graph.onnx_file import OnnxFile
from exporters.records import ExportReport
from exporters.source import Source
from exporters.targets.markdown import escape_markdown, fill_template
from exporters.targets.onnx_copy import copy_onnx_file, is_copy
from exporters.targets.output_folder import check_output_folder
from exporters.targets.triton.config import INSTANCE_KINDS, LABELS, MARKER, triton_config
from exporters.variants import VARIANTS, Variant
from lxcompress.errors import ConfigError
from lxcompress.model.folder import MASK_FILE
from lxcompress.system.files import atomic_path

DEFAULT_VARIANTS = {"cuda": "sparse-fp16", "cpu": "sparse-int8"}  # the fastest on each device
_CONFIG = "config.pbtxt"
_MODEL = Path("1") / "model.onnx"  # the path that Triton requires
_HERE = Path(__file__).parent


def choose_variants(names: Sequence[str], device: str) -> list[str]:
    """The ticket's variants among `names`, those of the export; without names, the fastest one.

    Raises:
        ConfigError: the device is not "cuda" or "cpu", no variant is a ticket's, or one is not
            suitable for the device.
    """
    if device not in DEFAULT_VARIANTS:
        raise ConfigError(f"--triton-device {device}: choose {' or '.join(DEFAULT_VARIANTS)}")
    default = DEFAULT_VARIANTS[device]
    if not names:
        return [default]
    variants = [VARIANTS[name] for name in dict.fromkeys(names) if name in VARIANTS]
    sparse = [variant.name for variant in variants if variant.sparse]
    if variants and not sparse:
        raise ConfigError(f"--triton needs a file of the ticket, such as --variant {default}")
    if device == "cuda" and "sparse-int8" in sparse:
        raise ConfigError(
            "--variant sparse-int8: on a GPU, ONNX Runtime by itself is slow with int8; choose "
            f"{default}, or --triton-device cpu"
        )
    return sparse


def check_triton(source: Source, folder: Path, hub: Path | None = None) -> None:
    """Check the option `--triton` before an export that takes minutes.

    `hub` is the folder of `--hub` in the same command.

    Raises:
        ConfigError: `write_triton` would fail.
    """
    if source.ticket is None:
        raise ConfigError(
            f"--triton needs a ticket; {source.dense} is a dense model: it has no {MASK_FILE}"
        )
    if source.data is None:
        raise ConfigError("--triton needs --data, which tells what clients must send")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--triton {folder} is a file; choose a folder")
    used = (source.dense, source.ticket, source.onnx, hub)
    check_output_folder("--triton", folder, [path for path in used if path is not None])
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not (path.name.startswith(".") or _is_ours(path)):
            raise ConfigError(
                f"--triton {folder} contains {path.name}, which lxcompress did not write; choose a "
                "new or empty folder"
            )


def _is_ours(folder: Path) -> bool:
    path = folder / _CONFIG
    return path.is_file() and path.read_bytes().startswith(MARKER.encode())


def write_triton(
    source: Source,
    report: ExportReport,
    variants: Sequence[str],
    folder: Path,
    device: str,
    name: str,
) -> list[Path]:
    """Write a model folder for each of `variants` to `folder`, each whole or not at all.

    A model is called after `name`, reduced to characters that a URL allows, and its variant. An
    existing model folder with the same content is left as it is. Returns the model folders.

    Args:
        report: the report of the export.

    Raises:
        ConfigError: an existing model folder has other content.
        ModelError: an ONNX file was changed after the export.
    """
    prefix = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "lxmert"
    parameters = _data_parameters(source)
    models = []
    for variant in (VARIANTS[variant_name] for variant_name in variants):
        onnx = source.onnx / variant.file
        target = folder / f"{prefix}-{variant.name}"
        texts = _texts(OnnxFile(onnx), variant, device, target.name, parameters)
        model = _ModelFolder(onnx, texts, report.files[variant.file].sha256)
        if target.exists():
            model.check_same(target)
        else:
            model.write(target)
        models.append(target)
    return models


def _data_parameters(source: Source) -> dict[str, str]:
    """What clients must know about the regions, from the data that the export was checked on."""
    dataset = source.dataset
    regions = dataset.region_format("val")
    return {
        "dataset": dataset.name,
        "detector": regions.detector,
        "regions": str(regions.max_regions),
        "features": str(regions.feature_size),
    }


@dataclass(frozen=True)
class _ModelFolder:
    """The content of a model's folder: an exported file with its hashes, and texts by file name."""

    onnx: Path
    texts: Mapping[str, str]
    hashes: str

    def write(self, folder: Path) -> None:
        with atomic_path(folder) as work:
            (work / _MODEL).parent.mkdir(parents=True)
            for name, text in self.texts.items():
                (work / name).write_text(text, encoding="utf-8", newline="\n")
            copy_onnx_file(self.onnx, work / _MODEL, self.hashes)

    def check_same(self, folder: Path) -> None:
        """ConfigError unless `folder` has this content: it may be in use, or edited by hand."""
        changed = [
            name
            for name, text in self.texts.items()
            if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
        ]
        if not changed and not is_copy(self.onnx, folder / _MODEL, self.hashes):
            changed = [_MODEL.as_posix()]
        if changed:
            raise ConfigError(
                f"{folder} exists already and its {changed[0]} differs (it was edited, or is from "
                "another export); remove it or choose another --triton"
            )


def _texts(
    file: OnnxFile, variant: Variant, device: str, name: str, data_parameters: Mapping[str, str]
) -> dict[str, str]:
    """The text files of a model folder."""
    labels = read_labels(file)
    parameters = {
        "version": lxcompress.__version__,
        "variant": variant.name,
        "sparsity": file.metadata["sparsity"],
        "max_tokens": file.metadata["max_tokens"],
        **data_parameters,
    }
    readme = fill_template(
        _HERE / "readme.md",
        **{key: escape_markdown(value) for key, value in parameters.items()},
        name=name,
        kind=INSTANCE_KINDS[device],
        opset=OPSET,
        gpus="--gpus=all " if device == "cuda" else "",
    )
    return {
        _CONFIG: triton_config(file, name, device, parameters),
        # A line break in an answer would shift all later answers.
        LABELS: "".join(f"{' '.join(label.splitlines())}\n" for label in labels),
        "tokenizer.json": _padding_tokenizer(file),
        "client.py": (_HERE / "client.py").read_text(encoding="utf-8"),
        "README.md": readme,
    }


def _padding_tokenizer(file: OnnxFile) -> str:
    """The file's tokenizer, changed to pad every question to the maximum length."""
    tokenizer = Tokenizer.from_str(file.metadata["tokenizer"])
    padding = tokenizer.padding or {}
    tokenizer.enable_padding(**{**padding, "length": int(file.metadata["max_tokens"])})
    return tokenizer.to_str()
