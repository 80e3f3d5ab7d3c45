"""The functions behind the page's events, called with what a client may send."""

from pathlib import Path
from typing import Any

import pytest

from app.answers.service import Service
from app.page.callbacks import PageCallbacks, _as_count
from lxcompress.errors import DataError


@pytest.mark.parametrize(
    ("count", "expected"),
    [(3, 3), (2.7, 2), (0, 0), (-1, 0), (float("inf"), 0), (float("nan"), 0), ("3", 0), (None, 0)],
)
def test_a_number_of_regions_may_be_anything(count: Any, expected: int) -> None:
    assert _as_count(count) == expected


@pytest.mark.parametrize("path", ["/etc/passwd", "a\0b", "../x.png", 5, None])
def test_only_uploaded_files_are_opened(service: Service, tmp_path: Path, path: Any) -> None:
    callbacks = PageCallbacks(service, tmp_path)
    with pytest.raises(DataError, match=r"the picture must be (a file|uploaded first)"):
        callbacks._uploaded_file({"path": path})
