"""The weights of an exported file, decoded one at a time, whatever their encoding."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from exporters.encodings.registry import ENCODINGS, find_encodings
from exporters.graph.interface import CONSTANT, inputs_of
from exporters.graph.onnx_file import OnnxFile, wrap_parse_errors
from lxcompress.errors import ModelError


class EncodedWeights:
    """The weights of `file`, by their Hugging Face names.

    encodings: how each weight is stored. Arrays are in the layout of the graph, where the
    matrices of linear layers are `[in, out]`, unless `in_model_layout` is applied.
    """

    def __init__(self, file: OnnxFile) -> None:
        """Find the encodings; arrays are read on demand.

        Raises:
            ModelError: a tensor that an encoding needs is missing.
        """
        self.file = file
        with wrap_parse_errors(file.path):
            self.encodings = find_encodings(file.model)
            self._matrices = inputs_of(self.graph(decode=True), "MatMul")
        needed = {
            tensor for name, encoding in self.encodings.items() for tensor in encoding.kinds(name)
        }
        missing = needed - file.tensors.keys()
        if missing:
            raise ModelError(f"{file.path} is damaged: it lacks {min(missing)}")

    @property
    def names(self) -> list[str]:
        """The names of all weights."""
        return list(self.encodings)

    @property
    def pruned(self) -> list[str]:
        """The names of the weights whose pruned elements are left out."""
        return [name for name, encoding in self.encodings.items() if encoding.SPARSE]

    def stored(self, name: str) -> np.ndarray:
        """Return a weight in the precision of the file, with its zeros.

        Raises:
            ModelError: the tensors of the weight are damaged.
        """
        return self.tensors(name)[name]

    def value(self, name: str) -> np.ndarray:
        """Return the values of a weight, float32 or float16; raise ModelError as `stored`."""
        return self.encodings[name].dense.decode(name, self.tensors(name).__getitem__)

    def tensors(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays that a dense file would store for a weight, by tensor name."""
        try:
            return self.encodings[name].unpack(name, self.file.array)
        except ValueError as problem:
            raise ModelError(f"{self.file.path} is damaged: {name}: {problem}") from None

    def mask(self, name: str) -> np.ndarray:
        """Return the mask of a weight in `pruned`: bool, True where the weight remains."""
        mask = self.encodings[name].read_mask(name, self.file.array)
        assert mask is not None
        return mask

    def encodes(self, name: str, parameter: np.ndarray) -> bool:
        """Return whether a weight equals, to the bit, a float32 parameter in its encoding."""
        weight = np.ascontiguousarray(self.in_model_layout(name, parameter))
        try:
            expected = self.encodings[name].dense.encode(name, weight)
        except ModelError:  # the encoding cannot even represent it
            return False
        found = self.tensors(name)
        return all(found[tensor].tobytes() == array.tobytes() for tensor, array in expected.items())

    def in_model_layout(self, name: str, array: np.ndarray) -> np.ndarray:
        """Convert an array of a weight's shape to the layout of PyTorch's parameter, or back."""
        return array.T if name in self._matrices else array

    def graph(self, *, decode: bool) -> ModelProto:
        """Return the graph without its weights, which the caller adds as initializers.

        decode: the graph computes with `value`, otherwise with `tensors` (in an int8 file, the
            quantized weights and their scales).
        """
        model = ModelProto()
        model.CopyFrom(self.file.model)
        for encoding_type in reversed(ENCODINGS):
            if encoding_type.DECODED_AT_LOAD or decode:
                encoding_type.remove_from(model)
        graph = model.graph
        constants = [tensor for tensor in graph.initializer if tensor.name.startswith(CONSTANT)]
        del graph.initializer[:], graph.value_info[:]
        graph.initializer.extend(constants)
        return model
