"""The demo of the tiny run: in this process, and served by a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from served import Served

    from app.answers.service import Service


@pytest.fixture(scope="module")
def service(tiny_exported: Path) -> Service:
    """The page's service."""
    from served import service_of

    return service_of(tiny_exported)


@pytest.fixture(scope="module")
def served(tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`lxcompress demo`, running."""
    from served import run_demo

    with run_demo(tmp_path_factory.mktemp("served"), tiny_exported, "--threads", 1) as page:
        yield page


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ShapesVQA picture, which is in distribution for the tiny run."""
    from lxcompress.data.shapes.scenes import make_scene, render

    path = tmp_path_factory.mktemp("scene") / "scene.png"
    render(make_scene(0, "demo", 0)).save(path)
    return path
