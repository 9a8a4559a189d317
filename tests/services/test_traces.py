"""The spans of an order: the four services' real pipelines and databases, over a model of the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from choregraphie.saga.topology import HISTORY
from choregraphie.saga.trace_context import TRACEPARENT_HEADER, TRACESTATE_HEADER
from scripts.nemesis.gateway import DROP_AFTER
from tests.support.traced_saga import KEY, SERVER, Span, TracedSaga

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from choregraphie.simulator.queues import Message

SERVICES = {"stock", "paiement", "commande", "notification"}
TRACE, PARENT = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
CLIENT = {"traceparent": f"00-{TRACE:032x}-{PARENT:016x}-01", "tracestate": "shop=t61rcWkgMzE"}
RETRIED = 2  # a call is repeated at once before its delivery is retried


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedSaga]:
    """An order that was created; its client gave a context."""
    one = TracedSaga(tmp_path_factory.mktemp("plain"))
    one.order(**CLIENT)
    yield one
    one.saga.close()


@pytest.fixture(scope="module")
def retried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedSaga]:
    """An order whose payment failed twice, was retried and succeeded."""
    one = TracedSaga(tmp_path_factory.mktemp("retried"))
    one.saga.refuse_calls(DROP_AFTER, RETRIED)
    one.order()
    yield one
    one.saga.close()


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Callable[..., TracedSaga]]:
    opened: list[TracedSaga] = []

    def open_saga(mode: str = "links", **more: object) -> TracedSaga:
        opened.append(TracedSaga(tmp_path / f"saga-{len(opened)}", mode, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield open_saga
    for one in opened:
        one.saga.close()


def reached(spans: list[Span], start: tuple[int, int]) -> set[str]:
    """The services whose spans are connected with `start` by links and parents, in the direction of time."""
    known, services = {start}, set[str]()
    for span in spans:
        if known & {*span.links, (span.trace_id, span.parent or 0)}:
            known.add(span.context)
            services.add(span.service)
    return services


def said(one: TracedSaga) -> list[Message]:
    """What the services have said, oldest first."""
    entries = one.saga.broker.streams[HISTORY].entries
    return [entry.message for entry in entries if entry.message.exchange != "client.events"]


def only(spans: list[Span], *parts: str) -> Span:
    (found,) = (span for span in spans if all(part in span.name for part in parts))
    return found


def test_links_connect_the_spans_of_an_order_across_the_four_services(plain: TracedSaga) -> None:
    assert reached(plain.spans(), (TRACE, PARENT)) == SERVICES
    created = {span.context: span for span in plain.spans("create")}
    for span in plain.spans("process"):
        (link,) = span.links
        assert span.parent is None
        assert link == (TRACE, PARENT) or created[link].name.removeprefix("create ") in span.name
    for span in created.values():
        (reaction,) = (other for other in plain.spans("process") if other.id == span.parent)
        assert (reaction.trace_id, reaction.service) == (span.trace_id, span.service)


def test_an_event_travels_with_the_context_of_its_creation(plain: TracedSaga) -> None:
    travelled = [str(message.headers[TRACEPARENT_HEADER]) for message in said(plain)]
    assert [header[:53] for header in travelled] == [
        f"00-{span.trace_id:032x}-{span.id:016x}-" for span in plain.spans("create")
    ]


def test_spans_are_named_and_described_as_the_conventions_ask(plain: TracedSaga) -> None:
    rabbit = {"messaging.system": "rabbitmq", "server.address": SERVER[0], "server.port": SERVER[1]}
    process = only(plain.spans("process", "paiement"), "stock.reserve")
    create = only(plain.spans("create", "stock"), "stock.reserve")
    assert (process.kind, create.kind) == ("CONSUMER", "PRODUCER")
    assert process.name == "process stock.events:stock.reserve:paiement.inbox"
    assert (
        process.attributes.items()
        >= {
            **rabbit,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": "stock.events:stock.reserve:paiement.inbox",
            "messaging.message.id": create.attributes["messaging.message.id"],
            "messaging.message.conversation_id": KEY,
            "rabbitmq.destination.routing_key": "stock.reserve",
            "saga.verdict": "done",
            "saga.attempt": 1,
        }.items()
    )
    assert create.name == "create stock.events:stock.reserve"
    assert create.attributes.items() >= {**rabbit, "messaging.message.conversation_id": KEY}.items()
    sent, settled = only(plain.spans("send", "stock"), "stock.reserve"), plain.spans("settle", "paiement")[0]
    assert (sent.kind, sent.name, sent.links) == ("CLIENT", "send stock.events:stock.reserve", [create.context])
    assert sent.attributes.items() >= {**rabbit, "messaging.batch.message_count": 1}.items()
    assert sent.about_links[0]["messaging.message.id"] == create.attributes["messaging.message.id"]
    assert (settled.kind, settled.attributes["messaging.operation.name"]) == ("CLIENT", "ack")
    assert (settled.links, settled.attributes["messaging.batch.message_count"]) == ([create.context], 1)


def test_a_group_of_several_types_is_named_by_what_they_share(traced: Callable[..., TracedSaga]) -> None:
    one = traced()
    one.order("cancelled at once")
    counted = 0
    for span in one.spans("settle", "commande"):
        count = span.attributes["messaging.batch.message_count"]
        assert (span.name == "ack commande.inbox") is (count > 1)
        counted += count
    assert counted == len(one.spans("process", "commande")) > 1


def test_the_undoing_of_a_cancelled_order_is_linked_to_its_cancellation(traced: Callable[..., TracedSaga]) -> None:
    one = traced()
    one.order("blocked", **CLIENT)
    cancelled = only(one.spans("create", "commande"), "commande.annulee")
    undone = [span for span in one.spans("process") if cancelled.context in span.links]
    assert {span.service for span in undone} == {"stock", "paiement", "notification"}
    assert {span.attributes["saga.action"] for span in undone} >= {"liberer", "rembourser"}
    for type_, service in (("stock.libere", "stock"), ("paiement.rembourse", "paiement")):
        assert only(one.spans("create", service), type_).parent in {span.id for span in undone}
    assert reached(one.spans(), (TRACE, PARENT)) == SERVICES


def test_a_retried_call_fails_in_one_span_and_succeeds_in_the_next(retried: TracedSaga) -> None:
    one = retried
    first, second = (span for span in one.spans("process", "paiement") if "stock.reserve" in span.name)
    create = only(one.spans("create", "stock"), "stock.reserve")
    assert first.links == second.links == [create.context]
    assert (first.failed, first.attributes["saga.verdict"], first.attributes["saga.attempt"]) == (True, "retry", 1)
    assert (second.failed, second.attributes["saga.verdict"], second.attributes["saga.attempt"]) == (
        False,
        "done",
        2,
    )
    assert "paiement.requeue" in second.name
    calls = [span for span in one.spans("call", "paiement") if "debiter" in span.name]
    assert [span.failed for span in calls] == [True, True, False]
    assert [span.parent for span in calls] == [first.id, first.id, second.id]
    assert first.attributes["error.type"] == calls[0].attributes["error.type"]
    assert create.context in only(one.spans("send", "paiement"), "paiement.retry").links


def test_one_trace_holds_a_whole_order(traced: Callable[..., TracedSaga]) -> None:
    one = traced("saga")
    one.order("blocked", **CLIENT)
    assert {span.trace_id for span in one.spans()} == {TRACE}
    assert {span.service for span in one.spans()} == SERVICES
    heard = only(one.spans("process", "stock"), "commande.initiee")
    assert (heard.parent, heard.links) == (PARENT, [(TRACE, PARENT)])
    for span in one.spans("process"):
        assert (span.trace_id, span.parent) in span.links


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ["x"], "tracestate": {"a": 1}},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["links", "saga"])
def test_an_order_without_a_usable_context_has_spans_all_the_same(
    traced: Callable[..., TracedSaga], mode: str, headers: dict[str, Any]
) -> None:
    """One trace follows from saga and key then, so that its first two hearers are in the same one."""
    one = traced(mode)
    one.order(**headers)
    heard = [span for span in one.spans("process") if "commande.initiee" in span.name]
    assert [span.links for span in heard] == [[], []]
    assert {span.service for span in one.spans("create")} == SERVICES
    assert (len({span.trace_id for span in one.spans()}) == 1) is (mode == "saga")


@pytest.mark.parametrize(
    ("state", "travels"),
    [
        ("shop=t61rcWkgMzE", {"shop=t61rcWkgMzE"}),
        ("a" * 300 + "=1", {None}),
    ],
    ids=["valid", "no member that the standard allows"],
)
def test_a_tracestate_travels_in_one_trace_and_none_stops_an_order(
    traced: Callable[..., TracedSaga], state: str, travels: set[str | None]
) -> None:
    one = traced("saga")
    one.order(**CLIENT | {TRACESTATE_HEADER: state})
    assert {span.service for span in one.spans("create")} == SERVICES
    assert {message.headers.get(TRACESTATE_HEADER) for message in said(one)} == travels


def test_a_message_that_cannot_be_read_is_a_failed_span(traced: Callable[..., TracedSaga]) -> None:
    one = traced()
    one.saga.publish("commande.initiee", b"\x00 no JSON")
    one.saga.settle()
    for span in one.spans("process"):
        assert (span.failed, span.attributes["error.type"]) == (True, "unreadable")
        assert span.attributes["saga.verdict"] == "dead letter"


def test_services_agree_whether_an_order_is_sampled(traced: Callable[..., TracedSaga]) -> None:
    """Without a context of its client, too: then its own trace id decides."""
    for bound, expected in ((0.0, set()), (1.0, SERVICES)):
        one = traced("saga", sampler=ParentBased(TraceIdRatioBased(bound)))
        one.order()
        assert {span.service for span in one.spans()} == expected
        assert [message.routing_key for message in said(one)][-1] == "notification.envoyee"


def test_the_metrics_of_the_conventions_are_counted(retried: TracedSaga) -> None:
    one = retried
    consumed = one.points("messaging.client.consumed.messages")
    assert sum(point.value for point in consumed) == len(one.spans("process"))
    sent = {
        str(p.attributes["messaging.destination.name"]): p.value
        for p in one.points("messaging.client.sent.messages")
    }
    assert sent["stock.events:stock.reserve"] == 1
    processed = one.points("messaging.process.duration")
    assert sum(point.count for point in processed) == len(one.spans("process"))
    assert [point.count for point in processed if "error.type" in point.attributes] == [1]
    operations = one.points("messaging.client.operation.duration")
    assert sum(point.count for point in operations) == len(one.spans("send") + one.spans("settle"))
    assert not any("messaging.message.id" in point.attributes for point in [*consumed, *processed, *operations])
