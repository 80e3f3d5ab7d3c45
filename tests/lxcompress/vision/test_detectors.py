"""Choosing a detector by its name in `dataset.yaml`."""

import pytest

from lxcompress.errors import ConfigError
from lxcompress.vision.detectors import get_detector


def test_unknown_detector() -> None:
    with pytest.raises(ConfigError, match="choose one of: pixel"):
        get_detector("nothing")
