"""Proxies in environment variables that httpx, the client of the hub and of Gradio, cannot use.

httpx then refuses every request, also those that would need no proxy.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

_VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")
_SOCKS = ("socks5", "socks5h")


def unusable_proxies() -> dict[str, str]:
    """Return the variables that name such a proxy, and their values."""
    usable = ("http", "https", *(_SOCKS if find_spec("socksio") else ()))
    return {
        name: os.environ[name]
        for variable in _VARIABLES
        for name in (variable, variable.lower())
        if "://" in os.environ.get(name, "") and _scheme(os.environ[name]) not in usable
    }


def proxy_advice() -> str | None:
    """Return what to do about proxies that cannot be used, None where there are none."""
    found = unusable_proxies()
    if not found:
        return None
    name, value = next(iter(found.items()))
    if _scheme(value) in _SOCKS:
        return (
            f"{name} is a SOCKS proxy, for which a package is missing; "
            "`pip install 'httpx[socks]'`, or unset it"
        )
    return (
        f"{name} is a proxy of an unknown kind ({_scheme(value)}); use http or socks5, or unset it"
    )


def explain_proxy(problem: BaseException) -> str | None:
    """Return `proxy_advice()` if it concerns an error or what caused it, None otherwise."""
    link: BaseException | None = problem
    while link is not None:
        if "proxy" in str(link).lower():
            return proxy_advice()
        link = link.__cause__ or link.__context__
    return None


def _scheme(value: str) -> str:
    return value.partition("://")[0].lower()
