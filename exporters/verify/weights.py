"""Check the weights of a file against the model that it was exported from."""

from __future__ import annotations

import numpy as np
from transformers import LxmertForQuestionAnswering

from exporters.encodings.decode_model import EncodedWeights
from exporters.graph.metadata import read_labels
from exporters.graph.onnx_file import OnnxFile
from exporters.records import WeightCheck
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.unused_branch import unused_parameters


def check_weights(file: OnnxFile, model: LxmertForQuestionAnswering) -> WeightCheck:
    """Check that every weight is, to the bit, the model's in the precision of the file.

    Raises:
        ModelError: a weight differs, or the model has another architecture or other answers.
    """
    path, weights, unused = file.path, EncodedWeights(file), unused_parameters(model)
    parameters = {name: p for name, p in model.named_parameters() if name not in unused}
    different = parameters.keys() ^ set(weights.names)
    if different:
        raise ModelError(f"{path} is of another model: only one of them has {min(different)}")
    if read_labels(file) != labels_of(model.config):
        raise ModelError(f"{path} has other answers than the model's config.json")
    largest = 0.0
    for name in weights.names:
        expected = parameters[name].detach().cpu().numpy()
        found = weights.in_model_layout(name, weights.value(name))
        if found.shape != expected.shape:
            raise ModelError(
                f"{path} is of another model: {name} is {found.shape}, not {expected.shape}"
            )
        largest = max(largest, float(np.abs(found - expected).max()))
        if not weights.encodes(name, expected):
            raise ModelError(f"{path}: {name} is not the model's, to the bit")
    return WeightCheck(largest_weight_difference=largest)
