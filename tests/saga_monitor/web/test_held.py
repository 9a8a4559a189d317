"""Clients that hold connections of the web server: they are limited and cut off; others are answered."""

from __future__ import annotations

import contextlib
import re
import resource
from typing import TYPE_CHECKING

import pytest

from saga_monitor.web import server
from tests.saga_monitor.web.served import served
from tests.saga_monitor.web.test_serving import NOWHERE, environment, running
from tests.support.http_get import get
from tests.support.slow_clients import connected, descriptors, dripping, held, is_closed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream

DESCRIPTORS = 256
LOGIN = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n"


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "\r\n"]).encode()


@contextlib.contextmanager
def few_descriptors() -> Iterator[None]:
    """Processes started within the block may open only a few descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def port_of(url: str) -> int:
    found = re.search(r":(\d+)/", url)
    assert found
    return int(found[1])


@pytest.fixture
def port(tmp_path: Path, stream: Stream) -> Iterator[int]:
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        yield port_of(site.url)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half:",
        LOGIN,
        LOGIN.replace(b"4000", b"7") + b"token=x",
        request("/livez"),
        request("/changes"),
        request("/charts"),
        request("/static/style.css") * 100,
    ],
    ids=["nothing", "half a head", "half a form", "wrong token", "kept open", "listeners", "pages", "pipelined"],
)
def test_however_many_hold_it_others_are_answered(tmp_path: Path, sent: bytes) -> None:
    with contextlib.ExitStack() as stack:
        with few_descriptors():
            url, process = stack.enter_context(running(environment(tmp_path, NOWHERE)))
        with held(port_of(url), 300, sent):
            assert get(f"{url}livez").status_code == 200
            # A page may be refused only while others are being rendered.
            allowed = {200, 503} if sent.startswith((b"GET /charts", b"GET /static")) else {200}
            assert {get(url + path).status_code for path in ("", "metrics")} <= allowed
            assert descriptors(process.pid) < DESCRIPTORS


def test_what_is_not_completed_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1.0)
    with (
        held(port, 10) as halves,
        held(port, 10, LOGIN) as forms,
        dripping(port) as head,
        dripping(port, LOGIN) as form,
    ):
        assert all(is_closed(client) for client in (*halves, *forms))
        assert head.wait(60)
        assert form.wait(60)


def test_what_is_not_read_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 1.0)
    with connected(port, request("/charts") * 2000) as client:
        monkeypatch.setattr(server, "REQUEST_SECONDS", 60.0)
        assert client.getpeername()
        with contextlib.suppress(ConnectionError):
            while client.send(request("/charts") * 100):
                pass
        assert is_closed(client)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x00garbage\r\n\r\n", 400),
        (request("/", "X: " + "y" * 20_000), 431),
        (request("/" + "y" * 20_000), 431),
        (request("/letters/" + "9" * 5000), 414),
        (request("/?q=" + "y" * 20_000), 431),
        (request("/", "Cookie: " + "a=b; " * 5000), 431),
        (request("/", *["X: y"] * 5000), 431),
        (request("/livez", "Connection: upgrade", "Upgrade: websocket"), 200),
    ],
)
def test_what_is_too_much_is_refused(port: int, sent: bytes, status: int) -> None:
    with connected(port, sent) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 %d " % status)


def test_nothing_of_it_is_a_traceback(tmp_path: Path) -> None:
    """`running` checks the log. Garbage after half a body, half a form, an answer that is not read."""
    with running(environment(tmp_path, NOWHERE)) as (url, _):
        port = port_of(url)
        with connected(port, request("/changes", "Transfer-Encoding: chunked")) as client:
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            client.sendall(b"\x00nonsense\r\n\r\n")
            assert is_closed(client)
        for sent in (LOGIN, request("/charts"), request("/changes")):
            with held(port, 20, sent):
                pass
        assert get(f"{url}livez").status_code == 200
