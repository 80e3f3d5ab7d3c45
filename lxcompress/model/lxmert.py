"""Loading and saving LXMERT in Hugging Face's format.

Weights and folders are Hugging Face's, unchanged: stock `from_pretrained` loads what `save_model`
wrote. In memory two things differ, and neither changes an answer: attention is fused
(`attention.py`), and the visual half of the last cross-modality layer is skipped
(`unused_branch.py`).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoConfig,
    LxmertConfig,
    LxmertForPreTraining,
    LxmertForQuestionAnswering,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import CONFIG_NAME

from lxcompress.errors import ModelError
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.locate import locate, model_errors, quiet_transformers
from lxcompress.model.unused_branch import skip_unused_branch
from lxcompress.system.files import atomic_path, read_json


def load_pretraining_model(source: str | Path) -> LxmertForPreTraining:
    """Load what `lxcompress pretrain` wrote, with its heads; raise ModelError for anything else."""
    source = locate(source)
    config = read_config(source)
    with quiet_transformers(), model_errors(source):
        model, info = LxmertForPreTraining.from_pretrained(
            source, config=config, dtype=torch.float32, output_loading_info=True
        )
    if info["missing_keys"]:
        raise ModelError(
            f"{source} lacks {len(info['missing_keys'])} weights of a pre-training model, e.g. "
            f"{min(info['missing_keys'])}"
        )
    _check_finite(model, source)
    return model


def load_model(source: str | Path, *, without_head: bool = False) -> LxmertForQuestionAnswering:
    """Load a question-answering LXMERT in fp32 from a folder or hub id.

    With `without_head`, a checkpoint without an answer head is accepted; the head is then random.

    Raises:
        ModelError: it is not LXMERT, is incomplete, cannot be loaded, or has weights that are NaN
            or infinite.
    """
    source = locate(source)
    config = read_config(source)
    with quiet_transformers(), model_errors(source):
        model, info = LxmertForQuestionAnswering.from_pretrained(
            source, config=config, dtype=torch.float32, output_loading_info=True
        )
    missing = [
        name
        for name in info["missing_keys"]
        if not (without_head and name.startswith("answer_head."))
    ]
    if missing:
        raise ModelError(
            f"{source} lacks {len(missing)} weights of LXMERT, e.g. {sorted(missing)[0]}; "
            "it is not a complete LXMERT model folder"
        )
    _check_finite(model, source)
    use_fast_attention(model)
    skip_unused_branch(model)
    return model


def without_weights(config: LxmertConfig) -> LxmertForQuestionAnswering:
    """Return a model of this architecture on the device "meta": names and shapes, no values."""
    with torch.device("meta"), quiet_transformers():
        return LxmertForQuestionAnswering(config)


def _check_finite(model: nn.Module, source: str | Path) -> None:
    """Raise ModelError for NaN or infinity: the model would give the same answer to everything."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ModelError(
                f"the weights {name} of {source} have NaN or infinity: the file is damaged, or "
                "training diverged; use another model"
            )


def read_config(source: str | Path) -> LxmertConfig:
    """Read a model's configuration (folder, hub id, file); raise ModelError if not LXMERT's."""
    source = locate(source)
    _check_is_object(Path(source))
    with quiet_transformers(), model_errors(source):
        config = AutoConfig.from_pretrained(source)
    if not isinstance(config, LxmertConfig):
        raise ModelError(
            f"{source} is a {config.model_type} model; lxcompress prunes LXMERT "
            '(model_type "lxmert" in config.json)'
        )
    return config


def _check_is_object(path: Path) -> None:
    """Raise ModelError for a configuration on this machine that is not a JSON object."""
    file = path / CONFIG_NAME if path.is_dir() else path
    if file.is_file():
        what = f"cannot load {path} as an LXMERT model: its configuration"
        if not isinstance(read_json(file, what, ModelError), dict):
            raise ModelError(f"{what} is not a JSON object: {file}")
        if file.read_bytes().startswith(BOM_UTF8):  # transformers reads none
            raise ModelError(
                f"{what} begins with a byte order mark: save it as UTF-8 without one: {file}"
            )


def save_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, folder: Path
) -> None:
    """Write a Hugging Face model folder (config, safetensors, tokenizer), whole or not at all."""
    with atomic_path(folder) as temporary, quiet_transformers():
        model.save_pretrained(temporary)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
