"""The wheel: what is in it, and which packages its command imports outside of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "benchmarks", "exporters", "lxcompress")
NOT_SHIPPED = "benchmarks/results/"  # the measurements of this checkout

# As the script of an installation: its own folder, not the current one, is first on sys.path.
SCRIPT = "import sys\nfrom lxcompress.cli.main import main\nsys.exit(main())\n"
LOCATIONS = (
    "import app, benchmarks, exporters, lxcompress\n"
    "print(*(p.__file__ for p in (app, benchmarks, exporters, lxcompress)), sep='\\n')\n"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the backend that pyproject.toml names, offline, from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "Makefile", "Dockerfile"):
        shutil.copy(ROOT / name, copy)
    for name in (*PACKAGES, "docs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    built = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, timeout=120
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel's files as they lie in site-packages, with the script beside them."""
    folder = wheel.parent / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for name, text in (("lxcompress", SCRIPT), ("locations", LOCATIONS)):
        script = wheel.parent / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose modules have the names of ours."""
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text("raise ImportError('the wrong one')\n")
    return tmp_path


def run(installed: Path, name: str, *arguments: str, folder: Path) -> str:
    """Output of a script of the installation, run in `folder`."""
    process = subprocess.run(
        [sys.executable, installed.parent / "bin" / name, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},  # before the editable installation
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def source_files() -> Iterator[str]:
    """Every file of the four packages, by its name in a wheel."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in path.parts:
                yield name


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == {name for name in source_files() if not name.startswith(NOT_SHIPPED)}


def test_the_wheel_holds_the_data_that_the_code_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if not name.endswith(".py")}
    assert {
        "benchmarks/report/page.html",
        "benchmarks/sweep/published.json",
        "exporters/targets/cards/citation.md",
        "exporters/targets/cards/model.md",
        "exporters/targets/cards/ticket.md",
        "exporters/targets/cards/usage.md",
        "exporters/targets/triton/readme.md",
        "lxcompress/assets/lxmert-shapes/config.json",
        "lxcompress/assets/lxmert-shapes/model.safetensors",
        "lxcompress/assets/lxmert-shapes/tokenizer.json",
        "lxcompress/assets/lxmert-shapes/tokenizer_config.json",
        "lxcompress/assets/visual_genome/attributes.txt",
        "lxcompress/assets/visual_genome/objects.txt",
    } <= found


def test_the_wheel_says_what_it_installs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        top_level = archive.read(f"{info}/top_level.txt").decode().split()
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        metadata = archive.read(f"{info}/METADATA").decode()
    assert sorted(top_level) == sorted(PACKAGES)
    assert scripts.split("\n")[:2] == ["[console_scripts]", "lxcompress = lxcompress.cli.main:main"]
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(names)


def test_an_installed_command_takes_its_own_packages_whatever_the_current_folder_holds(
    installed: Path, hostile: Path
) -> None:
    files = run(installed, "locations", folder=hostile).split()
    assert files == [str(installed / package / "__init__.py") for package in PACKAGES]
    assert run(installed, "lxcompress", "--version", folder=hostile).startswith("lxcompress ")
