"""Workers send their spans to a receiver of OTLP, whichever lane their messages take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.support.saga_fixture import SERVICES, SagaFixture, saga_fixture
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "shop=t61rcWkgMzE"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as opened:
        yield opened


@pytest.fixture(params=["lean", "public"])
def saga(
    request: pytest.FixtureRequest,
    broker: Broker,
    receiver: OtlpReceiver,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[SagaFixture]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
    settings = {"tracing": "saga" if request.param == "public" else "links", "lane": request.param}
    with saga_fixture(broker, tmp_path_factory.mktemp("traced"), **settings) as opened:
        opened.start_all()
        yield opened


def test_the_spans_of_an_order_reach_the_receiver_and_name_each_other(
    saga: SagaFixture, receiver: OtlpReceiver, request: pytest.FixtureRequest
) -> None:
    lane = request.node.callspec.params["saga"]
    key = f"CMD-{lane}"
    data = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2, "montant": 99.99}
    head = {"specversion": "1.0", "id": f"trace-{lane}", "type": "commande.initiee", "source": "/clients/dehors"}
    message = {**head, "data": {"commande_id": key, **data}}
    assert saga.foreign_client.publish("client.events", "commande.initiee", message, headers=CONTEXT)
    published = saga.await_events(key, "notification.envoyee", repeated=True)

    def mine() -> list[ReceivedSpan]:
        return [s for s in receiver.spans if s.attributes.get("messaging.message.conversation_id") == key]

    until(
        lambda: {s.service for s in mine() if s.name.startswith("create")} == {*SERVICES}, "a span of each service"
    )
    spans = {span.span_id: span for span in mine()}
    for span in [span for span in spans.values() if span.name.startswith("process")]:
        until(lambda links={*span.links}: links <= {PARENT, *(s.span_id for s in mine())}, f"what {span} links to")  # type: ignore[misc]
    for type_ in ("stock.reserve", "paiement.effectue", "commande.creee", "notification.envoyee"):
        trace_id, span_id = str(published[type_].headers["traceparent"]).split("-")[1:3]
        assert spans[span_id].name == f"create {published[type_].exchange}:{type_}"
        assert spans[span_id].trace_id == trace_id
        # One trace goes on with what the client gave.
        assert (trace_id == TRACE) is (lane == "public")
        assert published[type_].headers.get("tracestate") == (CONTEXT["tracestate"] if lane == "public" else None)
    until(
        lambda: receiver.metrics >= {"messaging.process.duration", "messaging.client.sent.messages"},
        "the metrics of the conventions",
    )
