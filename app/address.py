"""Where the page is served: the address of this machine, its port, and the path behind a proxy."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from dataclasses import dataclass

from lxcompress.errors import ConfigError

LOOPBACK = "127.0.0.1"
_FIRST_PORT, _PORTS = 7860, 100

_PATH = r"(?:/[\w.~-]+)*"
_ROOT_PATH = re.compile(rf"(?:https?://(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d+)?)?{_PATH}", re.ASCII)


@dataclass(frozen=True)
class Address:
    """An IP address that the page listens on, and the path or URL that users reach it at.

    root_path: "" or a path such as "/vqa", which a reverse proxy removes from requests; or the
        whole public URL, for a proxy that does not pass the public host on.
    """

    host: str = LOOPBACK
    root_path: str = ""

    @classmethod
    def parse(cls, host: str, root_path: str) -> Address:
        """Read the options --host and --root-path.

        Raises:
            ConfigError: the host is no address of this machine, or the path none of a URL.
        """
        return cls(_parse_host(host), _parse_root_path(root_path))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        address = ipaddress.ip_address(self.host)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    @property
    def server_name(self) -> str:
        """The host as it stands in a URL: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def local_url(self, port: int) -> str:
        """Where this machine itself opens the page, without a proxy."""
        name = {"0.0.0.0": LOOPBACK, "::": "[::1]"}.get(self.host, self.server_name)
        return f"http://{name}:{port}/"

    def client_url(self, port: int) -> str:
        """Where a client of the API connects: the public URL where it is known."""
        if self.root_path.startswith("/"):
            return self.local_url(port).rstrip("/") + self.root_path
        return self.root_path or self.local_url(port).rstrip("/")

    @property
    def warning(self) -> str | None:
        """What to know where other machines can connect; None where they cannot."""
        if self.is_loopback:
            return None
        return (
            f"warning: listening on {self.host}: everybody who reaches this port can use the "
            "model; there is no password"
        )


def _parse_host(host: str) -> str:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    with suppress(ValueError):
        address = ipaddress.ip_address(bare)
        if not getattr(address, "scope_id", None):  # "%eth0" has no place in a URL
            return str(address)
    try:
        if not bare.strip() or "%" in bare:
            raise ValueError
        found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # an UnicodeError is a ValueError
        raise ConfigError(
            f"--host {host!r} is no address; give 127.0.0.1, ::1, or 0.0.0.0 for every network "
            "of this machine"
        ) from None
    addresses = [str(entry[4][0]) for entry in found]
    return next((one for one in addresses if ":" not in one), addresses[0])


def _parse_root_path(root_path: str) -> str:
    bare = root_path.rstrip("/")
    is_dotted = any(part in (".", "..") for part in bare.split("/"))
    if _ROOT_PATH.fullmatch(bare) is None or is_dotted or (root_path and not root_path.strip()):
        raise ConfigError(
            f"--root-path {root_path!r}: give the path that the proxy serves the page at, such as "
            "/vqa, or the whole public URL"
        )
    return bare


def find_port(port: int | None, host: str = LOOPBACK) -> int:
    """Return `port` if it is free; for None, the first free port from 7860.

    Raises:
        ConfigError: it is in use, this user may not use it, no port is free, or `host` is no
            address of this machine.
    """
    _check_host(host)
    for candidate in [port] if port is not None else range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        # Gradio only takes a port that is free on the loopback address too.
        if all(_is_free(one, candidate) for one in dict.fromkeys([host, LOOPBACK])):
            return candidate
    if port is None:
        last = _FIRST_PORT + _PORTS - 1
        raise ConfigError(f"ports {_FIRST_PORT} to {last} are all in use; give another with --port")
    raise ConfigError(f"--port {port} is in use on {host}; choose another, or leave it out")


def _check_host(host: str) -> None:
    try:
        with _listener(host) as trial:
            trial.bind((host, 0))
    except OSError:
        raise ConfigError(
            f"--host {host} is no address of this machine; give 127.0.0.1, ::1, or 0.0.0.0 for "
            "every network of this machine"
        ) from None


def _is_free(host: str, port: int) -> bool:
    with _listener(host) as trial:
        # As servers do: connections of a closed server in TIME_WAIT do not block the port.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except PermissionError:
            raise ConfigError(
                f"--port {port} may not be used by this user; choose one above 1023"
            ) from None
        except OSError:
            return False
        return True


def _listener(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
