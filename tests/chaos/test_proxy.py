"""Each mode of the proxy does to a connection what it says, and PASS does nothing."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from scripts.nemesis.proxy import DELAY_SECONDS, Mode, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of an echo server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        opened = Proxy(server.getsockname()[1], seed=1)
        yield opened
        opened.close()


def _echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_repeat, args=(connection,), daemon=True).start()


def _repeat(connection: socket.socket) -> None:
    with connection:
        try:
            while received := connection.recv(65536):
                connection.sendall(received)
        except OSError:
            return


def opened(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def test_bytes_pass_unchanged(proxy: Proxy) -> None:
    with opened(proxy) as connection:
        connection.sendall(b"bonjour")
        assert connection.recv(100) == b"bonjour"


@pytest.mark.parametrize("mode", [Mode.STALL_UP, Mode.STALL_DOWN])
def test_a_stalled_direction_delivers_nothing_until_the_mode_changes(proxy: Proxy, mode: Mode) -> None:
    with opened(proxy) as connection:
        proxy.set(mode)
        connection.sendall(b"bonjour")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.settimeout(60)
        proxy.set(Mode.PASS)
        assert connection.recv(100) == b"bonjour"


def test_a_delay_delays_both_ways(proxy: Proxy) -> None:
    with opened(proxy) as connection:
        proxy.set(Mode.DELAY)
        begun = time.monotonic()
        connection.sendall(b"bonjour")
        assert connection.recv(100) == b"bonjour"
        assert time.monotonic() - begun >= 2 * DELAY_SECONDS


def test_a_cut_resets_the_connection_in_the_middle_of_the_bytes(proxy: Proxy) -> None:
    with opened(proxy) as connection:
        proxy.set(Mode.CUT)
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            for _ in range(100):
                connection.sendall(b"x" * 1000)
                if not connection.recv(65536):
                    raise ConnectionResetError("reset by the proxy")
    assert proxy.resets == 1


def test_a_connection_goes_to_a_target_that_answers_and_the_next_one_tries_it_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        nobody = dead.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        alive = server.getsockname()[1]
        balancing = Proxy(nobody, alive)
        try:
            assert balancing.current_target == nobody
            with opened(balancing) as connection:
                connection.sendall(b"bonjour")
                assert connection.recv(100) == b"bonjour"
            assert balancing.current_target == alive
        finally:
            balancing.close()


def test_refuse_resets_open_connections_and_refuses_new_ones(proxy: Proxy) -> None:
    with opened(proxy) as connection:
        connection.sendall(b"bonjour")
        connection.recv(100)
        proxy.set(Mode.REFUSE)
        with pytest.raises(OSError, match="reset"):
            connection.recv(100)
    with pytest.raises(OSError, match=r"reset|refused"), opened(proxy) as late:
        late.sendall(b"bonjour")
        if not late.recv(100):
            raise ConnectionResetError("reset by the proxy")
