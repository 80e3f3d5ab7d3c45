"""The files that an export can write, named as transformers.js expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class Variant:
    """One ONNX file: the precision of its weights, and whether it stores the ticket sparsely."""

    name: str
    precision: Precision
    sparse: bool

    @property
    def file(self) -> str:
        """File name: `model.onnx`, `model_fp16.onnx`, `model_sparse_int8.onnx`…"""
        parts = ["model"]
        if self.sparse:
            parts.append("sparse")
        if self.precision != "fp32":
            parts.append(self.precision)
        return "_".join(parts) + ".onnx"


_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
VARIANTS = {
    variant.name: variant
    for variant in (
        *(Variant(precision, precision, sparse=False) for precision in _PRECISIONS),
        *(Variant(f"sparse-{precision}", precision, sparse=True) for precision in _PRECISIONS),
    )
}
