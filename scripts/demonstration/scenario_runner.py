"""Runs the scenarios: publishes the orders, waits for them, pauses and kills workers, kills the broker."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from saga_monitor.projection.queries import Queries
from scripts.demonstration import broker
from scripts.demonstration.saga import application, saga, timekeeper
from scripts.demonstration.scenarios import (
    AT_ONCE,
    BROKER_KILLED,
    CANCELLED_AFTER,
    CANCELLED_BEFORE,
    PAST_DEADLINE,
    SCENARIOS,
    WORKER_KILLED,
    Scenario,
)
from scripts.demonstration.signals import deferred
from scripts.demonstration.steps import (
    ScenarioContext,
    await_end,
    await_state,
    await_workers,
    publish_all,
    publish_order,
    run_passer_commande,
)

SHORT_DEADLINE = "2"
# An orchestrated payment is late after five seconds; here it waits while workers are paused or killed.
PATIENT = {"SAGA_STEP_TIMEOUTS": "paiement=600"}
# The last event of an order whose goods are held, while paiement is paused.
GOODS_HELD = {"stock.reserve", "paiement.debiter"}


def start_workers(context: ScenarioContext) -> None:
    """Start a worker of every service and wait until each consumes."""
    for service in saga().services:
        context.processes.start_worker(service)
    await_workers(context, saga().services)


def run_scenarios(context: ScenarioContext) -> None:
    """Run every scenario to its end."""
    queries = Queries(context.settings.monitor_database, context.settings.stuck_after, application().saga_set)
    try:
        _many_at_once(context, queries)
        _cancelled_before(context, queries)
        kill_a_worker(context, queries)
        kill_the_broker(context, queries)
        _past_deadline(context, queries)
        for scenario in SCENARIOS:
            await_end(context, queries, scenario)
        context.explain("Every order has ended: created, or cancelled with everything given back")
    finally:
        queries.close()


def _many_at_once(context: ScenarioContext, queries: Queries) -> None:
    context.explain(f"{len(AT_ONCE)} orders at once: three will be refused, one of them after its payment")
    publish_all(context, AT_ONCE)
    # The confirmation has been sent: the cancellation cannot take it back.
    await_state(context, queries, CANCELLED_AFTER, lambda found: found.state == "COMPLETED" and found.at_rest)
    context.explain("CMD-CREEE: stock held the goods, paiement took the money, commande created the order")
    context.explain("CMD-RUPTURE: out of stock, refused and cancelled. Nothing was taken")
    context.explain("CMD-SANS-PROVISION: refused by paiement, so stock gave the goods back")
    context.explain("CMD-CLIENT-BLOQUE: refused by commande as the last step: the money and the goods went back")
    context.explain(f"{CANCELLED_AFTER.commande_id} is created and confirmed; its client changes their mind")
    run_passer_commande(context, "--annuler", CANCELLED_AFTER.commande_id)


def _cancelled_before(context: ScenarioContext, queries: Queries) -> None:
    context.explain(
        f"paiement is paused; {CANCELLED_BEFORE.commande_id} waits for it, and its client changes their mind"
    )
    context.processes.pause("paiement")
    publish_order(context, CANCELLED_BEFORE)
    await_state(context, queries, CANCELLED_BEFORE, lambda found: found.last_type in GOODS_HELD)
    run_passer_commande(context, "--annuler", CANCELLED_BEFORE.commande_id)
    await_state(context, queries, CANCELLED_BEFORE, lambda found: found.state == "COMPENSATING")
    context.explain("paiement is resumed: it may take the money, and then gives it back")
    context.processes.resume("paiement")


def _past_deadline(context: ScenarioContext, queries: Queries) -> None:
    decider = timekeeper()
    context.explain(f"{decider} is restarted with SAGA_DEADLINE={SHORT_DEADLINE}, and paiement paused again")
    context.processes.end(decider)
    context.processes.start_worker(decider, SAGA_DEADLINE=SHORT_DEADLINE)
    await_workers(context, [decider])
    context.processes.pause("paiement")
    publish_order(context, PAST_DEADLINE)
    await_state(context, queries, PAST_DEADLINE, lambda found: found.state == "COMPENSATING")
    context.explain(
        f"the deadline of {PAST_DEADLINE.commande_id} has passed: {decider} has cancelled it; paiement is resumed"
    )
    context.processes.resume("paiement")


def kill_a_worker(context: ScenarioContext, queries: Queries) -> None:
    """Kill the worker of paiement with unfinished orders, and start another."""
    _unfinished(context, queries, WORKER_KILLED)
    context.processes.kill("paiement")
    context.explain(
        f"WORKER KILLED: paiement got SIGKILL with {len(WORKER_KILLED)} orders unfinished. They wait after stock"
    )
    context.processes.start_worker("paiement")
    await_workers(context, ["paiement"])
    _all_end(context, queries, WORKER_KILLED)
    context.explain("A new paiement worker received the same messages again: all of those orders are COMPLETED")


def kill_the_broker(context: ScenarioContext, queries: Queries) -> None:
    """Kill the broker with unfinished orders, and start it again. A given broker is left alone."""
    _unfinished(context, queries, BROKER_KILLED)
    if not broker.may_be_killed(context.broker):
        context.explain("This broker is not a private node of the demonstration: it is not killed")
        context.processes.resume("paiement")
        _all_end(context, queries, BROKER_KILLED)
        return
    with deferred():
        broker.kill(context.broker)
        context.processes.resume("paiement")
        context.explain(
            f"BROKER KILLED with {len(BROKER_KILLED)} orders unfinished. The console shows: broker away"
        )
        broker.restart(context.broker)
    context.explain("The broker is started again on its data: workers and monitor reconnect by themselves")
    await_workers(context, ["paiement"])
    _all_end(context, queries, BROKER_KILLED)
    context.explain("The broker is back, and the orders have continued: all of them are COMPLETED")


def _unfinished(context: ScenarioContext, queries: Queries, scenarios: Sequence[Scenario]) -> None:
    """Place these orders while paiement is paused, and wait until their goods are held."""
    context.say(f"{len(scenarios)} more orders, while paiement is paused")
    context.processes.pause("paiement")
    publish_all(context, scenarios)
    for scenario in scenarios:
        await_state(context, queries, scenario, lambda found: found.last_type in GOODS_HELD)


def _all_end(context: ScenarioContext, queries: Queries, scenarios: Sequence[Scenario]) -> None:
    for scenario in scenarios:
        await_end(context, queries, scenario)


def settings_in(folder: Path) -> Mapping[str, str]:
    """The settings that keep all files of the demonstration in `folder`."""
    return {
        "SAGA_DATABASE_URL": f"sqlite:///{folder}/{{service}}.sqlite3",
        "SAGA_MONITOR_DATABASE": str(folder / "monitor.sqlite3"),
        "SAGA_CARRIER": f"maildir:{folder / 'courrier'}",
        **PATIENT,
    }
