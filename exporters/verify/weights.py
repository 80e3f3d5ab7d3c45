"""Check the weights of a file against the model that it was exported from."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from exporters.encodings.decode_model import EncodedWeights
from exporters.graph.metadata import read_labels
from exporters.graph.onnx_file import OnnxFile, wrap_parse_errors
from exporters.graph.structure import Structure
from exporters.records import WeightCheck
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.compact import live_units, unreachable_parameters


def check_weights(file: OnnxFile, model: LxmertForQuestionAnswering) -> WeightCheck:
    """Check that every weight is, to the bit, the model's in the precision of the file.

    model: the dense model, or the ticket with dense shapes.

    Raises:
        ModelError: a weight differs, the file lacks units that the model uses, or the model has
            another architecture or other answers.
    """
    path, weights = file.path, EncodedWeights(file)
    parameters = _parameters(file, model)
    different = parameters.keys() ^ set(weights.names)
    if different:
        raise ModelError(f"{path} is of another model: only one of them has {min(different)}")
    if read_labels(file) != labels_of(model.config):
        raise ModelError(f"{path} has other answers than the model's config.json")
    largest = 0.0
    for name in weights.names:
        expected = parameters[name].cpu().numpy()
        found = weights.in_model_layout(name, weights.value(name))
        if found.shape != expected.shape:
            raise ModelError(
                f"{path} is of another model: {name} is {found.shape}, not {expected.shape}"
            )
        largest = max(largest, float(np.abs(found - expected).max()))
        if not weights.encodes(name, expected):
            raise ModelError(f"{path}: {name} is not the model's, to the bit")
    return WeightCheck(largest_weight_difference=largest)


def _parameters(file: OnnxFile, model: LxmertForQuestionAnswering) -> dict[str, torch.Tensor]:
    """Return the parameters that the file should have, reduced to its units."""
    with wrap_parse_errors(file.path):
        structure = Structure.loads(file.metadata["structure"])
    live = live_units(model) if structure.kept else {}
    for name, kept in structure.by_name.items():
        if name not in live or live[name].shape != kept.shape:
            raise ModelError(f"{file.path} is of another model: it has other units in {name}")
        if torch.any(live[name] & ~kept):
            raise ModelError(f"{file.path} lacks units of {name} that the model uses")
    unreachable = unreachable_parameters(model, structure.by_name)
    parameters = {
        name: structure.select(name, parameter.detach())
        for name, parameter in model.named_parameters()
        if name not in unreachable
    }
    return {name: remaining for name, remaining in parameters.items() if remaining is not None}
