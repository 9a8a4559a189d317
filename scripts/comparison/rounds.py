"""A round: one wiring on a new virtual host, saturated, then at fixed rates, then refused, then killed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system import kills, latency
from scripts.benchmarks.system.load import Publisher, bodies
from scripts.benchmarks.system.open_loop import Arrivals, offer, times
from scripts.benchmarks.system.rounds import WARM_UP_ORDERS, finish, running, saturated
from scripts.comparison import compensation, exchanged
from scripts.comparison.wirings import DECIDERS

if TYPE_CHECKING:
    from scripts.benchmarks.system.broker import Broker
    from scripts.benchmarks.system.contenders import Contender
    from scripts.benchmarks.system.rounds import Running


@dataclass(frozen=True)
class Plan:
    """How long a round takes. `rates`: orders a second. `kill_all`: every service, else the decider alone."""

    saturated_seconds: float = 10
    rates: tuple[int, ...] = (50, 200)
    rate_seconds: float = 8
    cancelled_rate: int = 50
    cancelled_seconds: float = 6
    killed_rate: int = 50
    kill_all: bool = True
    warm: int = WARM_UP_ORDERS


QUICK = Plan(saturated_seconds=4, rates=(50,), rate_seconds=4, cancelled_seconds=3, kill_all=False)


def measure(wiring: Contender, broker: Broker, name: str, plan: Plan) -> dict[str, Any]:
    """Every figure of one round."""
    with (
        running(wiring, broker, name) as system,
        contextlib.closing(Publisher(system.url, bodies())) as publisher,
    ):
        found: dict[str, Any] = {"contender": wiring.name}
        found["saturation"] = saturated(system, publisher, plan.saturated_seconds, warm=plan.warm)
        found["latency"], created = _at_rates(system, publisher, plan)
        # From here on orders end in several ways, so their number says no longer what is finished.
        undoing, cancelled = compensation.measure(system, plan.cancelled_rate, plan.cancelled_seconds)
        found["compensation"] = undoing
        services = [*wiring.deliveries]
        found["messages"] = {
            "created": exchanged.measure(system.folder, services, created),
            "cancelled": exchanged.measure(system.folder, services, {*cancelled}),
        }
        killed = services if plan.kill_all else [DECIDERS[wiring.name]]
        found["kills"] = [kills.measure(system, service, plan.killed_rate) for service in killed]
        return found


def _at_rates(system: Running, publisher: Publisher, plan: Plan) -> tuple[list[dict[str, Any]], set[str]]:
    """The latency at each rate until the wiring does not keep up, and the keys of these orders."""
    figures: list[dict[str, Any]] = []
    keys: set[str] = set()
    with contextlib.closing(Arrivals(system.url)) as arrivals:
        for rate in plan.rates:
            due = offer(publisher, rate, plan.rate_seconds)
            keys |= due.keys()
            figures.append(latency.summary(rate, times(due, arrivals)))
            if not figures[-1]["keeps_up"]:
                break
        finish(system, publisher.published)
    return figures, keys
