"""Finds, checks, converts and loads the weights of the bottom-up-attention detector.

They are published as `config.yaml` and `pytorch_model.bin` on the Hugging Face Hub. The latter is
a pickle: it is read once, as weights only, and kept as safetensors in lxcompress's cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lxcompress.errors import ModelError
from lxcompress.system.cache import cache_folder, writable_cache
from lxcompress.system.files import atomic_path, check_regular, read_text, sha256
from lxcompress.system.proxies import explain_proxy
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.boxes import cell_anchors
from lxcompress.vision.butd.network import BottomUpNetwork, expected_shapes
from lxcompress.vision.butd.setting import DetectorSetting, describe_weights

HUB_ID = "unc-nlp/frcnn-vg-finetuned"
CONFIG_NAME, WEIGHTS_NAME = "config.yaml", "pytorch_model.bin"
PIXEL_MEAN = (102.9801, 115.9465, 122.7717)  # blue, green, red

_CACHE = "butd"  # folder in lxcompress's cache
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_ANCHORS = "proposal_generator.anchor_generator.cell_anchors.0"


def load_network(source: str | Path, architecture: Architecture) -> tuple[BottomUpNetwork, str]:
    """The network with the weights of a folder or hub id, and the SHA-256 of their file.

    Raises:
        ModelError: the weights are not available, not a file of weights, or another network's.
        ConfigError: the cache cannot be written.
    """
    config, weights = _find(source)
    check_config(config, architecture)
    try:
        digest = sha256(weights)
    except OSError as problem:
        raise ModelError(f"cannot read {weights}: {problem.strerror}") from None
    with torch.device("meta"):
        network = BottomUpNetwork(architecture)
    converted = cache_folder() / _CACHE / f"{digest}.safetensors"
    if not converted.is_file():
        _convert(weights, converted, network)
    try:
        state = load_file(converted)
    except (OSError, SafetensorError) as problem:
        raise ModelError(f"cannot read {converted} ({problem}); delete it and try again") from None
    _check_state(state, network, converted)
    network.load_state_dict(state, assign=True)
    return network, digest


def weights_identity(source: str | Path, setting: DetectorSetting) -> str:
    """What regions record about the weights of a folder or hub id, and about a definite setting.

    Raises:
        ModelError: they are not available.
    """
    return describe_weights(sha256(_find(source)[1]), setting)


def check_config(path: Path, architecture: Architecture) -> None:
    """Raise ModelError when a `config.yaml` describes another network than this.

    Only settings that the weights were trained with are compared. The number of regions and the
    thresholds are not read: they are always those of LXMERT's features.
    """
    check_regular(path, ModelError)
    try:
        content = yaml.safe_load(read_text(path))
    except FileNotFoundError:
        raise ModelError(f"no {CONFIG_NAME} beside the detector's weights: {path}") from None
    except OSError as problem:
        raise ModelError(f"cannot read {path}: {problem.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        reason = " ".join(str(problem).split())
        raise ModelError(f"not valid YAML ({reason}): {path}") from None
    if not isinstance(content, dict):
        raise ModelError(f"not the configuration of a detector: {path}")
    for key, expected in _implemented(architecture).items():
        section, _, name = key.partition(".")
        inside = content.get(section)
        if not isinstance(inside, dict) or name not in inside:
            continue
        found = inside[name]
        if found != expected:
            raise ModelError(
                f"{key} is {found!r}, but this detector has {expected!r}: the weights are of "
                f"another network: {path}"
            )


def _implemented(architecture: Architecture) -> dict[str, Any]:
    """Values that `config.yaml` must have for these keys, if it has them; True equals 1 there."""
    return {
        "model.pixel_mean": list(PIXEL_MEAN),
        "model.pixel_std": [1, 1, 1],
        "model.max_pool": True,  # Caffe's: no padding, rounded up
        "input.format": "BGR",
        "input.min_size_test": architecture.short_side,
        "input.max_size_test": architecture.long_side,
        "resnets.depth": 101,
        "resnets.norm": "BN",
        "resnets.num_groups": 1,
        "resnets.width_per_group": architecture.width,
        "resnets.stem_out_channels": architecture.width,
        "resnets.res2_out_channels": 4 * architecture.width,
        "resnets.stride_in_1x1": True,
        "anchor_generator.sizes": [list(architecture.anchor_sizes)],
        "anchor_generator.aspect_ratios": [list(architecture.anchor_ratios)],
        "anchor_generator.offset": 0,
        "proposal_generator.hidden_channels": 8 * architecture.width,
        "rpn.bbox_reg_weights": [1, 1, 1, 1],
        "roi_heads.num_classes": architecture.classes,
        "roi_box_head.pooler_resolution": 14,
        "roi_box_head.bbox_reg_weights": [10, 10, 5, 5],
        "roi_box_head.cls_agnostic_bbox_reg": False,
        "roi_box_head.res5halve": False,
        "roi_box_head.attr": True,
        "roi_box_head.num_attrs": architecture.attributes,
    }


def _find(source: str | Path) -> tuple[Path, Path]:
    """The two files of a folder, or of a repository of the Hugging Face Hub."""
    folder = Path(source)
    if folder.is_dir():
        weights = folder / WEIGHTS_NAME
        if not weights.is_file():
            raise ModelError(f"no {WEIGHTS_NAME} in {folder}: not a folder of detector weights")
        return folder / CONFIG_NAME, weights
    if folder.exists() or not _HUB_ID.fullmatch(str(source)):
        raise ModelError(
            f"detector weights: there is no folder {source}; give one with {CONFIG_NAME} "
            f"and {WEIGHTS_NAME}, or a Hugging Face id such as {HUB_ID}"
        )
    from huggingface_hub import hf_hub_download

    try:
        config, weights = (
            Path(hf_hub_download(str(source), name)) for name in (CONFIG_NAME, WEIGHTS_NAME)
        )
    except Exception as problem:  # the hub's client raises anything from OSError to ValueError
        advice = explain_proxy(problem)
        if advice is not None:
            raise ModelError(
                f"cannot get {source} from the Hugging Face Hub: {advice}"
            ) from problem
        reason = type(problem).__name__
        raise ModelError(
            f"there is no folder {source}, and the Hugging Face Hub did not give weights of that "
            f"name ({reason}: offline, or no such id?); connect and try again, or download "
            f"{CONFIG_NAME} and {WEIGHTS_NAME} of {HUB_ID} into a folder and give that as weights"
        ) from problem
    return config, weights


def _convert(weights: Path, converted: Path, network: BottomUpNetwork) -> None:
    """Write the checked content of a pickle of weights as safetensors, once for all processes."""
    with FileLock(writable_cache(_CACHE) / f"{converted.stem}.lock"):
        if converted.is_file():
            return
        state = _read_pickle(weights)
        _check_state(state, network, weights)
        state = {name: state[name].float().contiguous() for name in expected_shapes(network)}
        with atomic_path(converted) as temporary:
            save_file(state, temporary)


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        # Anything but tensors in plain containers is rejected, so no code of the file runs.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # a broken archive fails in many ways
        raise ModelError(
            f"not a PyTorch weights file, cut off, or with code in it (which was not run): {path}"
        ) from problem
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise ModelError(f"not a state dict (a tensor for each name): {path}")
    return dict(content)


def _check_state(state: Mapping[str, Tensor], network: BottomUpNetwork, path: Path) -> None:
    """Raise ModelError for tensors that are missing, unknown, of another shape, or not finite."""
    expected = expected_shapes(network)
    missing = [name for name in expected if name not in state]
    # A counter of training steps, which BatchNorm2d saves beside its statistics.
    unknown = [n for n in state if n not in expected and not n.endswith("num_batches_tracked")]
    for names, what in (
        (missing, f"lacks {len(missing)} of its {len(expected)} tensors"),
        (unknown, f"has {len(unknown)} unknown tensors"),
    ):
        if names:
            raise ModelError(
                f"not weights of the bottom-up-attention detector: the file {what}, "
                f"e.g. {names[0]}: {path}"
            )
    for name, shape in expected.items():
        found = state[name]
        if tuple(found.shape) != shape or not found.is_floating_point():
            raise ModelError(
                f"not weights of the bottom-up-attention detector: {name} is {found.dtype} "
                f"{list(found.shape)}, expected floats {list(shape)}: {path}"
            )
        if not found.isfinite().all():
            raise ModelError(f"damaged weights: {name} has NaN or infinity: {path}")
    anchors = cell_anchors(network.architecture.anchor_sizes, network.architecture.anchor_ratios)
    if not torch.allclose(state[_ANCHORS].float(), anchors, atol=0.01):
        raise ModelError(f"weights for other anchors than this detector's: {_ANCHORS}: {path}")
