"""The files that an export can make; names follow transformers.js."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class Variant:
    """One ONNX file: precision of its weights, and whether pruned tensors are bitmask-encoded."""

    name: str
    precision: Precision
    sparse: bool

    @property
    def file(self) -> str:
        """`model.onnx`, `model_fp16.onnx`, `model_sparse_int8.onnx`…"""
        parts = ["model"]
        if self.sparse:
            parts.append("sparse")
        if self.precision != "fp32":
            parts.append(self.precision)
        return "_".join(parts) + ".onnx"

    @property
    def encoding(self) -> str:
        """What the file's metadata calls it."""
        return "bitmask" if self.sparse else "dense"


_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
VARIANTS = {
    variant.name: variant
    for variant in (
        *(Variant(precision, precision, sparse=False) for precision in _PRECISIONS),
        *(Variant(f"sparse-{precision}", precision, sparse=True) for precision in _PRECISIONS),
    )
}
