"""`lxcompress convert`: a checkpoint of LXMERT's own code as a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LxmertConfig, PreTrainedTokenizerBase

from lxcompress.conversion.architecture import Architecture, infer_architecture
from lxcompress.conversion.checkpoint_file import read_state_dict
from lxcompress.conversion.names import merge_pruned, to_hugging_face
from lxcompress.errors import ConfigError, ModelError
from lxcompress.model.answer_head import set_labels
from lxcompress.model.answer_list import find_answers
from lxcompress.model.folder import MASK_FILE
from lxcompress.model.lxmert import save_model, without_weights
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import (
    BASE_VOCABULARY,
    check_vocabulary,
    load_base_tokenizer,
    load_tokenizer,
)
from lxcompress.pruning.mask import Mask
from lxcompress.system.files import atomic_path
from lxcompress.system.output_folder import check_writable

_TIED = "cls.predictions.decoder.weight"
_WORDS = "lxmert.embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Conversion:
    """What was written, and what could not be.

    kind: "fine-tuned", "pre-trained" or "encoder only".
    config: the model's configuration.
    mask: of the ticket; None for a checkpoint without masks.
    has_answers, has_tokenizer: whether the folder has an answer list and a tokenizer.
    left_over: names of the checkpoint's tensors that the model has no place for.
    unmasked: masked tensors that are not prunable here; their zeros are in the weights only.
    """

    kind: str
    config: LxmertConfig
    mask: Mask | None
    has_answers: bool
    has_tokenizer: bool
    left_over: list[str]
    unmasked: list[str]


def convert(
    checkpoint: Path,
    output: Path,
    *,
    answers: str | None = None,
    tokenizer: str | None = None,
    heads: int | None = None,
) -> Conversion:
    """Write the model of a checkpoint to the new folder `output`, whole or not at all.

    answers: file of the answer list, or the name of a shipped one.
    tokenizer: folder or hub id; by default LXMERT's, where the vocabulary is its and it can be had.
    heads: attention heads; by default one for 64 features.

    Raises:
        ModelError: the checkpoint is damaged, has code in it, is not LXMERT's, lacks weights or
            has weights that are not finite; the answers or the tokenizer do not fit.
        ConfigError, DataError: an option or the answer list is wrong.
        LxcompressError: there is a folder `output` already.
    """
    check_writable("--output", output)
    if output.exists():
        raise ConfigError(f"--output {output} exists already; choose another folder")
    named = to_hugging_face(read_state_dict(checkpoint), checkpoint)
    state, masks = merge_pruned(named, checkpoint)
    architecture = infer_architecture(state, heads, checkpoint)
    left_over = _fill(architecture, state, checkpoint)
    if answers is not None:
        if not architecture.config.task_qa:
            raise ConfigError(f"--answers: {checkpoint} has no answer head")
        set_labels(architecture.config, find_answers(answers, architecture.config.num_qa_labels))
    found = _tokenizer(tokenizer, architecture.config)
    mask, unmasked = _mask(masks, architecture.config)
    with atomic_path(output) as temporary:
        save_model(architecture.model, found, temporary)
        if mask is not None:
            mask.save(temporary / MASK_FILE)
    return Conversion(
        kind=architecture.kind,
        config=architecture.config,
        mask=mask,
        has_answers=answers is not None,
        has_tokenizer=found is not None,
        left_over=left_over,
        unmasked=unmasked,
    )


def _fill(architecture: Architecture, state: Mapping[str, torch.Tensor], path: Path) -> list[str]:
    """Give the model its weights, in place; return the names of tensors that are left over."""
    model, prefix = architecture.model, architecture.prefix
    expected = {
        name if prefix else f"lxmert.{name}": tensor for name, tensor in model.state_dict().items()
    }
    is_tied = _TIED in state and torch.equal(state[_TIED], state[_WORDS])
    missing = [name for name in expected if name not in state and name != _TIED]
    if missing:
        raise ModelError(
            f"{path} lacks {len(missing)} of the {len(expected)} tensors of LXMERT "
            f"({architecture.kind}): {_some(missing)}"
        )
    filled = {}
    for name, place in expected.items():
        tensor = state[_WORDS if name == _TIED else name]
        if tensor.shape != place.shape or not tensor.is_floating_point():
            raise ModelError(
                f"{path}: {name} is {tensor.dtype} {list(tensor.shape)}, expected floats "
                f"{list(place.shape)}"
            )
        if not tensor.isfinite().all():
            raise ModelError(
                f"{path}: {name} has NaN or infinity: training diverged, or it is damaged"
            )
        # A copy: tensors of a file may share memory, which safetensors refuses.
        filled[name if prefix else name.removeprefix("lxmert.")] = tensor.float().clone()
    model.load_state_dict(filled, assign=True)
    model.tie_weights()
    return [name for name in state if name not in expected or (name == _TIED and not is_tied)]


def _tokenizer(source: str | None, config: LxmertConfig) -> PreTrainedTokenizerBase | None:
    if source is None and config.vocab_size != BASE_VOCABULARY:
        return None
    tokenizer = load_tokenizer(source) if source else load_base_tokenizer()
    if tokenizer is not None:
        check_vocabulary(tokenizer, config)
    return tokenizer


def _mask(masks: Mapping[str, torch.Tensor], config: LxmertConfig) -> tuple[Mask | None, list[str]]:
    """Return the mask over all prunable weights, and the masked tensors that are not prunable."""
    if not masks:
        return None, []
    weights = prunable_parameters(without_weights(config))
    mask = Mask(
        {
            name: masks.get(name, torch.ones(weight.shape, dtype=torch.bool))
            for name, weight in weights.items()
        }
    )
    return mask, [name for name in masks if name not in weights]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
