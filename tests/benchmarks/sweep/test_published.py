"""published.json agrees with the reference."""

import json

import pytest
from shared import SHARED

from benchmarks.sweep.published import published


def test_published_accuracies_are_those_of_the_reference() -> None:
    path = SHARED / "reference" / "published.json"
    if not path.exists():
        pytest.skip("no shared reference here")
    reference = json.loads(path.read_text())
    found = published()
    assert found.note == reference["note"]
    for ours, theirs in zip(found.paper.table1, reference["paper"]["table1"], strict=True):
        dumped = ours.model_dump(by_alias=True)
        for split in ("test-dev", "test-std"):
            for kind, value in theirs[split].items():
                mean, std = value if isinstance(value, list) else (value, None)
                assert dumped[split].pop(kind) == {"mean": mean, "std": std}
            assert dumped[split] == {}
    runs = reference["authors_minival"]["runs"]
    assert [run.model_dump() for run in found.authors_minival.runs] == runs
    assert found.authors_minival.dense == reference["authors_minival"]["dense"]
