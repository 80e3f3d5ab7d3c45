"""Records reject what they do not know, and cannot be changed."""

import pytest
from pydantic import ValidationError

from benchmarks.report.records import Interval, Samples


def test_unknown_fields_are_rejected() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Interval.model_validate({"estimate": 1, "low": 0, "high": 2, "mean": 1})


def test_records_are_immutable() -> None:
    interval = Interval(estimate=1, low=0, high=2)
    with pytest.raises(ValidationError, match="frozen"):
        interval.low = 1


@pytest.mark.parametrize(("value", "included"), [(-0.1, False), (0, True), (2, True), (2.1, False)])
def test_an_interval_includes_its_ends(value: float, included: bool) -> None:
    assert Interval(estimate=1, low=0, high=2).includes(value) is included


def test_samples_keep_their_order() -> None:
    samples = Samples.of("seconds", [3, 1, 2, 5])
    assert samples.model_dump() == {"unit": "seconds", "median": 2.5, "samples": [3, 1, 2, 5]}
