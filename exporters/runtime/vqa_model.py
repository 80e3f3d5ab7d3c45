"""Running an exported file: our own decoder in front of ONNX Runtime.

Stock ONNX Runtime decodes a bitmask file with general operators and keeps what they made in memory.
Here each weight is decoded by `bitmask.decode`, one at a time, into a temporary file of weights
that ONNX Runtime maps, packs for its matrix products, and lets go. Whatever the device, the answers
are the file's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from exporters.encodings.decode_model import Weights
from exporters.graph.half_precision import to_half
from exporters.graph.interface import INPUTS, METADATA, OUTPUT
from exporters.graph.onnx_file import OnnxFile, append_external, data_file, in_words, write_model
from exporters.runtime.region_attention import REGION_ATTENTION, add_region_attention
from lxcompress.errors import DeviceError, ModelError
from lxcompress.system.files import atomic_path
from lxcompress.system.onnx_providers import why_unusable
from lxcompress.vision.regions import Regions

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxVqaModel:
    """An exported LXMERT that answers questions about pictures.

    `labels` are its answers; `metadata` is what the file says of itself; `tokenizer` (of the
    `tokenizers` library) cuts questions into the pieces that it knows.
    """

    def __init__(
        self,
        path: str | Path,
        device: str = "cpu",
        *,
        threads: int | None = None,
        attention: bool = False,
    ) -> None:
        """Load `path` on "cpu" or "cuda", with `threads` of the processor (all cores if None).

        `attention` also computes what `logits_and_attention` gives. On CUDA an int8 file is decoded
        to fp16 and computes in fp16. Raises ModelError when the file is damaged or not from
        `lxcompress export`, DeviceError when the device cannot be used here: nothing falls back to
        another one.
        """
        check_device(device)
        file = OnnxFile(Path(path))
        self.metadata = file.metadata
        self.labels = read_labels(file)
        self.device = device
        with in_words(file.path):
            self.tokenizer = Tokenizer.from_str(self.metadata["tokenizer"])
            self.session = _open_session(file, device, threads, attention)

    def encode(self, questions: Sequence[str]) -> dict[str, np.ndarray]:
        """int64 `input_ids`, `attention_mask`, `token_type_ids`, each `[B, longest question]`."""
        encoded = self.tokenizer.encode_batch(list(questions))
        ids = np.array([question.ids for question in encoded], np.int64)
        attention = np.array([question.attention_mask for question in encoded], np.int64)
        return {
            "input_ids": ids,
            "attention_mask": attention,
            "token_type_ids": np.zeros_like(ids),
        }

    def logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """float32 `[B, answers]` for the six inputs of `exporters.graph.interface`.

        Each question needs a token and each picture a region that is not masked. In an int8 file on
        the CPU, activations are quantized over the whole batch: logits differ a little with the
        questions beside.
        """
        return self.run(inputs)[0]

    def logits_and_attention(
        self, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """`logits(inputs)`, and how much each answer looked at each region.

        float32 `[B, answers]` and `[B, regions]`, rows of the second summing to 1
        (`exporters.runtime.region_attention`). Only of a model that was loaded with `attention`.
        """
        logits, attention = self.run(inputs, (OUTPUT, REGION_ATTENTION))
        return logits, attention

    def run(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = (OUTPUT,)
    ) -> list[np.ndarray]:
        """The session's `outputs`, through I/O binding on CUDA."""
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
        """The likeliest answer to each question about its picture's regions.

        Raises ValueError unless each question has its picture, and each picture a region.
        """
        if isinstance(questions, str) or len(questions) != len(pictures) or not pictures:
            raise ValueError("give a list of questions, and for each the regions of its picture")
        inputs = self.encode(questions) | pad_regions(pictures)
        return [self.labels[index] for index in self.logits(inputs).argmax(axis=1)]


def pad_regions(pictures: Sequence[Regions]) -> dict[str, np.ndarray]:
    """`visual_feats`, `visual_pos` and `visual_attention_mask`, as long as the most regions.

    Raises ValueError for a picture without regions: attention to nothing is not defined.
    """
    counts = np.array([len(picture.features) for picture in pictures])
    if not counts.all():
        raise ValueError("a picture has no regions; a detector finds at least one")
    seen = np.arange(counts.max()) < counts[:, None]
    features = np.zeros((*seen.shape, pictures[0].features.shape[1]), np.float32)
    boxes = np.zeros((*seen.shape, 4), np.float32)
    features[seen] = np.concatenate([picture.features for picture in pictures])
    boxes[seen] = np.concatenate([picture.boxes for picture in pictures])
    return {
        "visual_feats": features,
        "visual_pos": boxes,
        "visual_attention_mask": seen.astype(np.int64),
    }


def check_device(device: str) -> None:
    """DeviceError, with the reason, unless ONNX Runtime can really use the device here."""
    if device not in PROVIDERS:
        raise DeviceError(f"--device {device}: ONNX files run on {' or '.join(PROVIDERS)}")
    why = why_unusable(PROVIDERS[device])
    if why:
        raise DeviceError(
            f"--device {device}: ONNX Runtime cannot use it here: {why}; see `lxcompress doctor`"
        )


def read_labels(file: OnnxFile) -> list[str]:
    """The answers of an exported file; ModelError when it is another tool's, or damaged."""
    names = {value.name for value in file.model.graph.input}
    if METADATA - file.metadata.keys() or names != set(INPUTS):
        raise ModelError(f"{file.path} was not made by `lxcompress export`")
    with in_words(file.path):
        labels, (logits,) = json.loads(file.metadata["labels"]), file.model.graph.output
        if len(labels) != logits.type.tensor_type.shape.dim[-1].dim_value:
            raise ValueError("it has not as many answers as logits")
    return labels


def stock_session(
    path: Path, device: str = "cpu", *, threads: int | None = None, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the file as it is; `optimized` is where it writes the graph it made of it."""
    check_device(device)
    options = _options(threads)
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return _session(path, device, options)


def _options(threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimisations
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _session(
    path: Path, device: str, options: onnxruntime.SessionOptions, origin: Path | None = None
) -> onnxruntime.InferenceSession:
    # The CUDA provider itself leaves the arithmetic of shapes to the CPU.
    providers = [PROVIDERS[device], *([PROVIDERS["cpu"]] if device != "cpu" else [])]
    try:
        # By itself it would go on without the provider, then or in the middle of a run.
        session = onnxruntime.InferenceSession(
            str(path), options, providers=providers, enable_fallback=0
        )
    except Exception as problem:  # ONNX Runtime's own classes have no base of their own
        first = str(problem).strip().partition("\n")[0]
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {origin or path}: {first}"
        ) from problem
    if session.get_providers()[0] != PROVIDERS[device]:
        raise DeviceError(f"--device {device}: ONNX Runtime fell back to {session.get_providers()}")
    return session


def _open_session(
    file: OnnxFile, device: str, threads: int | None, attention: bool
) -> onnxruntime.InferenceSession:
    weights = Weights(file)
    half = device == "cuda" and file.metadata["precision"] == "int8"
    model, names = weights.plain(dequantize=half)
    if half:
        model = to_half(model)
    if attention:
        add_region_attention(model)
    with tempfile.TemporaryDirectory(prefix="lxcompress-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.onnx"
        with atomic_path(data_file(path)) as temporary, open(temporary, "wb") as data:
            for name in names:
                array = weights.value(name).astype(np.float16) if half else weights.stored(name)
                model.graph.initializer.append(append_external(data, data_file(path), name, array))
        write_model(model, path)
        return _session(path, device, _options(threads), file.path)
