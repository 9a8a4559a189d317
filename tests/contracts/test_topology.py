"""The topology is derived from the choreography, and avoids the defaults of RabbitMQ that lose messages."""

import pytest

from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import AUDIT, HISTORY, Queue, Retention, delay_name, retry_queue, topology
from contracts.choreography import CHOREOGRAPHY
from contracts.registry import EVENTS

SERVICES = ("stock", "paiement", "commande", "notification")
DELAYS = (1.0, 5.0, 0.25)
WANTED = topology(SagaSet((CHOREOGRAPHY,)), DELAYS)
QUEUES = {queue.name: queue for queue in WANTED.queues}
BINDINGS = {(binding.exchange, binding.key, binding.queue) for binding in WANTED.bindings}

HEARD = {
    "stock": {"commande.initiee": "client", "commande.creee": "commande", "commande.annulee": "commande"},
    "paiement": {"stock.reserve": "stock", "commande.annulee": "commande"},
    "commande": {
        "commande.initiee": "client",
        "commande.annulation_demandee": "client",
        "stock.reservation_echouee": "stock",
        "paiement.echoue": "paiement",
        "paiement.effectue": "paiement",
    },
    "notification": {"commande.creee": "commande", "commande.annulee": "commande"},
}


def targets(queue: Queue) -> set[str]:
    """The queues that a message dead-lettered by `queue` reaches, whatever its routing key."""
    exchange = queue.arguments.get("x-dead-letter-exchange")
    return {to for source, _, to in BINDINGS if source == exchange}


def test_the_topology_has_the_exchanges_of_the_design_and_no_other() -> None:
    speakers = {f"{name}.events" for name in ("client", *SERVICES)}
    private = {f"{name}.{kind}" for name in SERVICES for kind in ("retry", "requeue", "dlx")}
    assert {exchange.name for exchange in WANTED.exchanges} == speakers | private | {"saga.operators"}
    assert {exchange.type for exchange in WANTED.exchanges} == {"topic"}


def test_the_topology_has_the_queues_of_the_design_and_no_other() -> None:
    own = {f"{name}.{kind}" for name in SERVICES for kind in ("inbox", "dlq")}
    delays = {f"{name}.retry.{delay}" for name in SERVICES for delay in ("1", "5", "250ms")}
    assert set(QUEUES) == own | delays | {"saga.history", "saga.audit"}


@pytest.mark.parametrize("service", SERVICES)
def test_an_inbox_is_bound_once_to_each_event_heard_and_to_its_requeue_exchange(service: str) -> None:
    bound = {(source, key) for source, key, to in BINDINGS if to == f"{service}.inbox"}
    heard = {(f"{sender}.events", type_) for type_, sender in HEARD[service].items()}
    assert bound == heard | {(f"{service}.requeue", "#")}


@pytest.mark.parametrize("service", SERVICES)
def test_an_inbox_dead_letters_at_least_once_after_its_delivery_limit(service: str) -> None:
    assert QUEUES[f"{service}.inbox"].arguments == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 20,
        "x-dead-letter-exchange": f"{service}.dlx",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_dead_letter_stays_until_a_person_takes_it(service: str) -> None:
    """No TTL, no length limit, and a delivery limit that is never reached by looking at the message."""
    assert QUEUES[f"{service}.dlq"].arguments == {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
    assert {(s, k) for s, k, to in BINDINGS if to == f"{service}.dlq"} == {(f"{service}.dlx", "#")}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("seconds", DELAYS)
def test_a_retry_waits_in_the_queue_of_its_delay_and_comes_back_to_one_service(
    service: str, seconds: float
) -> None:
    queue = QUEUES[retry_queue(service, seconds)]
    assert queue.arguments == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 20,
        "x-message-ttl": round(seconds * 1000),
        "x-dead-letter-exchange": f"{service}.requeue",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    assert (f"{service}.retry", f"{delay_name(seconds)}.#", queue.name) in BINDINGS
    assert targets(queue) == {f"{service}.inbox"}


def test_no_queue_dead_letters_to_an_exchange_that_anybody_else_hears() -> None:
    """A retry sent through an events exchange would reach every other subscriber."""
    for queue in WANTED.queues:
        owner = queue.name.partition(".")[0]
        assert all(to.partition(".")[0] in {owner, "saga"} for to in targets(queue))
        assert not str(queue.arguments.get("x-dead-letter-exchange", "")).endswith(".events")


def test_every_quorum_queue_has_an_explicit_delivery_limit() -> None:
    """By default there is no limit before RabbitMQ 4, and 20 from 4.0, also for dead-letter queues."""
    limits = {q.name: q.arguments.get("x-delivery-limit") for q in WANTED.queues if q.name not in {HISTORY, AUDIT}}
    assert all(isinstance(limit, int) and limit >= 20 for limit in limits.values())
    assert all(queue.arguments["x-queue-type"] in {"quorum", "stream"} for queue in WANTED.queues)


def test_the_history_is_bound_to_all_events_retries_and_dead_letters() -> None:
    published = {f"{name}.events" for name in ("client", *SERVICES)}
    failures = {f"{name}.{kind}" for name in SERVICES for kind in ("retry", "dlx")}
    assert {(s, k) for s, k, to in BINDINGS if to == "saga.history"} == {
        (s, "#") for s in published | failures | {"saga.operators"}
    }


def test_the_history_is_bounded_by_age_and_size_in_segments_small_against_it() -> None:
    arguments = topology(SagaSet((CHOREOGRAPHY,)), DELAYS, Retention("12h", 300_000_000)).queues[-1].arguments
    assert arguments == {
        "x-queue-type": "stream",
        "x-max-age": "12h",
        "x-max-length-bytes": 300_000_000,
        "x-stream-max-segment-size-bytes": 20_000_000,
    }


def test_every_event_reaches_a_service_or_the_history() -> None:
    names = {exchange.name for exchange in WANTED.exchanges}
    assert all(f"{event.SAID_BY}.events" in names for event in EVENTS.values())
    assert set(CHOREOGRAPHY.services) == set(SERVICES)


def test_no_binding_names_what_is_not_declared() -> None:
    exchanges = {exchange.name for exchange in WANTED.exchanges}
    assert all(source in exchanges and to in QUEUES for source, _, to in BINDINGS)
    assert len(BINDINGS) == len(WANTED.bindings)


def test_nothing_is_bound_to_the_default_exchange() -> None:
    """A service that may write to the default exchange may write to any queue."""
    assert all(source and not source.startswith("amq.") for source, _, _ in BINDINGS)


@pytest.mark.parametrize(("seconds", "name"), [(1, "1"), (600.0, "600"), (0.25, "250ms"), (1.5, "1500ms")])
def test_a_delay_is_one_word_of_a_routing_key(seconds: float, name: str) -> None:
    assert delay_name(seconds) == name
