"""A small reverse proxy, as nginx or Caddy would stand before the demo."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    target: tuple[str, int]
    prefix: str
    passes_host: bool


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _forward(self) -> None:
        prefix = self.server.prefix
        if not self.path.startswith(prefix + "/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {*_OF_ONE_CONNECTION, "host"}
        }
        host, port = self.server.target
        headers["Host"] = f"{host}:{port}"
        if self.server.passes_host:
            headers |= {"Host": self.headers["host"], "X-Forwarded-Host": self.headers["host"]}
            headers["X-Forwarded-Proto"] = "http"
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request(self.command, self.path.removeprefix(prefix), body or None, headers)
            self._reply(connection.getresponse())
        finally:
            connection.close()

    do_GET = do_POST = do_HEAD = do_OPTIONS = _forward

    def _reply(self, response: http.client.HTTPResponse) -> None:
        """Pass each part on at once: the page's events are a stream."""
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {*_OF_ONE_CONNECTION, "date", "server"}:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while part := response.read1(65536):
            self.wfile.write(part)
            self.wfile.flush()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def reverse_proxy(
    address: str, prefix: str, *, passes_host: bool = True, port: int = 0
) -> Iterator[str]:
    """Serve `address` below `prefix`, which is removed from requests; yields the public address.

    passes_host: whether the application is told the public host, as X-Forwarded-Host.
    port: the proxy's; 0 for any free one.
    """
    target = urlsplit(address)
    assert target.hostname and target.port
    server = _Server(("127.0.0.1", port), _Handler)
    server.target, server.prefix, server.passes_host = (
        (target.hostname, target.port),
        prefix,
        passes_host,
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
