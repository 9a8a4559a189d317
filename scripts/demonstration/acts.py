"""Plays the orders: what is published, what is waited for, which worker is paused meanwhile."""

import asyncio
import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.choreography import CHOREOGRAPHY
from contracts.topology import inbox
from saga_monitor.queries import Order, Queries
from scripts.demonstration.crew import ROOT, Crew, DemoError
from scripts.demonstration.kinds import AT_ONCE, CANCELLED_AFTER, CANCELLED_BEFORE, KINDS, TOO_LATE, Kind
from services.runtime import BrokerTrouble, Settings, connected, count

PATIENCE_SECONDS = 60
POLL_SECONDS = 0.1
SHORT_DEADLINE = "2"


@dataclass(frozen=True)
class Stage:
    """What an act works with. `say` tells a person what happens; `environ` is that of every program started."""

    crew: Crew
    settings: Settings
    environ: Mapping[str, str]
    say: Callable[[str], None]


def open_shop(stage: Stage) -> None:
    """Start a worker of every service, and wait until each hears."""
    for service in CHOREOGRAPHY.services:
        stage.crew.work(service)
    await_workers(stage, CHOREOGRAPHY.services)


def await_workers(stage: Stage, services: Sequence[str]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not asyncio.run(_all_hear(stage.settings, services)):
        stage.crew.check()
        if time.monotonic() > end:
            raise DemoError(f"the workers of {', '.join(services)} do not hear after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)


async def _all_hear(settings: Settings, services: Sequence[str]) -> bool:
    try:
        async with connected(settings, "waits for the workers") as connection:
            counts = await count(connection, [inbox(service) for service in services])
    except BrokerTrouble:
        return False
    return len(counts) == len(services) and all(found.consumers for found in counts.values())


def play(stage: Stage) -> None:
    """Every kind of order, to its end."""
    queries = Queries(stage.settings.monitor_database, stage.settings.stuck_after)
    try:
        _many_at_once(stage, queries)
        _cancelled_before(stage, queries)
        _too_late(stage, queries)
        for kind in KINDS:
            _until(stage, queries, kind, lambda order: order.state == kind.state and order.at_rest)  # noqa: B023
    finally:
        queries.close()


def _many_at_once(stage: Stage, queries: Queries) -> None:
    stage.say(f"{len(AT_ONCE)} orders at once: created, refused by stock, by paiement, by commande")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(_line(kind) for kind in AT_ONCE)
        file.flush()
        _order(stage, "--file", file.name)
    # The confirmation has left: what follows cannot unsend it.
    _until(stage, queries, CANCELLED_AFTER, lambda order: order.state == "COMPLETED" and order.at_rest)
    stage.say(f"{CANCELLED_AFTER.commande_id} is created and confirmed; its client changes their mind")
    _order(stage, "--annuler", CANCELLED_AFTER.commande_id)


def _cancelled_before(stage: Stage, queries: Queries) -> None:
    stage.say(
        f"paiement is paused; {CANCELLED_BEFORE.commande_id} waits for it, and its client changes their mind"
    )
    stage.crew.pause("paiement")
    _order(stage, *_arguments(CANCELLED_BEFORE))
    _until(stage, queries, CANCELLED_BEFORE, lambda order: order.last_type == "stock.reserve")
    _order(stage, "--annuler", CANCELLED_BEFORE.commande_id)
    _until(stage, queries, CANCELLED_BEFORE, lambda order: order.state == "COMPENSATING")
    stage.say("paiement goes on: it may take the money, and then it gives it back")
    stage.crew.resume("paiement")


def _too_late(stage: Stage, queries: Queries) -> None:
    stage.say(f"commande is restarted with SAGA_DEADLINE={SHORT_DEADLINE}, and paiement paused again")
    stage.crew.end("commande")
    stage.crew.work("commande", SAGA_DEADLINE=SHORT_DEADLINE)
    await_workers(stage, ["commande"])
    stage.crew.pause("paiement")
    _order(stage, *_arguments(TOO_LATE))
    _until(stage, queries, TOO_LATE, lambda order: order.state == "COMPENSATING")
    stage.say(f"the deadline of {TOO_LATE.commande_id} has passed: commande has cancelled it; paiement goes on")
    stage.crew.resume("paiement")


def _order(stage: Stage, *arguments: str) -> None:
    stage.say("$ python scripts/passer_commande.py " + " ".join(_shown(arguments)))
    stage.crew.run("passer_commande.py", str(ROOT / "scripts" / "passer_commande.py"), *arguments)


def _shown(arguments: Iterable[str]) -> list[str]:
    return ["orders.jsonl" if argument.endswith(".jsonl") else argument for argument in arguments]


def _until(stage: Stage, queries: Queries, kind: Kind, reached: Callable[[Order], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while (order := queries.order(kind.commande_id, dt.datetime.now(dt.UTC))) is None or not reached(order):
        stage.crew.check()
        if time.monotonic() > end:
            stands = f"{order.state}, last heard {order.last_type}" if order else "never heard of"
            raise DemoError(f"{kind.commande_id} does not go on: {stands}")
        time.sleep(POLL_SECONDS)


def _arguments(kind: Kind) -> list[str]:
    said = {
        "--commande": kind.commande_id,
        "--client": kind.client,
        "--produit": kind.produit,
        "--quantite": str(kind.quantite),
        "--montant": str(kind.montant),
    }
    return [part for pair in said.items() for part in pair]


def _line(kind: Kind) -> str:
    order = {
        "commande_id": kind.commande_id,
        "client_id": kind.client,
        "produit_id": kind.produit,
        "quantite": kind.quantite,
    }
    # An amount goes into a file as it is written, never by way of a float.
    return f'{json.dumps(order)[:-1]}, "montant": {kind.montant}}}\n'


def known_to(folder: Path) -> Mapping[str, str]:
    """The settings that keep everything of the demonstration in `folder`."""
    return {
        "SAGA_DATABASE_URL": f"sqlite:///{folder}/{{service}}.sqlite3",
        "SAGA_MONITOR_DATABASE": str(folder / "monitor.sqlite3"),
        "SAGA_CARRIER": f"maildir:{folder / 'courrier'}",
    }
