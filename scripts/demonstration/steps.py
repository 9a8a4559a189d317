"""What every act does: order, wait for an order to come so far, wait for the workers."""

import asyncio
import datetime as dt
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from choregraphie import BrokerUnavailable, Settings
from choregraphie.broker import connected, count_queues
from choregraphie.saga.topology import inbox
from saga_monitor.projection.queries import Order, Queries
from scripts.demonstration.broker import Broker
from scripts.demonstration.processes import ROOT, Crew, DemoError
from scripts.demonstration.scenarios import Kind
from scripts.probes import port_is_free

PATIENCE_SECONDS = 60
POLL_SECONDS = 0.1
# Of the monitor's web page, unless another program has it.
WEB_PORT = 8787


@dataclass(frozen=True)
class Stage:
    """What an act works with; `environ` is that of every program started.

    `say` tells a person a line; `explain` puts it above the orders too, with time to read it.
    """

    crew: Crew
    settings: Settings
    environ: Mapping[str, str]
    say: Callable[[str], None]
    explain: Callable[[str], None]
    broker: Broker


def await_workers(stage: Stage, services: Sequence[str]) -> None:
    """Wait until each service has a consumer. Raises DemoError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not asyncio.run(_all_hear(stage.settings, services)):
        stage.crew.check()
        if time.monotonic() > end:
            raise DemoError(f"the workers of {', '.join(services)} do not hear after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)


async def _all_hear(settings: Settings, services: Sequence[str]) -> bool:
    try:
        async with connected(settings, "waits for the workers") as connection:
            counts = await count_queues(connection, [inbox(service) for service in services])
    except BrokerUnavailable:
        return False
    return len(counts) == len(services) and all(found.consumers for found in counts.values())


def order_all(stage: Stage, kinds: Iterable[Kind]) -> None:
    """Publish these orders at once, from a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(_line(kind) for kind in kinds)
        file.flush()
        order(stage, "--file", file.name)


def order_one(stage: Stage, kind: Kind) -> None:
    """Publish one order."""
    order(stage, *_arguments(kind))


def order(stage: Stage, *arguments: str) -> None:
    """Run `passer_commande.py` with these arguments, and say so."""
    stage.say("$ python scripts/passer_commande.py " + " ".join(_shown(arguments)))
    stage.crew.run("passer_commande.py", str(ROOT / "scripts" / "passer_commande.py"), *arguments)


def until(stage: Stage, queries: Queries, kind: Kind, reached: Callable[[Order], bool]) -> None:
    """Wait until the monitor sees the order so far. Raises DemoError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := queries.order(kind.commande_id, dt.datetime.now(dt.UTC))) is None or not reached(found):
        stage.crew.check()
        if time.monotonic() > end:
            stands = f"{found.state}, last heard {found.last_type}" if found else "never heard of"
            raise DemoError(f"{kind.commande_id} does not go on: {stands}")
        time.sleep(POLL_SECONDS)


def until_ended(stage: Stage, queries: Queries, kind: Kind) -> None:
    """Wait until the order is in the state that it must come to, with nothing left to happen."""
    until(stage, queries, kind, lambda found: found.state == kind.state and found.at_rest)


def serve_page(stage: Stage) -> str:
    """Start the web page; returns its address. Raises DemoError."""
    port = WEB_PORT if port_is_free(WEB_PORT) else 0
    log = stage.crew.serve("web page", "saga_monitor", "serve", "--port", str(port))
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := re.search(r"http://\S+", log.read_text(errors="replace"))):
        stage.crew.check()
        if time.monotonic() > end:
            raise DemoError(f"the web page does not answer after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return found.group()


def _shown(arguments: Iterable[str]) -> list[str]:
    return ["orders.jsonl" if argument.endswith(".jsonl") else argument for argument in arguments]


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
    said = {
        "commande_id": kind.commande_id,
        "client_id": kind.client,
        "produit_id": kind.produit,
        "quantite": kind.quantite,
    }
    # An amount goes into a file as it is written, never by way of a float.
    return f'{json.dumps(said)[:-1]}, "montant": {kind.montant}}}\n'
