"""Answer questions with an exported file, decoded by us before ONNX Runtime loads it.

Stock ONNX Runtime decodes a bitmask file with general operators and keeps their results in memory.
`OnnxVqaModel` decodes one weight at a time into a temporary file of dense weights, which ONNX
Runtime maps, packs for its matrix products and releases. The logits are the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from exporters.encodings.decode_model import EncodedWeights
from exporters.graph.half_precision import to_half
from exporters.graph.interface import OUTPUT
from exporters.graph.metadata import read_labels
from exporters.graph.onnx_file import (
    OnnxFile,
    append_external,
    data_file,
    wrap_parse_errors,
    write_model,
)
from exporters.runtime.region_attention import REGION_ATTENTION, add_region_attention
from exporters.runtime.session import check_device, open_session
from lxcompress.system.files import atomic_path
from lxcompress.vision.regions import Regions


class OnnxVqaModel:
    """An exported LXMERT that answers questions about pictures.

    labels: the answers, in the order of the logits.
    metadata: of the file, by key (`exporters.graph.metadata`).
    tokenizer: of the `tokenizers` library, with truncation and padding.
    """

    def __init__(
        self,
        file: str | Path | OnnxFile,
        device: str = "cpu",
        *,
        threads: int | None = None,
        attention: bool = False,
    ) -> None:
        """Load a file on "cpu" or "cuda". On CUDA, an int8 file computes in fp16.

        file: its path, or the file already opened.
        threads: of the CPU; None for one if the model is small, else all cores.
        attention: compute what `logits_and_attention` returns.

        Raises:
            ModelError: the file is damaged or was not written by `lxcompress export`.
            DeviceError: the device cannot be used here; there is no fallback to another.
        """
        check_device(device)
        opened = file if isinstance(file, OnnxFile) else OnnxFile(Path(file))
        self.metadata = opened.metadata
        self.labels = read_labels(opened)
        self.device = device
        with wrap_parse_errors(opened.path):
            self.tokenizer = Tokenizer.from_str(self.metadata["tokenizer"])
            self.session = _open_decoded(opened, device, threads, attention)

    @property
    def feature_size(self) -> int:
        """Number of features of a region."""
        (features,) = (i for i in self.session.get_inputs() if i.name == "visual_feats")
        return int(features.shape[-1])

    def encode(self, questions: Sequence[str]) -> dict[str, np.ndarray]:
        """Return int64 `input_ids`, `attention_mask`, `token_type_ids`, each `[batch, tokens]`."""
        encoded = self.tokenizer.encode_batch(list(questions))
        ids = np.array([question.ids for question in encoded], np.int64)
        attention = np.array([question.attention_mask for question in encoded], np.int64)
        return {
            "input_ids": ids,
            "attention_mask": attention,
            "token_type_ids": np.zeros_like(ids),
        }

    def logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 `[batch, answers]` for the six inputs of `exporters.graph.interface`.

        Each question needs an unmasked token and each picture an unmasked region. An int8 file on
        the CPU quantizes activations over the whole batch, so its logits depend a little on the
        other questions of the batch.
        """
        return self.run(inputs)[0]

    def logits_and_attention(
        self, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `logits(inputs)` and the attention of each answer over the regions.

        The attention is float32 `[batch, regions]`, rows summing to 1, or 0 for a ticket that
        never looks at the regions (`region_attention`). The model must have been loaded with
        `attention=True`.
        """
        logits, attention = self.run(inputs, (OUTPUT, REGION_ATTENTION))
        return logits, attention

    def run(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = (OUTPUT,)
    ) -> list[np.ndarray]:
        """Return the session's `outputs`, through I/O binding on CUDA."""
        if self.device == "cpu":
            return self.session.run(list(outputs), dict(inputs))
        binding = self.session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in outputs:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()

    def answer(self, questions: Sequence[str], pictures: Sequence[Regions]) -> list[str]:
        """Return the answer of the highest logit to each question about its picture.

        Raises:
            ValueError: a question has no picture, or a picture no regions.
        """
        if isinstance(questions, str) or len(questions) != len(pictures) or not pictures:
            raise ValueError("give a list of questions, and for each the regions of its picture")
        inputs = self.encode(questions) | pad_regions(pictures)
        return [self.labels[index] for index in self.logits(inputs).argmax(axis=1)]


def pad_regions(pictures: Sequence[Regions]) -> dict[str, np.ndarray]:
    """Return `visual_feats`, `visual_pos`, `visual_attention_mask`, padded to the most regions.

    Raises:
        ValueError: a picture has no regions; attention over none is undefined.
    """
    counts = np.array([len(picture.features) for picture in pictures])
    if not counts.all():
        raise ValueError("a picture has no regions; a detector returns at least one")
    present = np.arange(counts.max()) < counts[:, None]
    features = np.zeros((*present.shape, pictures[0].features.shape[1]), np.float32)
    boxes = np.zeros((*present.shape, 4), np.float32)
    features[present] = np.concatenate([picture.features for picture in pictures])
    boxes[present] = np.concatenate([picture.boxes for picture in pictures])
    return {
        "visual_feats": features,
        "visual_pos": boxes,
        "visual_attention_mask": present.astype(np.int64),
    }


def _open_decoded(
    file: OnnxFile, device: str, threads: int | None, attention: bool
) -> onnxruntime.InferenceSession:
    weights = EncodedWeights(file)
    half = device == "cuda" and file.metadata["precision"] == "int8"
    model = weights.graph(decode=half)
    if half:
        model = to_half(model)
    if attention:
        add_region_attention(model)
    with tempfile.TemporaryDirectory(prefix="lxcompress-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.onnx"
        with atomic_path(data_file(path)) as temporary, open(temporary, "wb") as data:
            for name in weights.names:
                arrays = (
                    {name: weights.value(name).astype(np.float16)}
                    if half
                    else weights.tensors(name)
                )
                for tensor, array in arrays.items():
                    external = append_external(data, data_file(path), tensor, array)
                    model.graph.initializer.append(external)
        write_model(model, path)
        return open_session(path, device, threads=threads, origin=file.path)
