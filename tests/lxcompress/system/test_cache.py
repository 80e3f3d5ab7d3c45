"""Where the cache is, and one advice where it cannot be written to."""

import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lxcompress.cli.doctor import checks as doctor_checks
from lxcompress.errors import ConfigError
from lxcompress.system.cache import cache_folder, explain, why_cache_not_writable, writable_cache

ADVICE = "set LXCOMPRESS_CACHE to a folder that can be written to"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the variables that say where the cache is, and no others of them."""

    def change(**variables: object) -> None:
        for name in ("LXCOMPRESS_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return change


def test_where_it_is(environment: Callable[..., None]) -> None:
    environment(HOME="/home/me")
    assert cache_folder() == Path("/home/me/.cache/lxcompress")
    environment(HOME="/home/me", XDG_CACHE_HOME="/scratch/me")
    assert cache_folder() == Path("/scratch/me/lxcompress")
    # By its specification; and an empty variable is one that is not set.
    for ignored in ("scratch", ""):
        environment(HOME="/home/me", XDG_CACHE_HOME=ignored)
        assert cache_folder() == Path("/home/me/.cache/lxcompress")
    environment(HOME="/home/me", XDG_CACHE_HOME="/scratch/me", LXCOMPRESS_CACHE="~/mine")
    assert cache_folder() == Path("/home/me/mine")


def test_it_is_made_when_it_is_first_needed(
    environment: Callable[..., None], tmp_path: Path
) -> None:
    environment(LXCOMPRESS_CACHE=tmp_path / "a" / "cache")
    assert why_cache_not_writable() is None
    assert not (tmp_path / "a").exists()
    assert writable_cache("locks").is_dir()


def test_a_user_without_a_home(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that is started with a user id of nobody."""

    def unknown(user: int) -> Any:
        raise KeyError(user)

    environment()
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ConfigError, match=ADVICE):
        cache_folder()
    assert ADVICE in (why_cache_not_writable() or "")


def test_a_home_that_cannot_be_written_to(environment: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment(HOME=tmp_path / "file")
    with pytest.raises(ConfigError, match=f"cannot write to the cache {tmp_path}.*; {ADVICE}$"):
        writable_cache("locks")
    problems: list[str] = []
    found: dict[str, str] = {}
    doctor_checks._check_disk(found, [], problems)
    assert found["cache"] == "none that can be written to"
    assert len(problems) == 1 and ADVICE in problems[0]
    environment(HOME=tmp_path)
    doctor_checks._check_disk(found, [], [])
    assert found["cache"] == f"{tmp_path}/.cache/lxcompress, can be written to"


def test_errors_of_whatever_writes_to_it(environment: Callable[..., None], tmp_path: Path) -> None:
    environment(LXCOMPRESS_CACHE=tmp_path)
    refused = PermissionError(13, "Permission denied", str(tmp_path / "shapes" / "regions"))
    assert explain(refused) == (
        f"cannot write to the cache {tmp_path}/shapes/regions (Permission denied); {ADVICE}"
    )
    assert explain(PermissionError(13, "Permission denied", "/elsewhere")) is None
    assert explain(FileNotFoundError(2, "No such file", str(tmp_path / "x"))) is None
    assert explain(OSError("no file named")) is None
