"""A whole saga runs with the users that `topology users` makes, each with its rights alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.support.foreign_client import ForeignClient
from tests.support.saga_fixture import SERVICES
from tests.support.workers import ROOT, Worker, environment, services, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.choregraphie.deployment.conftest import Operator, Parts


def test_a_saga_runs_with_a_user_for_each_part_and_no_right_to_configure(
    operator: Operator, parts: Parts, tmp_path: Path
) -> None:
    """Two orders, their retries, dead letters that ops treats, and the monitor that shows all of it."""
    carrier = f"maildir:{tmp_path}/courrier"
    # Each mail fails by itself: a carrier that is away would be waited for.
    with workers(parts, tmp_path, carrier=carrier, carrier_failure_rate=1) as running:
        with ForeignClient(parts.url("client")) as client:
            for key in ("CMD-1", "CMD-2"):
                event = order(key)
                assert client.publish("client.events", event["type"], event, content_type="application/json")
        ops = parts.settings("ops") | database(tmp_path)
        until(lambda: len(letters(ops)) == 2, "the mails that cannot be sent are dead letters", 90)
        assert running["notification"].end() == 0
        running["notification"] = start(parts, tmp_path, "notification", carrier=carrier)
        running["notification"].await_ready()
        ids = {letter["commande_id"]: letter["id"] for letter in letters(ops)}
        because = ("--because", "the mail server is up")
        told = ("--set", "modele=confirmation", "--set", "destinataire=someone")
        for words in (
            ("dlq", "hold", ids["CMD-1"], *because),
            ("dlq", "replay", ids["CMD-1"], *because),
            ("settle", "CMD-2", "--done", "notification", *told, *because),
            ("dlq", "discard", ids["CMD-2"], *because),
            ("dlq", "audit", "--json"),
        ):
            done = services(*words, **ops)
            assert (done.returncode, done.stderr) == (0, ""), words
        acts = [record["act"] for record in json.loads(done.stdout)]
        assert acts == ["held", "replayed", "settled", "discarded"]
        ready = services("ready", "all", "--wait", "90", **parts.settings("ops"))
        assert ready.returncode == 0, ready.stderr

        def shown() -> list[tuple[str, str, str]]:
            listed = json.loads(monitor("list", "--json", **monitor_settings(parts, tmp_path)).stdout)
            return [(one["commande_id"], one["state"], one["last_event"]) for one in listed]

        ended = [(key, "COMPLETED", "notification.envoyee") for key in ("CMD-1", "CMD-2")]
        until(lambda: sorted(shown()) == ended, "the monitor shows both orders to their end")
        assert all(worker.exit_code is None for worker in running.values())
        wrong = [line for worker in running.values() for line in worker.logged("session.lost")]
        assert wrong == []


@contextlib.contextmanager
def workers(parts: Parts, folder: Path, **settings: Any) -> Iterator[dict[str, Worker]]:
    running = {name: start(parts, folder, name, **settings) for name in SERVICES}
    try:
        for worker in running.values():
            worker.await_ready()
        yield running
    finally:
        for worker in running.values():
            worker.kill()


def start(parts: Parts, folder: Path, name: str, **settings: Any) -> Worker:
    own = database(folder) | parts.settings(name)
    return Worker((name,), folder / f"{name}.log", own | settings)


def database(folder: Path) -> dict[str, Any]:
    return {"database_url": f"sqlite:///{folder}/{{service}}.sqlite3"}


def letters(ops: dict[str, Any]) -> list[dict[str, Any]]:
    """The dead letters that ops sees."""
    done = services("dlq", "list", "--json", **ops)
    assert done.returncode in {0, 1}, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["letters"]
    return found


def order(commande_id: str) -> dict[str, Any]:
    data = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2, "montant": 99.99}
    return {
        "specversion": "1.0",
        "id": f"id-{commande_id}",
        "type": "commande.initiee",
        "source": "/clients/dehors",
        "data": {"commande_id": commande_id, **data},
    }


def monitor_settings(parts: Parts, folder: Path) -> dict[str, Any]:
    return parts.settings("monitor") | {"monitor_database": folder / "monitor.sqlite3"}


def monitor(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saga_monitor", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
