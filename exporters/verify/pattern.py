"""Check the pattern that a file states against its own zeros."""

from __future__ import annotations

import numpy as np

from exporters.graph.onnx_file import OnnxFile
from exporters.graph.pattern import UNPRUNED
from lxcompress.choices import Pattern, n_of_m
from lxcompress.errors import ModelError


class PatternCheck:
    """Checks the `pattern` of a file's metadata, matrix by matrix."""

    def __init__(self, file: OnnxFile) -> None:
        self._path, self.stated = file.path, file.metadata["pattern"]
        self._groups = n_of_m(self.stated)

    def matrix(self, name: str, keep: np.ndarray | None, weight: np.ndarray) -> None:
        """Check a prunable matrix `[out, in]`; `keep` is its stored mask, None if it has none.

        Raises:
            ModelError: more than N of some M weights are left, or fewer according to the mask.
        """
        if self._groups is None:
            return
        n, m = self._groups
        left = weight != 0 if keep is None else keep
        counts = np.count_nonzero(left.reshape(-1, m), axis=1) if left.shape[1] % m == 0 else None
        if counts is None or counts.max() > n or (keep is not None and counts.min() < n):
            raise ModelError(f"{self._path} states the pattern {self.stated}, which {name} is not")

    def totals(self, *, sparse: bool, prunable: int, pruned: int, removed: int) -> None:
        """Check the pattern against the number of weights.

        prunable, pruned: of the matrices in the file.
        removed: prunable weights of the heads and neurons that the file lacks.

        Raises:
            ModelError: the pattern is another one.
        """
        if self._groups is not None:
            n, m = self._groups
            fits = sparse and pruned * m == prunable * (m - n)
        else:
            fits = {
                UNPRUNED: not sparse,
                Pattern.STRUCTURED: sparse and pruned == 0 < removed,
                Pattern.UNSTRUCTURED: sparse and (pruned > 0 or removed == 0),
            }.get(self.stated, False)
        if not fits:
            raise ModelError(
                f"{self._path} states the pattern {self.stated!r}, but {pruned} of {prunable} "
                f"weights are pruned beside {removed} of removed heads and neurons"
            )
