"""Is an exported file what it says? Its structure, from the file alone; its answers, against
PyTorch on real questions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from transformers import LxmertForQuestionAnswering

from exporters.encodings import bitmask
from exporters.encodings.decode_model import Weights
from exporters.graph.interface import OUTPUT
from exporters.graph.onnx_file import SEAL, OnnxFile, file_hashes, in_words, seal
from exporters.records import Accuracy, AnswerCheck, StructureCheck, WeightCheck
from exporters.runtime.vqa_model import OnnxVqaModel, read_labels, stock_session
from exporters.variants import VARIANTS
from lxcompress.data.batches import EncodedQuestions, model_arrays
from lxcompress.errors import ModelError
from lxcompress.evaluation.predict import answers_of, predict_logits, pytorch_forward
from lxcompress.evaluation.scoring import score
from lxcompress.model.answer_head import labels_of
from lxcompress.model.unused_branch import unused_parameters
from lxcompress.pruning.mask import Mask

# The root mean square of the logits' differences over the standard deviation of the logits.
LOGIT_TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 2e-1}
# Points of accuracy that a file may lose, and one question more: small splits are coarse.
ACCURACY_TOLERANCE = {"fp32": 0.1, "fp16": 0.25, "int8": 0.5}

_PRECISION = {
    frozenset({"float32"}): "fp32",
    frozenset({"float16"}): "fp16",
    frozenset({"int8", "float32"}): "int8",
}
Inputs = dict[str, np.ndarray]

_DECODING = {"NonZero", "ScatterElements", bitmask.FUNCTION}


def check_structure(path: Path, mask: Mask | None = None) -> StructureCheck:
    """What the file alone shows: bytes, checksums, weights, zeros. ModelError for what is wrong.

    With the ticket's `mask`, each encoded weight must be pruned exactly where the mask says.
    """
    with in_words(path):
        return _structure(path, mask)


def _structure(path: Path, mask: Mask | None) -> StructureCheck:
    file = OnnxFile(path)
    read_labels(file)
    arrays = ((name, file.array(name)) for name in file.tensors)
    if seal(file.model, arrays) != file.metadata[SEAL]:
        raise ModelError(f"{path} is damaged: it does not have the checksum that it records")
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as problem:
        first = str(problem).strip().partition("\n")[0]
        raise ModelError(f"{path} is no valid ONNX model: {first}") from problem
    called = {node.op_type for node in file.model.graph.node if node.domain == bitmask.DOMAIN}
    lacking = called - {function.name for function in file.model.functions}
    if lacking:  # ONNX's checker takes them for operators of other people
        raise ModelError(f"{path} is damaged: it lacks the function {min(lacking)}")
    weights = Weights(file)
    if mask is not None and set(mask) != set(weights.encoded):
        raise ModelError(f"{path} encodes other tensors than the ticket's mask names")
    parameters = size = pruned = zeros = 0
    kinds, encoded = set(), set(weights.encoded)
    for name in weights.names:
        weight = weights.stored(name)
        parameters += weight.size
        kinds.add(weight.dtype.name)
        if name in encoded:
            keep = weights.as_in_model(name, weights.kept(name))
            if mask is not None and not np.array_equal(keep, mask[name].cpu().numpy()):
                raise ModelError(f"{path}: {name} is not pruned where the ticket's mask says")
            size += keep.size
            pruned += keep.size - int(np.count_nonzero(keep))
            zeros += keep.size - int(np.count_nonzero(weight))
    claimed = json.loads(file.metadata["sparsity"])
    share = 0 if claimed is None else claimed["prunable"]
    if (claimed is None) == bool(encoded) or pruned != round(share * size):
        raise ModelError(f"{path} claims another sparsity than {pruned} zeros of {size} weights")
    form = _PRECISION.get(frozenset(kinds)), "bitmask" if encoded else "dense"
    variant = VARIANTS.get(file.metadata["variant"])
    for said in (
        variant and (variant.precision, variant.encoding),
        (file.metadata["precision"], file.metadata["encoding"]),
    ):
        if said != form:
            raise ModelError(f"{path} says that it is {said}, but its weights are {form}")
    return StructureCheck(
        bytes=file.stored_bytes(),
        sha256=file_hashes(path),
        parameters=parameters,
        prunable=size,
        pruned=pruned,
        zeros=zeros,
    )


def check_weights(path: Path, model: LxmertForQuestionAnswering) -> WeightCheck:
    """How far its weights are from the model's.

    ModelError when they are not, to the bit, the model's in the precision of the file; for other
    answers, and for a model of another architecture.
    """
    file = OnnxFile(path)
    weights, dead = Weights(file), unused_parameters(model)
    parameters = {name: p for name, p in model.named_parameters() if name not in dead}
    different = parameters.keys() ^ set(weights.names)
    if different:
        raise ModelError(f"{path} is of another model: only one of them has {min(different)}")
    if read_labels(file) != labels_of(model.config):
        raise ModelError(f"{path} names other answers than the model's config.json")
    largest = 0.0
    for name in weights.names:
        expected = parameters[name].detach().cpu().numpy()
        found = np.ascontiguousarray(weights.as_in_model(name, weights.value(name)))
        if found.shape != expected.shape:
            raise ModelError(
                f"{path} is of another model: {name} is {found.shape}, not {expected.shape}"
            )
        largest = max(largest, float(np.abs(found - expected).max()))
        if not weights.stands_for(name, expected):
            raise ModelError(f"{path}: {name} is not the model's, to the bit")
    return WeightCheck(largest_weight_difference=largest)


def reference_logits(
    model: LxmertForQuestionAnswering, data: EncodedQuestions, device: str
) -> np.ndarray:
    """float32 `[N, answers]` of PyTorch, in the order of the questions."""
    forward = pytorch_forward(model, torch.device(device))
    logits = np.empty((len(data), len(labels_of(model.config))), np.float32)
    for rows, found in predict_logits(forward, data, description="Answering in PyTorch", workers=0):
        logits[rows] = found
    return logits


def check_answers(
    path: Path, data: EncodedQuestions, reference: np.ndarray, device: str
) -> AnswerCheck:
    """Logits and accuracy of the file in stock ONNX Runtime, beside PyTorch's `reference`.

    Raises ModelError when they differ by more than the tolerance of the file's precision, or when
    ONNX Runtime did not decode the weights while it loaded the file.
    """
    metadata = OnnxFile(path).metadata
    precision, labels = metadata["precision"], json.loads(metadata["labels"])
    session = folded_session(path, device)
    run: Callable[[Inputs], list[np.ndarray]] = partial(session.run, [OUTPUT])
    if device == "cuda" and precision == "int8":  # decoded to fp16 there: check what will be used
        run = OnnxVqaModel(path, device).run
    squares = largest = 0.0
    chosen = np.empty(len(data), np.int64)
    for rows, logits in predict_logits(
        lambda batch: run(model_arrays(batch))[0],
        data,
        description=f"Checking {path.name}",
        workers=0,
    ):
        difference = np.abs(logits - reference[rows])
        largest = max(largest, float(difference.max()))
        squares += float(np.square(difference, dtype=np.float64).sum())
        chosen[rows] = logits.argmax(axis=1)
    spread = float(reference.std(axis=1).mean()) or 1.0  # a model of one answer has no spread
    relative = float(np.sqrt(squares / reference.size)) / spread
    expected = reference.argmax(axis=1)
    found = AnswerCheck(
        questions=len(data),
        largest_logit_difference=largest,
        relative_logit_difference=relative,
        same_answers=float((chosen == expected).mean()),
        accuracy=_accuracy(data, labels, chosen),
        accuracy_in_pytorch=_accuracy(data, labels, expected),
    )
    if not relative <= LOGIT_TOLERANCE[precision]:
        raise ModelError(
            f"{path.name} does not answer as the model: its logits differ by {relative:.2g} of "
            f"their spread, {precision} is allowed {LOGIT_TOLERANCE[precision]:g}"
        )
    _check_accuracy(path, precision, found)
    return found


def _check_accuracy(path: Path, precision: str, found: AnswerCheck) -> None:
    if found.accuracy is None or found.accuracy_in_pytorch is None:
        return
    lost = (found.accuracy_in_pytorch["overall"] or 0) - (found.accuracy["overall"] or 0)
    allowed = ACCURACY_TOLERANCE[precision] + 100 / found.questions
    if lost > allowed:
        raise ModelError(
            f"{path.name} loses {lost:.2f} points of accuracy, {precision} is allowed {allowed:.2f}"
        )


def _accuracy(data: EncodedQuestions, labels: list[str], chosen: np.ndarray) -> Accuracy | None:
    if not any(question.answers or question.scores for question in data.questions):
        return None
    answers = answers_of(data, labels, chosen.tolist())
    return score(answers, data.questions).accuracy()


def folded_session(
    path: Path, device: str, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """Stock ONNX Runtime on the file; ModelError when decoding is left to be done at each run."""
    with tempfile.TemporaryDirectory(prefix="lxcompress-", ignore_cleanup_errors=True) as folder:
        optimized = Path(folder) / "optimized.onnx"
        session = stock_session(path, device, threads=threads, optimized=optimized)
        # It refers to external data by the name that they have beside `path`.
        graph = OnnxFile(optimized, graph_only=True).model.graph
        left = {node.op_type for node in graph.node} & _DECODING
    if left:
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} does not decode {path.name} while it loads "
            f"it ({', '.join(sorted(left))} remain); use another version"
        )
    return session
