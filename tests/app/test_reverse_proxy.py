"""The page below a path of a reverse proxy: the same page, API and refusals as without one."""

from __future__ import annotations

import dataclasses
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_client import ask_with_client
from reverse_proxy import reverse_proxy
from served import Served, chromium, run_demo

from app.answers.service import Service

PREFIX = "/group/vqa"
QUESTION = "how many shapes are there?"


@pytest.fixture(scope="module")
def behind(tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`lxcompress demo --root-path`, at the address of the proxy."""
    folder = tmp_path_factory.mktemp("behind")
    arguments = (tiny_exported, "--threads", 1, "--root-path", PREFIX + "/")
    with (
        run_demo(folder, *arguments) as page,
        reverse_proxy(page.address, PREFIX) as public,
    ):
        yield dataclasses.replace(page, address=public)


def test_the_api_answers_through_the_proxy(behind: Served, service: Service, scene: Path) -> None:
    expected = service.ask(scene, QUESTION)
    assert expected.main
    over_http = behind.ask([behind.upload(scene), QUESTION]).raise_for_status().json()["data"][0]
    assert over_http["answer"] == expected.main.text
    _, reply, error = ask_with_client(behind.address, scene, QUESTION, " ")
    assert reply["answer"] == expected.main.text
    assert error == "there is no question yet; write one"


def test_the_page_answers_through_the_proxy(behind: Served, scene: Path) -> None:
    """Everything that the page loads lies below the path, and nothing is missing."""
    with chromium() as browser:
        page = browser.new_page()
        requested: list[str] = []
        failed: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on(
            "response",
            lambda reply: failed.append(reply.url) if reply.status >= 400 else None,
        )
        page.goto(behind.address)
        page.locator("#picture input[type=file]").first.set_input_files(str(scene))
        page.locator("#picture img").wait_for()
        page.fill("#question textarea", QUESTION)
        page.press("#question textarea", "Enter")
        page.locator("#answer .lx-headline").wait_for()
        page.locator("#regions img").wait_for()
        page.click(".lx-examples button >> nth=1")
        page.wait_for_timeout(1000)
        icons = page.locator(".lx-examples button img")
        widths = [icons.nth(index).evaluate("icon => icon.naturalWidth") for index in range(4)]
        assert all(width > 0 for width in widths)
        assert PREFIX in page.locator(".lx-about pre").text_content()
    elsewhere = [url for url in requested if not url.startswith((behind.address, "data:", "blob:"))]
    assert requested and elsewhere == [] and failed == []


def test_a_proxy_that_keeps_the_host_to_itself_works_with_the_whole_url(
    tiny_exported: Path, tmp_path: Path, scene: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = f"http://127.0.0.1:{port}{PREFIX}"
    arguments = (tiny_exported, "--threads", 1, "--root-path", public)
    with (
        run_demo(tmp_path, *arguments) as page,
        reverse_proxy(page.address, PREFIX, passes_host=False, port=port) as address,
    ):
        assert address == public + "/"
        text = httpx.get(address).raise_for_status().text
        assert public in text and page.address.rstrip("/") not in text
        _, reply = ask_with_client(address, scene, QUESTION)
        assert reply["answer"]


def test_what_is_refused_is_refused_below_the_path_too(behind: Served, scene: Path) -> None:
    api = f"{behind.address}gradio_api/"
    for path in ("file=https://example.com/x.png", "file/https://example.com/x.png"):
        assert httpx.get(f"{api}{path}").status_code == 403
    picture = {"path": "https://example.com/x.png"}
    assert behind.ask([picture, QUESTION]).status_code == 400
    assert behind.ask([{"path": "/etc/passwd"}, QUESTION]).status_code == 500
    reply = httpx.post(f"{api}upload", files={"files": ("a.png", bytes(22_000_000))})
    assert reply.status_code == 413
    uploaded = behind.upload(scene)["path"]
    assert httpx.get(f"{api}file={uploaded}").status_code == 200
    for path in ("/etc/passwd", f"{uploaded}/../../../../result.json", __file__):
        assert httpx.get(f"{api}file={path}").status_code == 403


def test_pages_of_other_origins_may_not_read_replies(behind: Served) -> None:
    """A browser hides a reply from another origin's page unless a header names that origin."""
    direct = f"{behind.address}gradio_api/info"
    assert httpx.get(direct).status_code == 200
    for origin in ("https://evil.example", "null"):
        headers = httpx.get(direct, headers={"Origin": origin}).headers
        assert headers.get("access-control-allow-origin") not in (origin, "*")


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
def test_other_hosts_than_the_default_serve_the_page(
    tiny_exported: Path, tmp_path: Path, host: str, scene: Path
) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.bind((host, 0))
    except OSError:
        pytest.skip(f"{host} is no address of this machine")
    with run_demo(tmp_path, tiny_exported, "--threads", 1, "--host", host) as page:
        shown = "[::1]" if ":" in host else "127.0.0.1"
        assert re.fullmatch(rf"http://{re.escape(shown)}:\d+/", page.address)
        assert page.ask([page.upload(scene), QUESTION]).status_code == 200
    text = page.process.output()
    is_warned = "everybody who reaches this port can use the model" in text
    assert is_warned == (host == "0.0.0.0") and text.count("\n") == 4 + is_warned
