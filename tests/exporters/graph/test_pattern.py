"""The pattern of a mask, of what a file has of it."""

import torch

from exporters.graph.pattern import find_pattern

PAIRS = torch.tensor([[True, False, False, True], [False, True, True, False]])
ALL = torch.ones(2, 4) > 0


def test_patterns() -> None:
    assert find_pattern({"a": PAIRS}, compact=False) == "1:2"
    assert find_pattern({"a": PAIRS}, compact=True) == "1:2"
    assert find_pattern({"a": ALL, "b": ALL}, compact=True) == "structured"
    assert find_pattern({"a": ALL, "b": PAIRS}, compact=True) == "unstructured"
    assert find_pattern({"a": ALL, "b": PAIRS}, compact=False) == "unstructured"
    assert find_pattern({"a": ALL}, compact=False) == "unstructured"


def test_without_any_matrix_everything_was_whole_units() -> None:
    assert find_pattern({}, compact=True) == "structured"
