"""Events of keys that nobody has placed, on a real broker: what the monitor's commands say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saga_monitor.projection.retention import UNKNOWN_KEPT
from tests.saga_monitor.memory_stream import CONFIRMED, KNOWN, PLACED, Line
from tests.saga_monitor.test_live import channel, command, environment, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["channel", "environment"]

LONE = [Line(type_) for type_ in sorted(set(KNOWN) - {"commande.initiee"})]


def publish_each(channel: Any, lines: Sequence[Line]) -> None:
    for number, line in enumerate(lines):
        publish(channel, f"NOBODY-{number}", [line])


def report_on_orders(environment: dict[str, str]) -> dict[str, Any]:
    """The report without its number of anomalies: here it counts messages in queues without a consumer."""
    report: dict[str, Any] = command(environment, "report")
    return {name: value for name, value in report.items() if name != "anomalies"}


def test_events_without_a_start_event_are_in_no_total_and_the_order_counts_once_it_begins(
    channel: Any, environment: dict[str, str]
) -> None:
    publish(channel, "CMD-1", CONFIRMED)
    before = report_on_orders(environment)
    publish_each(channel, LONE)
    report = report_on_orders(environment)
    assert report == before | {"unknown_orders": len(LONE), "events": before["events"] + len(LONE)}
    assert [order["commande_id"] for order in command(environment, "list")] == ["CMD-1"]
    assert [order["commande_id"] for order in command(environment, "report", "--orders")] == ["CMD-1"]
    unknown = command(environment, "list", "--state", "UNKNOWN")
    assert sorted(order["commande_id"] for order in unknown) == [f"NOBODY-{n}" for n in range(len(LONE))]
    assert {(tuple(order["remaining"]), order["started"]) for order in unknown} == {((), None)}
    reserved = f"NOBODY-{[line.type for line in LONE].index('stock.reserve')}"
    assert "no commande.initiee was heard" in command(environment, "show", reserved)["unknown_order"]
    for _ in range(2):
        publish(channel, reserved, PLACED)
    report = command(environment, "report")
    assert (report["sagas"]["total"], report["sagas"]["running"]) == (2, 1)
    assert report["unknown_orders"] == len(LONE) - 1
    shown = command(environment, "show", reserved)
    assert (shown["unknown_order"], shown["state"], shown["remaining"][0]) == (
        None,
        "RUNNING",
        "paiement.effectue",
    )


def test_the_number_of_unknown_keys_is_bounded_and_the_forgotten_ones_are_counted(
    channel: Any, environment: dict[str, str]
) -> None:
    publish(channel, "CMD-1", CONFIRMED)
    flood = [LONE[number % len(LONE)] for number in range(UNKNOWN_KEPT + 500)]
    publish_each(channel, flood)
    report = command(environment, "report")
    assert (report["sagas"]["total"], report["outcomes"]["succeeded_percent"]) == (1, 100)
    assert (report["unknown_orders"], report["unknown_orders_forgotten"]) == (UNKNOWN_KEPT, 500)
    assert report["events"] == len(CONFIRMED) + UNKNOWN_KEPT
