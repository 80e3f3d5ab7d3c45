"""Choices: strings with a description, which parse and help texts take from one place."""

import json

import pytest

from lxcompress.choices import Choice, Criterion, Pattern, Rewind, Schedule, Scope, Subnetwork
from lxcompress.errors import ConfigError


@pytest.mark.parametrize("choice", [Pattern, Criterion, Subnetwork, Scope, Schedule, Rewind])
def test_a_choice_is_its_value(choice: type[Choice]) -> None:
    for member in choice:
        assert choice.parse(str(member)) is member
        assert json.loads(json.dumps({"value": member})) == {"value": member.value}
        assert member.description and not member.description.endswith(".")


def test_the_values_are_those_of_the_paper_and_of_its_code() -> None:
    assert list(Subnetwork) == ["low", "high", "random"]
    assert list(Scope) == ["global", "layer", "modality"]
    assert list(Schedule) == ["paper", "iterative"]
    assert list(Rewind) == ["weights", "late", "lr"]


def test_an_unknown_value_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"scope 'row' is not one of global, layer, modality"):
        Scope.parse("row")


def test_help_describes_every_value_and_the_default() -> None:
    text = Rewind.help("Where to restart", Rewind.WEIGHTS)
    assert text.startswith("Where to restart. ") and text.endswith(" [default: weights]")
    assert all(f"{member}: {member.description}" in text for member in Rewind)
