"""The metrics of a worker: exact counts, served on its port, and none without a port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from choregraphie import BadSetting, Settings
from choregraphie.errors import Reason
from choregraphie.messaging import Delivery
from choregraphie.service.verdict import DeadLetter, Done, RetryAfter
from choregraphie.storage.invocation import Result
from choregraphie.telemetry.hooks import SILENT
from choregraphie.telemetry.metrics import Instruments, ServiceMetrics
from choregraphie.telemetry.serving import serving_metrics
from tests.support.free_port import free_port
from tests.support.saga_fixture import SagaFixture, saga_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.brokers import Broker

DELIVERY = Delivery(1, b"", "client.events", "commande.initiee")


def get(port: int, path: str = "/metrics") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(text: str) -> dict[tuple[str, str], float]:
    """The samples by name and labels except `service` and `le`; counters are summed over all services."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = [value for name, value in sorted(sample.labels.items()) if name not in {"service", "le"}]
            key = sample.name, ",".join(labels)
            found[key] = sample.value + (found.get(key, 0) if sample.name.endswith("_total") else 0)
    return found


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> ServiceMetrics:
    return ServiceMetrics("stock", Instruments(registry))


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"service": "stock", **labels})


def test_each_delivery_is_counted_by_its_outcome(registry: CollectorRegistry, telemetry: ServiceMetrics) -> None:
    dead_letter = DeadLetter(Reason.UNREADABLE, "not JSON")
    results = [Result(DELIVERY, verdict) for verdict in (Done(), Done(), RetryAfter(1, 1, ""), dead_letter)]
    telemetry.decided([*results, Result(None, Done())])
    handled = {
        outcome: value(registry, "saga_worker_handled_total", type="unread", outcome=outcome)
        for outcome in ("done", "retried", "dead_lettered")
    }
    assert handled == {"done": 2, "retried": 1, "dead_lettered": 1}
    assert value(registry, "saga_worker_dead_lettered_total", reason="unreadable") == 1


def test_what_never_happened_is_zero(registry: CollectorRegistry, telemetry: ServiceMetrics) -> None:
    letters = {
        reason: value(registry, "saga_worker_dead_lettered_total", reason=reason.value) for reason in Reason
    }
    assert letters == dict.fromkeys(Reason, 0)
    with telemetry.call("stock.reserve"):
        assert value(registry, "saga_worker_call_failures_total", type="stock.reserve") == 0


def test_a_session_is_up_while_it_receives_and_the_next_one_starts_anew(
    registry: CollectorRegistry, telemetry: ServiceMetrics
) -> None:
    with contextlib.suppress(ConnectionError), telemetry.session():
        assert (telemetry.ready, value(registry, "saga_worker_session_up")) == (False, 0)
        telemetry.consuming()
        assert (telemetry.ready, value(registry, "saga_worker_session_up")) == (True, 1)
        telemetry.relayed(5)
        telemetry.published(2)
        raise ConnectionError
    assert (telemetry.ready, value(registry, "saga_worker_session_up")) == (False, 0)
    assert value(registry, "saga_worker_outbox_waiting") == 3
    with telemetry.session():
        assert value(registry, "saga_worker_outbox_waiting") == 0
    assert value(registry, "saga_worker_sessions_total") == 2


def test_a_call_that_fails_is_timed_and_counted(registry: CollectorRegistry, telemetry: ServiceMetrics) -> None:
    with telemetry.call("stock.reserve"):
        pass
    with pytest.raises(TimeoutError), telemetry.call("stock.reserve"):
        raise TimeoutError
    with pytest.raises(asyncio.CancelledError), telemetry.call("stock.reserve"):
        raise asyncio.CancelledError  # the worker stops, which is no failure of the call
    assert value(registry, "saga_worker_call_failures_total", type="stock.reserve") == 1
    assert value(registry, "saga_worker_call_seconds_count", type="stock.reserve") == 3


def test_an_empty_transaction_is_no_batch(registry: CollectorRegistry, telemetry: ServiceMetrics) -> None:
    for invocations in (0, 3):
        with telemetry.commit(invocations):
            pass
    assert value(registry, "saga_worker_batch_size_count") == 1
    assert value(registry, "saga_worker_commit_seconds_count") == 2


async def test_without_a_port_there_is_nothing() -> None:
    with serving_metrics(Settings()) as telemetry_of:
        assert telemetry_of("stock") is SILENT


async def test_a_port_in_use_is_reported_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(BadSetting, match=rf"^SAGA_METRICS_PORT: 127\.0\.0\.1:{port}: Address already in use$"),
            serving_metrics(Settings(metrics_port=port)),
        ):
            pass


async def test_it_is_alive_while_its_loop_runs_and_ready_while_all_receive() -> None:
    port = free_port()
    with serving_metrics(Settings(metrics_port=port)) as telemetry_of:
        first, second = telemetry_of("stock"), telemetry_of("paiement")
        assert await asyncio.to_thread(get, port, "/livez") == (200, "ok\n")
        with first.session(), second.session():
            first.consuming()
            assert await asyncio.to_thread(get, port, "/readyz") == (503, "not receiving: paiement\n")
            second.consuming()
            assert await asyncio.to_thread(get, port, "/readyz") == (200, "ok\n")
        assert (await asyncio.to_thread(get, port, "/readyz"))[0] == 503
        assert (await asyncio.to_thread(get, port, "/elsewhere"))[0] == 404
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(get, port)


@pytest.fixture
def stopped_saga(broker: Broker, tmp_path: Path) -> Iterator[SagaFixture]:
    with saga_fixture(broker, tmp_path) as ready:
        yield ready


def test_workers_in_one_process_share_a_port_and_count_what_they_do(stopped_saga: SagaFixture) -> None:
    port = free_port()
    stopped_saga.settings |= {"metrics_port": port}
    stopped_saga.start_all()
    stopped_saga.await_events(stopped_saga.order(), "notification.envoyee")
    stopped_saga.foreign_client.publish("client.events", "commande.initiee", b"not JSON")
    for dlq in ("stock.dlq", "commande.dlq"):
        assert stopped_saga.foreign_client.get(dlq, within_seconds=90)
    assert get(port, "/livez") == (200, "ok\n")
    assert get(port, "/readyz") == (200, "ok\n")
    status, text = get(port)
    assert status == 200
    assert "CMD-" not in text
    found = samples(text)
    assert found["saga_worker_handled_total", "done,stock.reserve"] == 1
    assert found["saga_worker_handled_total", "dead_lettered,unread"] == 2
    assert found["saga_worker_dead_lettered_total", "unreadable"] == 2
    assert found["saga_worker_call_seconds_count", "stock.reserve"] == 1
    assert found["saga_worker_outbox_waiting", ""] == 0
    assert found["saga_worker_session_up", ""] == 1
    assert found["saga_worker_commit_seconds_count", ""] > 0
    assert found["saga_worker_publish_seconds_count", ""] > 0
    assert stopped_saga.workers["stock"].end() == 0
