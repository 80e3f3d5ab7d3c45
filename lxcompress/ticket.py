"""Loading a ticket: a model folder with the mask that its weights were trained under."""

from __future__ import annotations

from pathlib import Path

from transformers import LxmertForQuestionAnswering

from lxcompress.model.folder import MASK_FILE
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask


def is_ticket(folder: Path) -> bool:
    """Return whether a model folder has a mask."""
    return (folder / MASK_FILE).exists()


def load_ticket(folder: Path) -> tuple[LxmertForQuestionAnswering, Mask]:
    """Load a ticket's model (fp32) and mask, and prove that every pruned weight is exactly zero.

    Raises:
        ModelError: the folder is no LXMERT model, its mask is missing, damaged or of another
            model, or a pruned weight is not zero.
    """
    model = load_model(folder)
    return model, load_mask(folder, model)


def load_mask(folder: Path, model: LxmertForQuestionAnswering) -> Mask:
    """Load the mask of the ticket in `folder` and prove that `model`'s weights obey it.

    Raises:
        ModelError: as `load_ticket`.
    """
    weights = prunable_parameters(model)
    mask = Mask.load(folder / MASK_FILE, weights)
    mask.verify(weights, str(folder))
    return mask
