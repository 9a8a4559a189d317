"""A card gateway over HTTP that charges at once, and keeps each answer back until the test wants it."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

# Longer than any test waits: a handler whose test has failed ends all the same.
_LONGEST_SECONDS = 120


class HeldGateway(BaseHTTPRequestHandler):
    """Answers debits once `debits` is set, and refunds once `refunds` is."""

    debits: ClassVar[threading.Event]
    refunds: ClassVar[threading.Event]

    def do_PUT(self) -> None:
        self._answer(200, b'{"acceptee": true}', self.debits)

    def do_DELETE(self) -> None:
        self._answer(204, b"", self.refunds)

    def _answer(self, status: int, body: bytes, when: threading.Event) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        when.wait(_LONGEST_SECONDS)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@contextlib.contextmanager
def held_gateway() -> Iterator[tuple[type[HeldGateway], str]]:
    """The gateway, and its URL."""
    kept = {"debits": threading.Event(), "refunds": threading.Event()}
    gateway = type("Gateway", (HeldGateway,), kept)
    with ThreadingHTTPServer(("127.0.0.1", 0), gateway) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield gateway, f"http://127.0.0.1:{server.server_port}"
        finally:
            for event in kept.values():
                event.set()
            server.shutdown()
