"""Proxies that httpx cannot use: one line that says which variable, and what to do."""

import os

import httpx
import pytest

from lxcompress.errors import ModelError
from lxcompress.model.locate import model_errors
from lxcompress.system import proxies
from lxcompress.system.proxies import explain_proxy, proxy_advice, unusable_proxies

NAMES = [name for upper in ("ALL_PROXY", "HTTP_PROXY") for name in (upper, upper.lower())]
INSTALL = "ALL_PROXY is a SOCKS proxy, for which a package is missing; `pip install 'httpx[socks]'`"


@pytest.fixture(autouse=True)
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)


def refusal() -> Exception:
    """What httpx raises before any request."""
    with pytest.raises((ImportError, ValueError)) as caught:
        httpx.Client()
    return caught.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["socks", "socks4", "socks5", "socks5h", "SOCKS5", "quic"])
def test_one_that_httpx_refuses(scheme: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f"{scheme}://127.0.0.1:9")
    assert unusable_proxies() == {name: f"{scheme}://127.0.0.1:9"}
    advice = explain_proxy(refusal())
    assert advice is not None and advice.startswith(f"{name} is a ") and "unset it" in advice


@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "https://a:b@c:1", "127.0.0.1:9", ""])
@pytest.mark.parametrize("name", NAMES)
def test_one_that_httpx_takes(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert unusable_proxies() == {} and proxy_advice() is None
    httpx.Client().close()


def test_with_the_package_that_is_missing_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda name: name)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    assert unusable_proxies() == {}


def test_models_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers replaces the error by one about a folder; the cause is still known."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(ModelError) as caught, model_errors("owner/name"):
        try:
            httpx.Client()
        except ImportError as problem:
            raise OSError("Can't load the configuration of 'owner/name'") from problem
    assert INSTALL in str(caught.value) and str(caught.value).startswith("cannot load owner/name")


def test_other_errors_are_not_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    assert explain_proxy(ValueError("invalid JSON")) is None
    assert explain_proxy(ImportError("no torch")) is None
