"""The metadata of an exported file: what it is, how to answer with it, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, helper, numpy_helper
from tokenizers import Tokenizer

import lxcompress
from exporters.graph.interface import INPUTS
from exporters.graph.onnx_file import OnnxFile, wrap_parse_errors
from exporters.variants import Variant
from lxcompress.errors import ModelError

if TYPE_CHECKING:  # it imports PyTorch, which is not needed to load a file
    from transformers import PreTrainedTokenizerBase

CONTENT_DIGEST = "sha256"

METADATA = frozenset(
    {
        "lxcompress",  # version that wrote the file
        "variant",
        "precision",
        "encoding",  # dense, compact, bitmask or compact+bitmask (`registry.describe`)
        "structure",  # JSON: the heads and neurons that remain (`exporters.graph.structure`)
        "pattern",  # dense, structured, unstructured or N:M (`exporters.graph.pattern`)
        "sparsity",  # JSON: of the prunable weights, of the whole model; null for a dense file
        "labels",  # JSON: the answers, in the order of the logits
        "tokenizer",  # JSON of the `tokenizers` library, with truncation and padding
        "max_tokens",
        CONTENT_DIGEST,  # of everything else, as `content_digest` computes it
    }
)
"""Keys, all of them required."""


@dataclass(frozen=True)
class AnswerMetadata:
    """What a program needs, besides logits, to answer questions given as text.

    labels: the answers, in the order of the logits.
    tokenizer: JSON of the `tokenizers` library, with truncation and padding enabled.
    max_tokens: longest question, [CLS] and [SEP] included.
    """

    labels: list[str]
    tokenizer: str
    max_tokens: int

    @classmethod
    def of(
        cls, labels: list[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int
    ) -> AnswerMetadata:
        """Copy the rules of a model's tokenizer, which is left as it is."""
        rules = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        rules.enable_truncation(max_tokens)
        rules.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=str(tokenizer.pad_token))
        return cls(labels, rules.to_str(), max_tokens)


def write_metadata(
    model: ModelProto,
    variant: Variant,
    answers: AnswerMetadata,
    *,
    encoding: str,
    structure: str,
    pattern: str,
    sparsity: dict[str, float] | None,
) -> None:
    """Set all metadata of a model that is otherwise complete, in place."""
    helper.set_model_props(
        model,
        {
            "lxcompress": lxcompress.__version__,
            "variant": variant.name,
            "precision": variant.precision,
            "encoding": encoding,
            "structure": structure,
            "pattern": pattern,
            "sparsity": json.dumps(sparsity),
            "labels": json.dumps(answers.labels, ensure_ascii=False),
            "tokenizer": answers.tokenizer,
            "max_tokens": str(answers.max_tokens),
        },
    )
    arrays = ((tensor.name, numpy_helper.to_array(tensor)) for tensor in model.graph.initializer)
    model.metadata_props.add(key=CONTENT_DIGEST, value=content_digest(model, arrays))


def read_labels(file: OnnxFile) -> list[str]:
    """Return the answers of an exported file, in the order of its logits.

    Raises:
        ModelError: `lxcompress export` did not write the file, or it is damaged.
    """
    names = {value.name for value in file.model.graph.input}
    if METADATA - file.metadata.keys() or names != set(INPUTS):
        raise ModelError(f"{file.path} was not written by `lxcompress export`")
    with wrap_parse_errors(file.path):
        labels, (logits,) = json.loads(file.metadata["labels"]), file.model.graph.output
        if len(labels) != logits.type.tensor_type.shape.dim[-1].dim_value:
            raise ValueError("the number of answers is not the number of logits")
    return labels


def content_digest(model: ModelProto, arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256, in hex, of a model: computation, metadata, and `arrays`.

    arrays: names and values of its initializers. The digest itself is left out of the metadata.
    """
    bare, graph = ModelProto(), model.graph
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.metadata_props.extend(item for item in model.metadata_props if item.key != CONTENT_DIGEST)
    for field in ("node", "input", "output", "value_info"):
        getattr(bare.graph, field).extend(getattr(graph, field))
    text = bare.SerializeToString(deterministic=True)
    return hashlib.sha256(text + digest(arrays).encode()).hexdigest()


def digest(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the SHA-256, in hex, of names, dtypes, shapes and contents of arrays, in order."""
    total = hashlib.sha256()
    for name, array in arrays:
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
