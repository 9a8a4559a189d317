"""`outcome` waits for the end of a saga, by asking a monitor."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from choregraphie.client import MonitorRefused, Outcome, OutcomeUnknown, outcome
from saga_monitor.web.access import Access
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, SCENARIOS, Stream
from tests.saga_monitor.web.served import served
from tests.saga_monitor.web.shop_history import retried, seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.saga_monitor.web.served import Served

FOREVER = 60.0
RUNNING = {
    "saga": "commande",
    "key": "CMD-1",
    "state": "RUNNING",
    "terminal": False,
    "success": None,
    "needs_person": False,
    "reason": None,
    "since": "2026-11-29T08:00:00.000Z",
}
COMPLETED = RUNNING | {"state": "COMPLETED", "terminal": True, "success": True}


@pytest.fixture(autouse=True)
def patient_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outcome.__globals__, "FIRST_ANSWER_SECONDS", FOREVER)


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "monitor.sqlite3", Stream()) as site:
        site.read_up()
        yield site


def publish(monitor: Served, key: str, lines: list[Any]) -> None:
    monitor.stream.publish(key, lines, seconds(1))
    monitor.read_up()


async def test_a_saga_that_has_ended_is_known_at_once(monitor: Served) -> None:
    publish(monitor, "CMD-1", CONFIRMED)
    found = await outcome(monitor.url, "commande", "CMD-1", timeout=FOREVER)
    assert (found.state, found.terminal, found.success, found.key) == ("COMPLETED", True, True, "CMD-1")
    assert found.since is not None
    assert found.since.tzinfo is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.state = "NEW"  # type: ignore[misc]


async def test_the_end_is_waited_for(monitor: Served) -> None:
    publish(monitor, "CMD-1", HELD)
    waiting = asyncio.create_task(outcome(monitor.url, "commande", "CMD-1", timeout=FOREVER))
    await asyncio.to_thread(publish, monitor, "CMD-2", HELD)
    assert not waiting.done()
    rest = SCENARIOS["refused by payment"][len(HELD) :]
    await asyncio.to_thread(publish, monitor, "CMD-1", rest)
    found = await waiting
    assert (found.state, found.terminal, found.success, found.reason) == (
        "COMPENSATED",
        True,
        False,
        "insufficient balance",
    )


async def test_a_saga_that_the_monitor_has_not_heard_of_yet_is_waited_for(monitor: Served) -> None:
    waiting = asyncio.create_task(outcome(monitor.url, "commande", "CMD-1", timeout=FOREVER))
    await asyncio.to_thread(publish, monitor, "CMD-1", CONFIRMED)
    assert (await waiting).terminal


async def test_a_saga_that_needs_a_person_is_not_waited_for(monitor: Served) -> None:
    retried(monitor.stream)
    monitor.read_up()
    found = await outcome(monitor.url, "commande", "CMD-LOST", timeout=FOREVER)
    assert (found.terminal, found.needs_person) == (False, True)


async def test_when_the_time_is_over_the_last_known_state_is_the_outcome(monitor: Served) -> None:
    publish(monitor, "CMD-1", HELD)
    found = await outcome(monitor.url, "commande", "CMD-1", timeout=0.7)
    assert (found.state, found.terminal, found.success) == ("RUNNING", False, None)


async def test_without_time_the_present_state_is_the_outcome(monitor: Served) -> None:
    publish(monitor, "CMD-1", CONFIRMED)
    assert (await outcome(monitor.url, "commande", "CMD-1", timeout=0)).terminal


async def test_when_the_time_is_over_an_unknown_key_is_an_error_in_one_line(monitor: Served) -> None:
    with pytest.raises(OutcomeUnknown, match=r"^commande CMD-1: .*: 404 No \w+ CMD-1 in the history\.$"):
        await outcome(monitor.url, "commande", "CMD-1", timeout=0.1)
    with pytest.raises(TimeoutError):
        await outcome(monitor.url, "commande", "CMD-1", timeout=0)


async def test_a_saga_that_the_monitor_does_not_have_is_refused_at_once(monitor: Served) -> None:
    with pytest.raises(MonitorRefused, match="there is: commande"):
        await outcome(monitor.url, "voyage", "V-1", timeout=FOREVER)


async def test_the_token_is_shown(tmp_path: Path) -> None:
    with served(tmp_path / "m.sqlite3", Stream(), Access.at("127.0.0.1", "sésame 🧾", ())) as site:
        site.stream.publish("CMD-1", CONFIRMED, seconds(1))
        with pytest.raises(MonitorRefused, match=r"401 A token is needed"):
            await outcome(site.url, "commande", "CMD-1", timeout=FOREVER)
        assert (await outcome(site.url, "commande", "CMD-1", timeout=FOREVER, token="sésame 🧾")).terminal


@pytest.mark.parametrize("key", ["..", "a//b", "é 🧾", "a?b&c#d", "%2e"])
async def test_any_key_can_be_waited_for(monitor: Served, key: str) -> None:
    publish(monitor, key, CONFIRMED)
    assert (await outcome(monitor.url, "commande", key, timeout=FOREVER)).key == key


async def test_nobody_at_the_address_is_an_error_in_one_line() -> None:
    with pytest.raises(OutcomeUnknown, match=r"^commande CMD-1: the monitor at http://127\.0\.0\.1:1: "):
        await outcome("http://127.0.0.1:1/", "commande", "CMD-1", timeout=0.1)


async def test_an_error_shows_neither_password_nor_token() -> None:
    with pytest.raises(OutcomeUnknown, match=r"the monitor at http://127\.0\.0\.1:1: "):
        await outcome("http://u:hush@127.0.0.1:1/", "commande", "CMD-1", timeout=0.1)
    with pytest.raises(MonitorRefused, match=r"^the token holds a control character"):
        await outcome("http://127.0.0.1:1/", "commande", "CMD-1", timeout=FOREVER, token="hush\n")


@pytest.mark.parametrize("url", ["127.0.0.1:8787", "ftp://x", "http://x:port", ""])
async def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(MonitorRefused, match="the monitor's URL"):
        await outcome(url, "commande", "CMD-1", timeout=FOREVER)


async def streamed(body: bytes) -> AsyncIterator[bytes]:
    yield body


def answering(*answers: tuple[int, Any]) -> tuple[httpx.AsyncClient, list[httpx.Request]]:
    """A client of a server that gives these answers, the last one for ever."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, body = answers[min(len(asked), len(answers)) - 1]
        return httpx.Response(
            status, content=streamed(body if isinstance(body, bytes) else json.dumps(body).encode())
        )

    return httpx.AsyncClient(transport=httpx.MockTransport(answer)), asked


async def ask(*answers: tuple[int, Any], timeout: float = FOREVER) -> Outcome:
    client, _ = answering(*answers)
    async with client:
        return await outcome("http://monitor", "commande", "CMD-1", timeout=timeout, client=client)


@pytest.mark.parametrize(
    "first",
    [
        (503, {"error": "50 requests are being answered already"}),
        (502, b"<html>bad gateway</html>"),
        (200, b"<html>a proxy's page</html>"),
        (200, {"state": "COMPLETED"}),
        (200, b"x" * 100_000),
        (200, b"[" * 50_000),
        (503, b"[" * 50_000),
        (429, b""),
        (404, b"not yet"),
    ],
)
async def test_what_may_pass_is_asked_again(first: tuple[int, Any]) -> None:
    assert (await ask(first, (200, COMPLETED))).terminal


@pytest.mark.parametrize("status", [400, 401, 403, 421])
async def test_what_would_be_refused_again_is_not_asked_again(status: int) -> None:
    with pytest.raises(MonitorRefused, match=rf"the monitor at http://monitor: {status} no$"):
        await ask((status, {"error": "no"}))


async def test_the_last_known_state_is_kept_when_the_monitor_goes_away() -> None:
    assert (await ask((200, RUNNING), (503, {"error": "away"}), timeout=1.2)).state == "RUNNING"


async def test_an_error_is_one_line_whatever_was_answered() -> None:
    with pytest.raises(OutcomeUnknown) as error:
        await ask((500, b"one\ntwo\r\n\x1b[31m" + b"x" * 5000), timeout=0.1)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(("timeout", "waits"), [(3600, "30.000"), (10, "9.5"), (0, "0.000")])
async def test_each_question_waits_within_the_time_that_is_left(timeout: float, waits: str) -> None:
    client, asked = answering((200, COMPLETED))
    async with client:
        await outcome("http://monitor/", "commande", "CMD-1", timeout=timeout, client=client)
    (request,) = asked
    assert request.url.path == "/api/sagas/commande"
    assert request.url.params["wait"].startswith(waits[:2])
    assert float(request.url.params["wait"]) <= float(waits)


async def test_a_monitor_that_answers_at_once_is_not_asked_without_a_pause() -> None:
    client, asked = answering((200, RUNNING))
    async with client:
        await outcome("http://monitor", "commande", "CMD-1", timeout=1.2, client=client)
    assert len(asked) <= 4


async def test_a_monitor_that_hangs_is_not_waited_for_beyond_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outcome.__globals__, "FIRST_ANSWER_SECONDS", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as hanging,
        pytest.raises(OutcomeUnknown, match="has not answered"),
    ):
        await outcome(f"http://127.0.0.1:{hanging.getsockname()[1]}", "commande", "CMD-1", timeout=0.1)
