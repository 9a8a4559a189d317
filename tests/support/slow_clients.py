"""HTTP clients that hold a connection open: they send half a request, or a byte at a time, or never read."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half:"


def connected(port: int, sent: bytes = HALF) -> socket.socket:
    """Open a connection and send `sent`."""
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    with contextlib.suppress(OSError):  # the server may have closed it already
        client.sendall(sent)
    return client


@contextlib.contextmanager
def held(port: int, count: int, sent: bytes = HALF) -> Iterator[list[socket.socket]]:
    """Hold this many connections, each with `sent`, while the block lasts."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connected(port, sent)) for _ in range(count)]


def is_closed(client: socket.socket) -> bool:
    """Whether the server has closed it, within the socket's timeout. An answer of the server is skipped."""
    try:
        while client.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@contextlib.contextmanager
def dripping(port: int, head: bytes = HALF, seconds: float = 0.2) -> Iterator[threading.Event]:
    """Send one more byte every `seconds`. The event is set when the server closes the connection."""
    cut, over = threading.Event(), threading.Event()

    def drip() -> None:
        with connected(port, head) as client:
            while not over.wait(seconds):
                try:
                    client.sendall(b"x")
                except OSError:
                    cut.set()
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield cut
    finally:
        over.set()
        thread.join()


def descriptors(pid: int) -> int:
    """The number of descriptors that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
