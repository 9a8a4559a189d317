"""The worker's port under slow clients: they are bounded and cut off, and all others are answered."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.process import connections
from choregraphie.telemetry import http_port, metrics_server
from choregraphie.telemetry.http_port import MOST_CONNECTIONS, Answer, serving
from choregraphie.telemetry.serving import serving_metrics
from tests.choregraphie.telemetry.test_metrics import get
from tests.support.free_port import free_port
from tests.support.saga_fixture import saga_fixture
from tests.support.slow_clients import HALF, connected, descriptors, dripping, held, is_closed
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.brokers import Broker

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
DESCRIPTORS = 256
# More than the kernel's buffers hold of an unread answer.
LARGE = b"x" * 8_000_000


async def answer_with_path(path: str, _: str) -> Answer:
    if path == "/broken":
        raise KeyError(path)
    return Answer(200, LARGE if path == "/large" else path.encode())


@pytest.fixture
def port() -> Iterator[int]:
    listener = connections.listen("127.0.0.1", 0)
    with serving(listener, answer_with_path):
        yield listener.getsockname()[1]


def asked(port: int, request: bytes) -> bytes:
    with connected(port, request) as client:
        answer = b""
        with contextlib.suppress(ConnectionError):
            while more := client.recv(65_536):
                answer += more
        return answer


def test_it_answers_while_others_hold_half_requests(port: int) -> None:
    with held(port, 300) as clients:
        assert get(port, "/here") == (200, "/here")
        closed = [is_closed(client) for client in clients]
    assert all(closed)


def test_only_the_oldest_connections_are_closed_for_new_ones(port: int) -> None:
    with held(port, MOST_CONNECTIONS + 1) as clients:
        assert is_closed(clients[0])
        clients[-1].sendall(b" y\r\n\r\n")
        assert clients[-1].recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_sends_a_byte_at_a_time_is_cut_off(port: int) -> None:
    with dripping(port) as cut:
        assert cut.wait(60)


def test_a_client_that_does_not_read_its_answer_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_port, "ANSWER_SECONDS", 0.5)
    with capture_logs() as logs, held(port, MOST_CONNECTIONS, GET.replace(b"livez", b"large")) as clients:
        assert get(port, "/here") == (200, "/here")
        until(lambda: all(_is_reset(client) for client in clients), "all of them are reset")
    assert logs == []


def _is_reset(client: socket.socket) -> bool:
    # struct tcp_info begins with the state of the connection, and 7 is TCP_CLOSE.
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x00\x16\x03\x01garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1_000_000, 431),
        (b"GET /" + b"y" * 1_000_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 405),
        (b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n", 500),
        (GET + GET, 200),
    ],
)
def test_a_request_is_answered_once_or_cut_off(port: int, request_: bytes, status: int) -> None:
    answer = asked(port, request_)
    assert answer.count(b"HTTP/1.1 ") <= 1
    # A client that sends more may be reset before it reads the answer.
    assert answer.startswith(b"HTTP/1.1 %d " % status) or (not answer and len(request_) > 100_000)
    assert get(port, "/here") == (200, "/here")


def test_a_head_request_is_answered_without_a_body(port: int) -> None:
    answer = asked(port, b"HEAD /here HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: 5" in answer.lower()


async def test_a_blocked_loop_is_reported_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "LOOP_SECONDS", 0.3)
    port = free_port()
    with serving_metrics(Settings(metrics_port=port)):
        assert asked(port, GET).startswith(b"HTTP/1.1 503 ")  # this loop is the one that waits here
        assert asked(port, GET).startswith(b"HTTP/1.1 503 ")
        monkeypatch.setattr(metrics_server, "LOOP_SECONDS", 60.0)
        assert await asyncio.to_thread(get, port, "/livez") == (200, "ok\n")


def test_a_worker_short_of_descriptors_works_while_its_port_is_held(broker: Broker, tmp_path: Path) -> None:
    port = free_port()
    with saga_fixture(broker, tmp_path) as place:
        place.settings |= {"metrics_port": port}
        place.start_all()
        worker = place.workers["stock"]
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        with held(port, DESCRIPTORS - 7, HALF):
            place.await_events(place.order(), "notification.envoyee")
            assert get(port, "/livez") == (200, "ok\n")
            assert get(port, "/readyz") == (200, "ok\n")
            assert get(port)[0] == 200
            assert descriptors(worker.pid) < DESCRIPTORS // 2
            place.await_events(place.order(), "notification.envoyee")
        assert "Traceback" not in worker.output()
        assert worker.logged("message.dead_lettered") == []
        assert worker.end() == 0


async def test_without_a_free_descriptor_it_pauses_and_logs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ACCEPT_PAUSE_SECONDS", 0.1)
    with capture_logs() as logs, connections.listen("127.0.0.1", 0) as listener:
        taken: list[socket.socket] = []

        async def take(client: socket.socket) -> None:
            taken.append(client)

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        open_ones: connections.Connections[Any] = connections.Connections(4)
        accepting = asyncio.create_task(connections.accept(listener, open_ones, take))
        with connected(listener.getsockname()[1]), connected(listener.getsockname()[1]):
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))
            try:
                await asyncio.sleep(0.5)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            await asyncio.to_thread(until, lambda: len(taken) == 2, "both are accepted")
        accepting.cancel()
        for client in taken:
            client.close()
    assert [line["event"] for line in logs] == ["port.accept_failed"]
