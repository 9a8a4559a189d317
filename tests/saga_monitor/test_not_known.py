"""What the monitor does not know it says, on a real broker: events lost unread, queues not counted, old rows."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pika
import pytest

from choregraphie.saga.topology import REASON_HEADER, dlq, dlx, events
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, KNOWN, event_bytes
from tests.support.foreign_client import ForeignClient
from tests.support.free_port import free_port
from tests.support.http_get import get
from tests.support.topology import declare_topology_at
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.management import Management
    from tests.support.brokers import Broker

# Segments of a stream are dropped whole: so many bytes push out what came before them.
MAX_BYTES = 20_000_000
LONG_AGO = dt.timedelta(minutes=5)


class Watched:
    """A broker with the topology and without a worker, and a monitor that is asked now and then."""

    def __init__(self, url: str, foreign_client: ForeignClient, folder: Path) -> None:
        self.url, self.foreign_client = url, foreign_client
        self.path = folder / "monitor.sqlite3"
        self.settings: dict[str, Any] = {"amqp_url": url, "monitor_database": self.path, "stuck_after": 1}

    def publish(self, order: str, lines: Any = HELD) -> None:
        for line in lines:
            body = event_bytes(order, line, dt.datetime.now(dt.UTC) - LONG_AGO)
            assert self.foreign_client.publish(events(KNOWN[line.type].SAID_BY), line.type, body, timestamp=_now())

    def set_aside(self, service: str, count: int) -> None:
        for number in range(count):
            headers = {REASON_HEADER: "unreadable"}
            assert self.foreign_client.publish(dlx(service), "commande.initiee", b"%d" % number, headers)

    def flood(self, count: int = 420) -> None:
        """Say so many times 200 kB that nobody knows."""
        for number in range(count):
            body = {
                "specversion": "1.0",
                "id": f"{uuid.uuid4()}",
                "type": "stranger.thing",
                "source": "/clients/bulk",
                "data": {"commande_id": f"BULK-{number}", "padding": "y" * 200_000},
            }
            assert self.foreign_client.publish("client.events", "stranger.thing", body, timestamp=_now())

    def run(self, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "saga_monitor", *arguments],
            cwd=ROOT,
            env=environment(**(self.settings | settings)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def wrong(self, **settings: Any) -> dict[tuple[str, str], dict[str, Any]]:
        """What is wrong, by kind and reason; the exit code must be as bad."""
        done = self.run("anomalies", "--json", **settings)
        found = json.loads(done.stdout)
        assert done.returncode == (1 if found else 0), done.stderr
        return {(one["kind"], one["reason"]): one for one in found}


def _now() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp())


@pytest.fixture
def watched(amqp_url: str, foreign_client: ForeignClient, tmp_path: Path) -> Watched:
    declare_topology_at(amqp_url, history_max_bytes=MAX_BYTES)
    return Watched(amqp_url, foreign_client, tmp_path)


def test_what_was_known_and_what_the_queues_hold_is_said_of_a_history_that_lost_its_head(watched: Watched) -> None:
    watched.publish("CMD-1")
    watched.set_aside("stock", 10)
    assert watched.run("list").returncode == 0
    watched.flood()
    wrong = watched.wrong()
    assert wrong["stuck", "no_consumer"]["commande_id"] == "CMD-1"
    assert watched.run("anomalies").stdout.count("is in stock.dlq") == 10
    lost = wrong["lost_history", "trimmed"]
    assert 300 < lost["count"] < 420
    assert f"{lost['count']} events were lost unread" in lost["sentence"]
    assert "stranger.thing" in wrong["unknown_events", "unknown_type"]["sentence"]
    shown = watched.run("show", "CMD-1")
    assert (shown.returncode, "STUCK" in shown.stdout) == (0, True)
    assert "no longer in the history" in shown.stderr
    watched.run("anomalies", "--acknowledge")
    assert ("lost_history", "trimmed") not in watched.wrong()


def test_a_new_file_says_that_the_history_begins_in_the_middle_and_what_the_queues_hold(watched: Watched) -> None:
    watched.publish("CMD-1")
    watched.set_aside("stock", 10)
    watched.flood()
    wrong = watched.wrong()
    assert "what was said before is not known" in wrong["lost_history", "beginning"]["sentence"]
    assert wrong["dead_letter", "not_in_history"]["count"] == 10
    assert wrong["queue", "no_consumer"]["count"] == 1
    services = [one["service"] for one in json.loads(watched.run("anomalies", "--json").stdout)]
    assert {"stock", "commande", "paiement"} <= set(services)


def test_a_history_deleted_and_made_anew_forgets_nothing(watched: Watched, management: Management) -> None:
    watched.publish("CMD-1")
    assert watched.run("list").returncode == 0
    management.delete_queue("saga.history")
    wrong = watched.wrong()
    assert ("blind", "no_history") in wrong
    assert wrong["stuck", "no_consumer"]["commande_id"] == "CMD-1"
    declare_topology_at(watched.url, history_max_bytes=MAX_BYTES)
    watched.publish("CMD-2", CONFIRMED)
    wrong = watched.wrong()
    assert wrong["stuck", "no_consumer"]["commande_id"] == "CMD-1"
    assert "was deleted, emptied or restored" in wrong["lost_history", "replaced"]["sentence"]
    assert [one["commande_id"] for one in json.loads(watched.run("list", "--json").stdout)] == ["CMD-2", "CMD-1"]


def test_a_queue_that_may_not_be_counted_is_not_taken_for_empty(
    watched: Watched, management: Management, amqp_url: str
) -> None:
    watched.set_aside("stock", 3)
    assert watched.wrong()["dead_letter", "unreadable"]
    management.delete_queue(dlq("stock"))
    holder = pika.BlockingConnection(pika.URLParameters(amqp_url))
    holder.channel().queue_declare(dlq("stock"), exclusive=True)
    assert "stock.dlq" in watched.wrong()["blind", "not_counted"]["sentence"]
    holder.close()


def test_queues_that_are_not_there_are_said(watched: Watched, management: Management) -> None:
    assert watched.wrong() == {}
    for name in ("stock.dlq", "paiement.inbox", "paiement.retry.5"):
        management.delete_queue(name)
    done = watched.run("anomalies")
    assert done.returncode == 1
    assert "stock.dlq does not exist" in done.stdout
    assert "paiement.inbox, paiement.retry.5 do not exist" in done.stdout
    assert {row["name"] for row in management.queues()}.isdisjoint({"stock.dlq", "paiement.inbox"})


def test_rows_of_a_broker_that_is_away_are_shown_with_their_age(watched: Watched) -> None:
    watched.publish("CMD-1", CONFIRMED)
    assert watched.run("list").returncode == 0
    away = {"amqp_url": "amqp://guest:guest@127.0.0.1:1/"}
    for arguments in (["list"], ["show", "CMD-1"], ["report"], ["report", "--orders"]):
        done = watched.run(*arguments, **away)
        assert (done.returncode, bool(done.stdout)) == (1, True), arguments
        assert "broker away (127.0.0.1:1: Connection refused)" in done.stderr
        assert "what follows was true at" in done.stderr
    (row,) = json.loads(watched.run("list", "--json", **away).stdout)
    assert (row["commande_id"], row["fresh"]) == ("CMD-1", False)
    assert row["as_of"]
    assert json.loads(watched.run("report", "--json", **away).stdout)["fresh"] is False
    assert {("blind", "no_answer"), ("blind", "behind")} <= watched.wrong(**away).keys()
    unknown = watched.run("show", "CMD-2", **away)
    assert unknown.returncode == 1
    assert "it may be beyond" in unknown.stderr
    assert watched.run("list", "--at", "0m").returncode == 0


def test_a_monitor_makes_nothing_and_waits_for_whoever_does(
    broker: Broker, management: Management, amqp_url: str, tmp_path: Path
) -> None:
    with ForeignClient(amqp_url) as foreign_client:
        early = Watched(amqp_url, foreign_client, tmp_path)
        log = tmp_path / "log"
        with log.open("wb") as out:
            live = subprocess.Popen(
                [sys.executable, "-m", "saga_monitor"], cwd=ROOT, env=environment(**early.settings), stderr=out
            )
        try:
            until(lambda: "no stream saga.history" in log.read_text(), "a word about the missing stream")
            assert ("queue", "missing") in early.wrong()
            for arguments in (["list"], ["show", "CMD-1"], ["report"], ["anomalies"], ["history"]):
                # In a file of its own, which the live monitor does not write.
                done = early.run(*arguments, monitor_database=tmp_path / "other.sqlite3")
                assert (done.returncode, "saga.history" in done.stderr + done.stdout) == (1, True), arguments
            assert [*management.queues(), *management.exchanges()] == []
            declare_topology_at(amqp_url)
            management.unbind("stock.events", "paiement.inbox", "stock.reserve")
            until(lambda: log.read_text().rstrip().endswith("live"), "the monitor to be live")
            early.publish("CMD-1", CONFIRMED)
            # The live monitor writes the file: on a busy machine it may be some seconds behind.
            until(lambda: early.run("list").returncode == 0, "the list to be current")
            bound = {(row["source"], row["destination"], row["routing_key"]) for row in management.bindings()}
            assert ("stock.events", "paiement.inbox", "stock.reserve") not in bound
        finally:
            live.kill()
            live.wait()


def test_a_binding_that_is_gone_is_said_where_the_management_may_be_asked(
    watched: Watched, broker: Broker, management: Management
) -> None:
    asking = {"management_url": broker.management_login_url}
    assert watched.wrong(**asking) == {}
    management.unbind("stock.events", "paiement.inbox", "stock.reserve")
    management.unbind("commande.events", "saga.history", "#")
    wrong = watched.wrong(**asking)
    sentence = wrong["queue", "unbound"]["sentence"]
    assert "paiement.inbox is not bound to stock.events (stock.reserve)" in sentence
    assert "outbox resend --service stock" in sentence
    assert "saga.history is not bound to commande.events" in wrong["blind", "unbound"]["sentence"]
    assert ("blind", "bindings_not_known") in watched.wrong(management_url="http://guest:guest@127.0.0.1:1")


@contextlib.contextmanager
def serving(watched: Watched, log: Path) -> Iterator[str]:
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "saga_monitor", "serve"],
            cwd=ROOT,
            env=environment(**watched.settings, monitor_port=port),
            stdout=out,
            stderr=out,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: asked(f"{url}/readyz")[0] == 200, "the monitor ready")
        yield url
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def asked(url: str) -> tuple[int, str]:
    try:
        answer = get(url)
    except httpx.HTTPError:
        return 0, ""
    return answer.status_code, answer.text


def test_a_file_deleted_under_serve_is_said_and_built_anew(watched: Watched, tmp_path: Path) -> None:
    watched.publish("CMD-1", CONFIRMED)
    with serving(watched, tmp_path / "log") as url:
        inode = watched.path.stat().st_ino
        watched.path.unlink()
        until(lambda: watched.path.exists() and watched.path.stat().st_ino != inode, "another file")
        until(lambda: "built anew from the stream" in asked(url)[1], "a word about it on the page")
        watched.publish("CMD-2", CONFIRMED)
        until(lambda: "CMD-2" in asked(f"{url}/api/orders")[1], "the order said since")
        assert "CMD-1" in asked(f"{url}/api/orders")[1]
        beside = watched.run("list", "--json")
        assert {one["commande_id"] for one in json.loads(beside.stdout)} == {"CMD-1", "CMD-2"}
        assert beside.returncode == 0


def test_while_the_broker_is_away_the_page_claims_nothing(
    watched: Watched, management: Management, tmp_path: Path
) -> None:
    with serving(watched, tmp_path / "log") as url:
        until(lambda: "Nothing is wrong" in asked(f"{url}/anomalies")[1], "the first look")
        assert "saga_monitor_known 1.0" in asked(f"{url}/metrics")[1]
        management.set_permissions(management.user, configure="^$", write="^$", read="^$")
        management.close_connections("monitor")
        until(lambda: asked(f"{url}/readyz")[0] == 503, "the monitor to say that it is not ready")
        assert "what is shown was true at 20" in asked(f"{url}/readyz")[1]
        until(lambda: "saga_monitor_known 0.0" in asked(f"{url}/metrics")[1], "the metrics to say so")
        until(lambda: "Nothing is wrong" not in asked(f"{url}/anomalies")[1], "the page to say so")
        assert json.loads(asked(f"{url}/api/anomalies")[1])["known"] is False
        management.set_permissions(management.user)
        until(lambda: asked(f"{url}/readyz")[0] == 200, "the monitor ready again")
