"""LXMERT as Hugging Face has it: loading, the parts that can be pruned, and saving.

Weights and folder format are Hugging Face's, unchanged; `from_pretrained` loads what
`save_model` wrote. Two things differ while it runs here, and neither changes an answer:
attention goes through `scaled_dot_product_attention`, and the visual half of the last
cross-modality layer, which never reaches the answer, is not computed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    LxmertConfig,
    LxmertForPreTraining,
    LxmertForQuestionAnswering,
    PreTrainedTokenizerBase,
)

from lxcompress.errors import ModelError
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.locate import locate, model_errors, quiet_transformers
from lxcompress.model.unused_branch import skip_unused_branch
from lxcompress.system.files import atomic_path


def load_pretraining_model(source: str | Path) -> LxmertForPreTraining:
    """What `lxcompress pretrain` wrote, heads included; ModelError when it is not that."""
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
    return model


def load_model(source: str | Path, *, without_head: bool = False) -> LxmertForQuestionAnswering:
    """A question-answering LXMERT from a folder or hub id, in fp32, ready to run here.

    `without_head` accepts a checkpoint that has no answer head; its head is random.
    Raises ModelError when it is not LXMERT, is incomplete, or cannot be had.
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
    use_fast_attention(model)
    skip_unused_branch(model)
    return model


def read_config(source: str | Path) -> LxmertConfig:
    """The configuration of a model folder, hub id or `config.json`; ModelError if not LXMERT."""
    source = locate(source)
    with quiet_transformers(), model_errors(source):
        config = AutoConfig.from_pretrained(source)
    if not isinstance(config, LxmertConfig):
        raise ModelError(
            f"{source} is a {config.model_type} model; lxcompress prunes LXMERT "
            '(model_type "lxmert" in config.json)'
        )
    return config


def save_model(
    model: LxmertForQuestionAnswering | LxmertForPreTraining,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    """Write a Hugging Face model folder (config, safetensors, tokenizer), whole or not at all."""
    with atomic_path(folder) as temporary, quiet_transformers():
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
