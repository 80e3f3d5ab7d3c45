"""Names of run directories."""

from typing import Any

import pytest

from lxcompress.config import PruneConfig
from lxcompress.run_name import run_name


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "shapes-low-50"),
        ({"sparsity": 0.725, "subnetwork": "random"}, "shapes-random-72.5"),
        (
            {"scope": "layer", "schedule": "iterative", "rewind": "lr", "seed": 3},
            "shapes-low-50-layer-iterative-lr-seed3",
        ),
        ({"data": "data/vqa", "model": "unc-nlp/lxmert-base-uncased"}, "vqa-low-50"),
    ],
)
def test_run_names(settings: dict[str, Any], name: str) -> None:
    assert run_name(PruneConfig.parse(settings)) == name
