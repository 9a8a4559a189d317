"""RabbitMQ's management API with one answer for every question."""

from __future__ import annotations

import contextlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from choregraphie import Settings
from scripts.probes import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def management_that_answers(
    content: bytes, status: int = 200, tls: ssl.SSLContext | None = None, query: str = ""
) -> Iterator[Settings]:
    """Settings whose SAGA_MANAGEMENT_URL leads to a server that answers this to everything.

    With `tls` over HTTPS; `query`: the parameters of its URL.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Answer)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme, host = ("https", "localhost") if tls else ("http", HOST)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Settings(management_url=f"{scheme}://guest:guest@{host}:{server.server_port}{query}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
