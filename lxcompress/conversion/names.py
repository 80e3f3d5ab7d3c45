"""Names of parameters: from LXMERT's own code to Hugging Face's, and pairs of torch's pruning.

LXMERT's names: `lxrt_encoder.model.bert.…` and `logit_fc.…` in a model that is fine-tuned
(src/tasks/vqa_model.py, gqa_model.py), `bert.…`, `cls.…`, `obj_predict_head.…` and `answer_head.…`
in a pre-trained one (src/lxrt/modeling.py). `nn.DataParallel` adds `module.`, in front of all or,
around the encoder alone, in the middle. Below `bert.`, both codes have the same names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from lxcompress.errors import ModelError

_DATA_PARALLEL = re.compile(r"(^|(?<=\.))(module\.)+")
_PREFIXES = {
    "lxrt_encoder.model.bert.": "lxmert.",
    "bert.": "lxmert.",
    "logit_fc.": "answer_head.logit_fc.",
}
_ORIGINAL, _MASK = "_orig", "_mask"  # of torch.nn.utils.prune


def to_hugging_face(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors under Hugging Face's names; unknown and Hugging Face's names stay.

    Raises:
        ModelError: two tensors have the same name; `path` is named.
    """
    renamed: dict[str, torch.Tensor] = {}
    for original, tensor in state.items():
        name = _DATA_PARALLEL.sub("", original)
        for prefix, replacement in _PREFIXES.items():
            if name.startswith(prefix):
                name = replacement + name.removeprefix(prefix)
                break
        if name in renamed:
            raise ModelError(f"{path} has two tensors for {name}, one of them {original}")
        renamed[name] = tensor
    return renamed


def merge_pruned(
    state: Mapping[str, torch.Tensor], path: Path
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Replace `NAME_orig` and `NAME_mask` of `torch.nn.utils.prune` by their product, NAME.

    Returns the tensors, and the masks (bool, True where a weight remains) by NAME.

    Raises:
        ModelError: half of a pair is missing, or a mask does not fit or is not of zeros and ones.
    """
    merged, masks = dict(state), dict[str, torch.Tensor]()
    for half in [name for name in state if name.endswith((_ORIGINAL, _MASK))]:
        name = half.removesuffix(_ORIGINAL).removesuffix(_MASK)
        if name in masks:
            continue
        original, mask = merged.pop(name + _ORIGINAL, None), merged.pop(name + _MASK, None)
        if original is None or mask is None:
            lacking = _ORIGINAL if original is None else _MASK
            raise ModelError(f"{path} has {half} without {name}{lacking}")
        if mask.shape != original.shape or not ((mask == 0) | (mask == 1)).all():
            raise ModelError(
                f"{path}: {name}{_MASK} is not a mask of zeros and ones of the shape of "
                f"{name}{_ORIGINAL}"
            )
        masks[name] = mask.bool()
        # Not a product: an infinite or negative weight times zero is NaN or -0.
        merged[name] = torch.where(masks[name], original, torch.zeros_like(original))
    return merged, masks
