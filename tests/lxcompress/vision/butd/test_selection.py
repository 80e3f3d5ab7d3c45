"""Which proposals are computed exactly, from estimates of their confidences."""

import pytest
import torch
from butd_proposals import HEIGHT, WIDTH, estimates

from lxcompress.vision.butd.selection import CANDIDATES, candidates, select


@pytest.mark.parametrize(
    ("distinct", "paired", "expected"),
    [
        (40, 0, 40),  # enough at the first threshold
        (20, 20, 40),  # only at the second, at which the two of a pair are distinct
        (30, 0, 30),  # too few at the last threshold too
        (90, 0, 67),  # with the best duplicate 68, the most of them
    ],
)
def test_a_less_confident_distinct_box_comes_before_a_more_confident_duplicate(
    distinct: int, paired: int, expected: int
) -> None:
    duplicates = 150
    proposals, kinds = estimates(duplicates, distinct, paired)
    rows = candidates(proposals, HEIGHT, WIDTH).tolist()
    assert len(rows) == len(set(rows)) == CANDIDATES and rows == sorted(rows)
    of_kind = {name: [row for row in rows if kinds[row] == name] for name in set(kinds)}
    others = of_kind["distinct"] + of_kind.get("paired", [])
    assert len(others) == expected
    confidences = proposals.class_logits[:, 0]
    for name, chosen in of_kind.items():
        all_of_it = torch.tensor([row for row, kind in enumerate(kinds) if kind == name])
        best = all_of_it[confidences[all_of_it].argsort(descending=True)[: len(chosen)]]
        assert sorted(best.tolist()) == chosen, "the most confident ones of each kind"


def test_what_is_selected_of_the_exact_values_is_among_the_candidates() -> None:
    proposals, kinds = estimates(150, 40, 0)
    selected = {int(row) for row in select(proposals, HEIGHT, WIDTH).features[:, 0]}
    assert len(selected) == 36 and sum(kinds[row] == "distinct" for row in selected) == 35
    assert selected <= set(candidates(proposals, HEIGHT, WIDTH).tolist())


def test_all_of_few_proposals_are_candidates() -> None:
    proposals, _ = estimates(50, 10, 0)
    assert candidates(proposals, HEIGHT, WIDTH).tolist() == list(range(60))
