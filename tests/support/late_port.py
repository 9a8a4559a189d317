"""A port that refuses connections until a test opens it, and then forwards to another port."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class LatePort:
    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        # Bound and not listening, it refuses connections, and nobody else can have the port.
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.number: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def open(self) -> None:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for link in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = self._listener.accept()
                outside = socket.create_connection(self._target)
                self._open += [inside, outside]
                for one, other in ((inside, outside), (outside, inside)):
                    threading.Thread(target=_forward, args=(one, other), daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def late_port(host: str, port: int) -> Iterator[LatePort]:
    late = LatePort((host, port))
    try:
        yield late
    finally:
        late.close()
