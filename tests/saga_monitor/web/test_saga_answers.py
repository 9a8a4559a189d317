"""`/api/sagas/{saga}/{key}?wait=10`: where one saga stands, after a bounded wait."""

from __future__ import annotations

import json
import select
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from saga_monitor.web import saga_answers
from saga_monitor.web.access import Access
from tests.saga_monitor.memory_stream import CONFIRMED, CREATED, HELD, PLACED, SCENARIOS
from tests.saga_monitor.web.served import served
from tests.saga_monitor.web.shop_history import HOSTILE, retried, seconds
from tests.support.http_get import get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream
    from tests.saga_monitor.web.served import Served

# Longer than a test takes: an answer that came waited for something else.
FOREVER = 300


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_answers, "LONGEST_WAIT_SECONDS", float(FOREVER))


@pytest.fixture
def empty(tmp_path: Path, stream: Stream) -> Iterator[Served]:
    """A served monitor with an empty history."""
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        site.read_up()
        yield site


def ask(site: Served, key: str, **parameters: Any) -> httpx.Response:
    return get(site.at(f"/api/sagas/commande/{key}"), params=parameters)


def publish(site: Served, key: str, lines: list[Any]) -> None:
    site.stream.publish(key, lines, seconds(1))
    site.read_up()


class Waiting:
    """A request that was sent, and whose answer has not been read."""

    def __init__(self, site: Served, key: str) -> None:
        address = urlsplit(site.url)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=FOREVER)
        self._connection.request("GET", f"/api/sagas/commande/{key}?wait={FOREVER}")

    @property
    def answered(self) -> bool:
        return bool(select.select([self._connection.sock], [], [], 0)[0])

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._connection.getresponse().read())
        self._connection.close()
        return found


def test_a_saga_that_has_ended_is_answered_at_once(empty: Served) -> None:
    publish(empty, "CMD-1", CONFIRMED)
    answer = ask(empty, "CMD-1", wait=FOREVER).json()
    assert (answer["saga"], answer["key"], answer["state"]) == ("commande", "CMD-1", "COMPLETED")
    assert (answer["terminal"], answer["success"], answer["needs_person"]) == (True, True, False)
    assert answer["reason"] is None
    assert answer["since"].endswith("Z")


def test_a_saga_that_was_undone_has_ended_with_its_reason(empty: Served) -> None:
    publish(empty, "CMD-1", SCENARIOS["refused by payment"])
    answer = ask(empty, "CMD-1", wait=FOREVER).json()
    assert (answer["state"], answer["terminal"], answer["success"]) == ("COMPENSATED", True, False)
    assert answer["reason"] == "insufficient balance"


def test_without_a_wait_the_present_state_is_answered(empty: Served) -> None:
    publish(empty, "CMD-1", HELD)
    answer = ask(empty, "CMD-1").json()
    assert (answer["state"], answer["terminal"], answer["success"]) == ("RUNNING", False, None)
    assert answer["remaining"] == ["paiement.effectue", "commande.creee", "notification.envoyee"]


def test_a_wait_ends_with_the_saga(empty: Served) -> None:
    publish(empty, "CMD-1", HELD)
    waiting = Waiting(empty, "CMD-1")
    publish(empty, "CMD-2", CONFIRMED)
    assert not waiting.answered
    publish(empty, "CMD-1", CREATED[len(HELD) :])
    assert waiting.answer()["state"] == "COMPLETED"


def test_a_wait_for_a_key_that_is_not_known_yet_ends_with_the_saga(empty: Served) -> None:
    waiting = Waiting(empty, "CMD-1")
    publish(empty, "CMD-2", PLACED)
    assert not waiting.answered
    publish(empty, "CMD-1", CONFIRMED)
    assert waiting.answer()["terminal"]


def test_a_wait_ends_when_a_person_is_needed(empty: Served) -> None:
    retried(empty.stream)
    empty.read_up()
    (key,) = {order["commande_id"] for order in get(empty.at("/api/orders?flag=INTERVENTION")).json()["orders"]}
    answer = ask(empty, key, wait=FOREVER).json()
    assert (answer["terminal"], answer["needs_person"]) == (False, True)
    assert "INTERVENTION" in answer["flags"]


def test_a_wait_that_is_over_answers_the_present_state(empty: Served) -> None:
    publish(empty, "CMD-1", HELD)
    assert ask(empty, "CMD-1", wait=0.2).json()["state"] == "RUNNING"


def test_a_wait_is_bounded(empty: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_answers, "LONGEST_WAIT_SECONDS", 0.2)
    publish(empty, "CMD-1", HELD)
    assert ask(empty, "CMD-1", wait=86_400).json()["state"] == "RUNNING"


def test_an_unknown_key_is_a_404_with_one_line(empty: Served) -> None:
    answer = ask(empty, "CMD-1", wait=0.2)
    assert (answer.status_code, answer.json()) == (404, {"error": "No order CMD-1 in the history."})


def test_a_key_without_a_beginning_says_so(empty: Served) -> None:
    publish(empty, "CMD-1", [line for line in HELD if line.type != "commande.initiee"])
    answer = ask(empty, "CMD-1")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("CMD-1: services spoke of it, and no commande.initiee was heard")


def test_an_unknown_key_of_a_monitor_that_is_behind_says_that_too(empty: Served) -> None:
    empty.stream.away = True
    empty.until(lambda: get(empty.at("/readyz")).status_code == 503)
    assert "the monitor is not up to date (broker away)" in ask(empty, "CMD-1").json()["error"]


def test_another_saga_is_refused_with_the_one_that_there_is(empty: Served) -> None:
    answer = get(empty.at("/api/sagas/voyage/V-1"))
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "there is no saga of that name; there is: commande",
    )


@pytest.mark.parametrize("wait", ["x", "-1", "nan", "inf", "", "1e999", "1" * 5000])
def test_a_wait_that_is_no_time_is_refused(empty: Served, wait: str) -> None:
    answer = ask(empty, "CMD-1", wait=wait)
    assert (answer.status_code, answer.json()["error"].startswith("wait: expected seconds")) == (400, True)


def test_another_parameter_is_refused(empty: Served) -> None:
    assert ask(empty, "CMD-1", wiat=1).json()["error"] == "wiat is not a parameter; did you mean wait?"


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE)
def test_any_key_can_be_asked_for_as_a_parameter(empty: Served, key: str) -> None:
    publish(empty, key, CONFIRMED)
    answer = get(empty.at("/api/sagas/commande"), params={"key": key})
    assert (answer.json()["key"], answer.json()["terminal"]) == (key, True)


@pytest.mark.parametrize("key", ["", "%00", "x" * 101, "%FF%FE%ED%A0%80"])
def test_a_key_that_no_saga_can_have_is_a_404(empty: Served, key: str) -> None:
    answer = get(empty.at(f"/api/sagas/commande?key={key}"))
    assert (answer.status_code, len(answer.json()["error"].splitlines())) == (404, 1)


def test_the_token_is_asked_for(tmp_path: Path, stream: Stream) -> None:
    with served(tmp_path / "monitor.sqlite3", stream, Access.at("127.0.0.1", "sesame", ())) as site:
        address = site.at("/api/sagas/commande/CMD-1")
        assert get(address).status_code == 401
        assert get(address, headers={"authorization": "Bearer sesame"}).status_code == 404


def test_many_that_wait_keep_nobody_from_an_answer(empty: Served) -> None:
    """More wait than requests are answered at once; those without a place are answered with the present state."""
    publish(empty, "CMD-1", HELD)
    many = saga_answers.MOST_WAITING + 30
    started, answers = threading.Semaphore(0), []

    def wait() -> None:
        started.release()
        answers.append(ask(empty, "CMD-1", wait=FOREVER).json()["state"])

    threads = [threading.Thread(target=wait) for _ in range(many)]
    for thread in threads:
        thread.start()
    for _ in threads:
        started.acquire()
    empty.until(lambda: len(answers) == 30)
    assert get(empty.at("/api/orders")).status_code == 200
    assert get(empty.at("/readyz")).status_code == 200
    publish(empty, "CMD-1", CREATED[len(HELD) :])
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == ["COMPLETED"] * saga_answers.MOST_WAITING + ["RUNNING"] * 30


def test_the_place_of_a_client_that_has_gone_is_free_again(empty: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(empty, "CMD-1", HELD)
    for _ in range(saga_answers.MOST_WAITING):
        with pytest.raises(httpx.ReadTimeout), httpx.Client(verify=False) as client:
            client.get(empty.at(f"/api/sagas/commande/CMD-1?wait={FOREVER}"), timeout=httpx.Timeout(60, read=0.05))
    waiting = Waiting(empty, "CMD-1")
    publish(empty, "CMD-2", CONFIRMED)
    assert not waiting.answered
    publish(empty, "CMD-1", CREATED[len(HELD) :])
    assert waiting.answer()["state"] == "COMPLETED"


def test_a_monitor_that_stops_answers_those_who_wait(tmp_path: Path, stream: Stream) -> None:
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        publish(site, "CMD-1", HELD)
        waiting = Waiting(site, "CMD-1")
        publish(site, "CMD-2", PLACED)
    assert waiting.answer()["state"] == "RUNNING"
