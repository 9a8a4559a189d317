"""The steps that the scenarios share: order, wait for a state, wait for the workers, start the web page."""

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
from saga_monitor.projection.queries import Queries, SagaSummary
from scripts.demonstration.broker import Broker
from scripts.demonstration.processes import ROOT, DemoError, Processes
from scripts.demonstration.scenarios import Scenario

PATIENCE_SECONDS = 180
POLL_SECONDS = 0.1
# The port of the monitor's web page, unless it is taken.
WEB_PORT = 8787
_PAGE = "web page"


@dataclass(frozen=True)
class ScenarioContext:
    """What a scenario works with. `environ`: the environment of every started program.

    `say` prints a line; `explain` also shows it as the console's caption.
    """

    processes: Processes
    settings: Settings
    environ: Mapping[str, str]
    say: Callable[[str], None]
    explain: Callable[[str], None]
    broker: Broker


def await_workers(context: ScenarioContext, services: Sequence[str]) -> None:
    """Wait until each service has a consumer. Raises DemoError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not asyncio.run(_all_hear(context.settings, services)):
        context.processes.check()
        if time.monotonic() > end:
            raise DemoError(f"the workers of {', '.join(services)} do not consume after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)


async def _all_hear(settings: Settings, services: Sequence[str]) -> bool:
    try:
        async with connected(settings, "waits for the workers") as connection:
            counts = await count_queues(connection, [inbox(service) for service in services])
    except BrokerUnavailable:
        return False
    return len(counts) == len(services) and all(found.consumers for found in counts.values())


def publish_all(context: ScenarioContext, scenarios: Iterable[Scenario]) -> None:
    """Publish these orders together, from a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(_line(scenario) for scenario in scenarios)
        file.flush()
        run_passer_commande(context, "--file", file.name)


def publish_order(context: ScenarioContext, scenario: Scenario) -> None:
    """Publish one order."""
    run_passer_commande(context, *_arguments(scenario))


def run_passer_commande(context: ScenarioContext, *arguments: str) -> None:
    """Run `passer_commande.py` with these arguments, and print the command."""
    context.say("$ python scripts/passer_commande.py " + " ".join(_shown(arguments)))
    context.processes.run("passer_commande.py", str(ROOT / "scripts" / "passer_commande.py"), *arguments)


def await_state(
    context: ScenarioContext, queries: Queries, scenario: Scenario, reached: Callable[[SagaSummary], bool]
) -> None:
    """Wait until the monitor sees the order in the wanted state. Raises DemoError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (order := queries.instance(scenario.order, dt.datetime.now(dt.UTC))) is None or not reached(order):
        context.processes.check()
        if time.monotonic() > end:
            state = f"{order.state}, last event {order.last_type}" if order else "unknown"
            raise DemoError(f"{scenario.commande_id} does not advance: {state}")
        time.sleep(POLL_SECONDS)


def await_end(context: ScenarioContext, queries: Queries, scenario: Scenario) -> None:
    """Wait until the order is in its expected final state and nothing remains."""
    await_state(context, queries, scenario, lambda order: order.state == scenario.state and order.at_rest)


def serve_page(context: ScenarioContext) -> str:
    """Start the web page, on a free port where its own is taken. Returns its address. Raises DemoError."""
    try:
        return _serve_page_on(WEB_PORT, context)
    except DemoError:
        # Only the page itself can tell that its port is free. What else ended it ends it again.
        context.processes.end(_PAGE)
        return _serve_page_on(0, context)


def _serve_page_on(port: int, context: ScenarioContext) -> str:
    log = context.processes.start_in_background(_PAGE, "saga_monitor", "serve", "--port", str(port))
    end = time.monotonic() + PATIENCE_SECONDS
    while not (address := re.search(r"http://\S+", log.read_text(errors="replace"))):
        context.processes.check()
        if time.monotonic() > end:
            raise DemoError(f"the web page does not answer after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return address.group()


def _shown(arguments: Iterable[str]) -> list[str]:
    return ["orders.jsonl" if argument.endswith(".jsonl") else argument for argument in arguments]


def _arguments(scenario: Scenario) -> list[str]:
    options = {
        "--commande": scenario.commande_id,
        "--client": scenario.client,
        "--produit": scenario.produit,
        "--quantite": str(scenario.quantite),
        "--montant": str(scenario.montant),
    }
    return [part for pair in options.items() for part in pair]


def _line(scenario: Scenario) -> str:
    options = {
        "commande_id": scenario.commande_id,
        "client_id": scenario.client,
        "produit_id": scenario.produit,
        "quantite": scenario.quantite,
    }
    # The amount is written as it is: json.dumps would make it a float.
    return f'{json.dumps(options)[:-1]}, "montant": {scenario.montant}}}\n'
