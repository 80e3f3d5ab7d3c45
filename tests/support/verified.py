"""Exported files and the model they are compared with, good or altered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from exported import FILES
from onnx import ModelProto, numpy_helper
from transformers import LxmertForQuestionAnswering

from exporters.graph.metadata import CONTENT_DIGEST, AnswerMetadata, content_digest
from exporters.graph.onnx_file import OnnxFile
from lxcompress.data.batches import EncodedQuestions
from lxcompress.pruning.mask import Mask

UNUSED = "lxmert.encoder.x_layers.0.visn_"  # of the tiny model; no answer depends on it
MATRIX = "lxmert.pooler.dense.weight"


@dataclass
class Original:
    """A ticket, and what a file exported from it is compared with."""

    model: LxmertForQuestionAnswering
    mask: Mask
    questions: EncodedQuestions
    reference: np.ndarray
    answers: AnswerMetadata


def path_of(run: Path, name: str) -> Path:
    return run / "onnx" / FILES[name]


def file_of(run: Path, name: str) -> OnnxFile:
    return OnnxFile(path_of(run, name))


def set_metadata(key: str, value: str) -> Callable[[ModelProto], None]:
    """A change of a metadata value."""

    def change(model: ModelProto) -> None:
        (item,) = [item for item in model.metadata_props if item.key == key]
        item.value = value

    return change


def altered(path: Path, folder: Path, change: Callable[[ModelProto], Any]) -> OnnxFile:
    """An altered copy with a valid digest, as a forger would write it."""
    model = onnx.load(path)
    change(model)
    arrays = ((t.name, numpy_helper.to_array(t)) for t in model.graph.initializer)
    set_metadata(CONTENT_DIGEST, content_digest(model, arrays))(model)
    (folder / path.name).write_bytes(model.SerializeToString())
    return OnnxFile(folder / path.name)


def with_other_weights(
    original: Original, change: Callable[[dict[str, torch.Tensor]], Any]
) -> LxmertForQuestionAnswering:
    """A copy of the model with changed weights."""
    model = LxmertForQuestionAnswering(original.model.config)
    model.load_state_dict(original.model.state_dict())
    with torch.no_grad():
        change(dict(model.named_parameters()))
    return model
