"""How long the undoing of a refused order takes: from the decision to cancel until the last undoing."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.figures import percentile
from scripts.benchmarks.system.load import BLOCKED, Publisher, bodies
from scripts.benchmarks.system.open_loop import Arrivals, offer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.benchmarks.system.rounds import Running

# `commande` refuses these orders last, when goods are held and money is taken.
_DECISION = ("commande.events", "commande.annulee")
_UNDOINGS = (("stock.events", "stock.libere"), ("paiement.events", "paiement.rembourse"))
_PATIENCE_SECONDS = 60.0


def measure(system: Running, rate: float, seconds: float) -> tuple[dict[str, Any], list[str]]:
    """Offer orders that are refused last, at `rate` a second; the times in ms, and the orders' keys."""
    with contextlib.ExitStack() as stack:
        publisher = stack.enter_context(contextlib.closing(Publisher(system.url, bodies(client=BLOCKED))))
        decided, *undone = (
            stack.enter_context(contextlib.closing(Arrivals(system.url, *event)))
            for event in (_DECISION, *_UNDOINGS)
        )
        due = offer(publisher, rate, seconds)
        end = time.monotonic() + _PATIENCE_SECONDS
        while any(due.keys() - one.at.keys() for one in (decided, *undone)) and time.monotonic() < end:
            time.sleep(0.05)
        return summary(due, dict(decided.at), [dict(one.at) for one in undone]), [*due]


def summary(
    due: Mapping[str, float], decided: Mapping[str, float], undone: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Percentiles in ms; `missing` counts the orders that were not undone in time.

    Raises RuntimeError when none was.
    """
    whole = [key for key in due if key in decided and all(key in each for each in undone)]
    if not whole:
        decisions = len(due.keys() & decided.keys())
        raise RuntimeError(f"of {len(due)} orders to undo {decisions} were cancelled, and none was undone in time")
    # The events come by several connections, so an undoing may be seen just before its decision.
    ms = [max(0.0, max(each[key] for each in undone) - decided[key]) * 1000 for key in whole]
    return {
        "orders": len(due),
        "missing": len(due) - len(whole),
        "p50": round(percentile(ms, 0.5), 1),
        "p99": round(percentile(ms, 0.99), 1),
    }
