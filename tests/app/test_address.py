"""Where the page may listen, and what it is told about its address behind a proxy."""

import socket

import pytest

from app.address import Address, find_port
from lxcompress.errors import ConfigError


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::", "::"),
    ],
)
def test_hosts_are_addresses_with_or_without_brackets(host: str, address: str) -> None:
    assert Address.parse(host, "").host == address


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "http://127.0.0.1",
        "127.0.0.1:7860",
        "0.0.0.0/0",
        "256.1.1.1",
        "[::1",
        "::1%lo",
        ":::",
        "a..b",
        "x" * 300,
        "nul\0",
        "\udc80",
        "no-such-host.invalid",
    ],
)
def test_hosts_that_are_no_address_are_refused_in_one_line(host: str) -> None:
    with pytest.raises(ConfigError, match="is no address; give 127.0.0.1") as refused:
        Address.parse(host, "")
    assert "\n" not in str(refused.value)


def test_an_address_of_another_machine_is_refused() -> None:
    for host in ("192.0.2.1", "2001:db8::1"):  # reserved for documentation
        with pytest.raises(ConfigError, match=f"--host {host} is no address of this machine"):
            find_port(None, Address.parse(host, "").host)


def test_only_addresses_of_the_loopback_need_no_warning() -> None:
    for host in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "localhost"):
        assert Address.parse(host, "").warning is None
    for host in ("0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"):
        warning = Address.parse(host, "").warning
        assert warning is not None and "everybody who reaches this port can use the" in warning


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("/", ""),
        ("/vqa", "/vqa"),
        ("/vqa/", "/vqa"),
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        ("https://example.com", "https://example.com"),
        ("https://example.com:8443/vqa/", "https://example.com:8443/vqa"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
    ],
)
def test_root_paths_are_paths_or_urls(given: str, kept: str) -> None:
    assert Address.parse("127.0.0.1", given).root_path == kept


@pytest.mark.parametrize(
    "root_path",
    [
        "vqa",
        " ",
        "/a b",
        "//example.com",
        "/a//b",
        "/../x",
        "/x/./y",
        "/x?y=1",
        "/x#y",
        "/<script>",
        '/"x',
        "/é",
        "/x\n",
        "/\udc80",
        "/x%2fy",
        "ftp://example.com/x",
        "https://",
        "https:///x",
        "javascript:alert(1)",
    ],
)
def test_other_root_paths_are_refused_in_one_line(root_path: str) -> None:
    with pytest.raises(ConfigError, match="give the path that the proxy serves") as refused:
        Address.parse("127.0.0.1", root_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "root_path", "local", "client"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:80/", "http://127.0.0.1:80"),
        ("0.0.0.0", "", "http://127.0.0.1:80/", "http://127.0.0.1:80"),
        ("::", "", "http://[::1]:80/", "http://[::1]:80"),
        ("::1", "/vqa", "http://[::1]:80/", "http://[::1]:80/vqa"),
        ("127.0.0.1", "https://a.org/vqa", "http://127.0.0.1:80/", "https://a.org/vqa"),
    ],
)
def test_urls_of_the_page(host: str, root_path: str, local: str, client: str) -> None:
    address = Address.parse(host, root_path)
    assert address.local_url(80) == local and address.client_url(80) == client


def test_ports_in_use_are_reported_and_free_ones_found() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port} is in use on 127.0.0.1"):
            find_port(port)
        with pytest.raises(ConfigError, match=f"--port {port} is in use on 0.0.0.0"):
            find_port(port, "0.0.0.0")
    assert find_port(port) == port
    assert 7860 <= find_port(None) < 7960
