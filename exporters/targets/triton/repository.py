"""A ticket as a model repository for NVIDIA's Triton Inference Server.

    DIR/<model>/config.pbtxt     tensors, batching, instances: Triton's `ModelConfig`
    DIR/<model>/1/model.onnx     the ticket, with its external data where it has some
    DIR/<model>/labels.txt       its answers, one a line, which Triton gives in place of logits
    DIR/<model>/tokenizer.json   for clients, as questions travel as tokens; cuts and pads
    DIR/<model>/client.py        one that asks about a picture
    DIR/<model>/README.md        how to start the server, and to ask it

Triton joins requests along the batch where all their other dimensions are equal; ragged batches are
nothing that this graph could read. So clients pad: questions to `lxcompress.max_tokens`, pictures
to `lxcompress.regions`, two of the configuration's `parameters`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tokenizers import Tokenizer

import lxcompress
from exporters.graph.interface import OPSET
from exporters.graph.onnx_file import OnnxFile, data_file
from exporters.records import ExportReport
from exporters.runtime.vqa_model import read_labels
from exporters.source import Source
from exporters.targets.output_folder import check_place
from exporters.targets.triton.config import KINDS, LABELS, MARK, triton_config
from exporters.variants import VARIANTS, Variant
from lxcompress.data.dataset import open_dataset
from lxcompress.errors import ConfigError, ModelError
from lxcompress.system.files import atomic_path, sha256

DEFAULTS = {"cuda": "sparse-fp16", "cpu": "sparse-int8"}  # what answers fastest there
_CONFIG = "config.pbtxt"
_HERE = Path(__file__).parent


def served(names: Sequence[str], device: str) -> list[str]:
    """The variants to serve on "cuda" or "cpu", of those that the export was asked for.

    Where it was asked for none by name, the fastest there. ConfigError for another device, and for
    names of which none is a ticket's or one is nothing for that device.
    """
    if device not in DEFAULTS:
        raise ConfigError(f"--triton-device {device}: choose {' or '.join(DEFAULTS)}")
    if not names:
        return [DEFAULTS[device]]
    known = [VARIANTS[name] for name in dict.fromkeys(names) if name in VARIANTS]
    chosen = [variant.name for variant in known if variant.sparse]
    if known and not chosen:
        raise ConfigError(
            f"--triton needs a file of the ticket, such as --variant {DEFAULTS[device]}"
        )
    if device == "cuda" and "sparse-int8" in chosen:
        raise ConfigError(
            "--variant sparse-int8: on a GPU, ONNX Runtime by itself is slow with int8; choose "
            f"{DEFAULTS[device]}, or --triton-device cpu"
        )
    return chosen


def check_triton(source: Source, folder: Path, hub: Path | None = None) -> None:
    """ConfigError, before an export takes its time, where `write_triton` could not write.

    `hub` is a folder that the same export writes.
    """
    if source.ticket is None:
        raise ConfigError(
            f"--triton needs a ticket, and {source.dense} is none: it has no {source.mask_name}"
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--triton {folder} is a file; choose a folder")
    taken = (source.dense, source.ticket, source.onnx, hub)
    check_place("--triton", folder, [path for path in taken if path is not None])
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not (path.name.startswith(".") or _is_ours(path)):
            raise ConfigError(
                f"--triton {folder} holds {path.name}, which is no model of lxcompress; choose a "
                "new or empty folder"
            )


def _is_ours(folder: Path) -> bool:
    path = folder / _CONFIG
    return path.is_file() and path.read_bytes().startswith(MARK.encode())


def write_triton(
    source: Source,
    report: ExportReport,
    variants: Sequence[str],
    folder: Path,
    device: str,
    name: str,
) -> list[Path]:
    """Write a model for each of `variants`, whole or not at all, into `folder`; where they are.

    They are called `name`, as far as a URL takes that, and the variant. One that is there and the
    same stays. Raises ConfigError where something else is in its place, ModelError when a file is
    not what the `report` of the export says.
    """
    called = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "lxmert"
    about = _about(source)
    made = []
    for variant in (VARIANTS[chosen] for chosen in variants):
        path = source.onnx / variant.file
        target = folder / f"{called}-{variant.name}"
        texts = _texts(OnnxFile(path), variant, device, target.name, about)
        model = _Model(path, texts, report.files[variant.file].sha256)
        if target.exists():
            model.check_same(target)
        else:
            model.write(target)
        made.append(target)
    return made


def _about(source: Source) -> dict[str, str]:
    """What clients must know of the pictures; the export was checked on the same data."""
    dataset = open_dataset(source.data)
    regions = dataset.region_format("val")
    return {
        "dataset": dataset.name,
        "detector": regions.detector,
        "regions": str(regions.max_regions),
        "features": str(regions.feature_size),
    }


@dataclass(frozen=True)
class _Model:
    """One model's folder: `onnx`, the SHA-256 `digest` of it and its data, `texts` by file name."""

    onnx: Path
    texts: Mapping[str, str]
    digest: str

    def write(self, folder: Path) -> None:
        with atomic_path(folder) as work:
            (work / "1").mkdir(parents=True)
            for name, text in self.texts.items():
                (work / name).write_text(text, encoding="utf-8", newline="\n")
            for origin, copy in self._copies(work):
                if origin.exists():
                    shutil.copyfile(origin, copy)
            if self._digest(work) != self.digest:
                raise ModelError(f"{self.onnx} is not the file that was checked; export it again")

    def check_same(self, folder: Path) -> None:
        """ConfigError unless `write` would make it as it is: a server may use it, tuned by hand."""
        changed = [
            name
            for name, text in self.texts.items()
            if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
        ]
        if not changed and self._digest(folder) != self.digest:
            changed = ["1/model.onnx"]
        if changed:
            raise ConfigError(
                f"{folder} is there already and its {changed[0]} differs (it was edited, or is of "
                "another export); remove it or choose another --triton"
            )

    def _copies(self, folder: Path) -> list[tuple[Path, Path]]:
        # The model under the name that Triton looks for, its data under the one that it knows.
        data, version = data_file(self.onnx), folder / "1"
        return [(self.onnx, version / "model.onnx"), (data, version / data.name)]

    def _digest(self, folder: Path) -> str:
        return " ".join(sha256(copy) for _, copy in self._copies(folder) if copy.exists())


def _texts(
    file: OnnxFile, variant: Variant, device: str, name: str, about: Mapping[str, str]
) -> dict[str, str]:
    """All files of a model but its ONNX ones."""
    labels = read_labels(file)
    parameters = {
        "version": lxcompress.__version__,
        "variant": variant.name,
        "sparsity": file.metadata["sparsity"],
        "max_tokens": file.metadata["max_tokens"],
        **about,
    }
    readme = Template((_HERE / "readme.md").read_text(encoding="utf-8"))
    return {
        _CONFIG: triton_config(file, name, device, parameters),
        # A line break within an answer would shift all answers after it.
        LABELS: "".join(f"{' '.join(label.splitlines())}\n" for label in labels),
        "tokenizer.json": _padding_tokenizer(file),
        "client.py": (_HERE / "client.py").read_text(encoding="utf-8"),
        "README.md": readme.substitute(
            parameters,
            name=name,
            kind=KINDS[device],
            opset=OPSET,
            gpus="--gpus=all " if device == "cuda" else "",
        ),
    }


def _padding_tokenizer(file: OnnxFile) -> str:
    """The file's tokenizer, but every question as long as the longest may be."""
    tokenizer = Tokenizer.from_str(file.metadata["tokenizer"])
    padding = tokenizer.padding or {}
    tokenizer.enable_padding(**{**padding, "length": int(file.metadata["max_tokens"])})
    return tokenizer.to_str()
