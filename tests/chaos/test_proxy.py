"""The proxy does to a connection what it says, and nothing when it is asked for nothing."""

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
    """In front of a server that repeats what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        opened = Proxy(server.getsockname()[1], seed=1)
        yield opened
        opened.close()


def _echo(server: socket.socket) -> None:
    while True:
        try:
            link, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_repeat, args=(link,), daemon=True).start()


def _repeat(link: socket.socket) -> None:
    with link:
        try:
            while heard := link.recv(65536):
                link.sendall(heard)
        except OSError:
            return


def opened(proxy: Proxy) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    link.settimeout(1.5)
    return link


def test_what_is_said_passes_unchanged(proxy: Proxy) -> None:
    with opened(proxy) as link:
        link.sendall(b"bonjour")
        assert link.recv(100) == b"bonjour"


@pytest.mark.parametrize("mode", [Mode.STALL_UP, Mode.STALL_DOWN])
def test_a_stalled_direction_says_nothing_until_it_is_freed(proxy: Proxy, mode: Mode) -> None:
    with opened(proxy) as link:
        proxy.set(mode)
        time.sleep(0.1)
        link.sendall(b"bonjour")
        with pytest.raises(TimeoutError):
            link.recv(100)
        proxy.set(Mode.PASS)
        assert link.recv(100) == b"bonjour"


def test_a_delay_delays_both_ways(proxy: Proxy) -> None:
    with opened(proxy) as link:
        proxy.set(Mode.DELAY)
        time.sleep(0.1)
        begun = time.monotonic()
        link.sendall(b"bonjour")
        assert link.recv(100) == b"bonjour"
        assert time.monotonic() - begun >= 2 * DELAY_SECONDS


def test_a_cut_resets_in_the_middle_of_what_is_said(proxy: Proxy) -> None:
    with opened(proxy) as link:
        proxy.set(Mode.CUT)
        time.sleep(0.1)
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            for _ in range(100):
                link.sendall(b"x" * 1000)
                if not link.recv(65536):
                    raise ConnectionResetError("reset, politely")
    assert proxy.resets == 1


def test_who_comes_is_led_to_one_that_answers_and_the_next_one_there_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        nobody = dead.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        alive = server.getsockname()[1]
        balancing = Proxy(nobody, alive)
        try:
            assert balancing.current_target == nobody
            with opened(balancing) as link:
                link.sendall(b"bonjour")
                assert link.recv(100) == b"bonjour"
            assert balancing.current_target == alive
        finally:
            balancing.close()


def test_a_proxy_that_refuses_lets_nobody_in_and_throws_out_who_is(proxy: Proxy) -> None:
    with opened(proxy) as link:
        link.sendall(b"bonjour")
        link.recv(100)
        proxy.set(Mode.REFUSE)
        with pytest.raises(OSError, match="reset"):
            link.recv(100)
    with pytest.raises(OSError, match=r"reset|refused"), opened(proxy) as late:
        late.sendall(b"bonjour")
        if not late.recv(100):
            raise ConnectionResetError("reset, politely")
