"""The figures side by side, as rows: for a terminal, and for `docs/comparison.md`. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.figures import Spread
from scripts.benchmarks.system.report import table
from scripts.comparison.evolution import ADDED
from scripts.comparison.wirings import CHOREOGRAPHY, ORCHESTRATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Figures = dict[str, Any]
Row = list[str]
BOTH = (CHOREOGRAPHY, ORCHESTRATION)


def rounds_of(figures: Figures, wiring: str) -> list[dict[str, Any]]:
    return [one for one in figures["rounds"] if one["contender"] == wiring]


def median(figures: Figures, wiring: str, of: Callable[[dict[str, Any]], float]) -> float:
    """The median of a figure over the rounds of a wiring."""
    return statistics.median(of(one) for one in rounds_of(figures, wiring))


def load_rows(figures: Figures) -> Iterator[Row]:
    """Messages, rate, CPU time and latencies."""
    yield ["", *BOTH]
    for outcome, shown in (("created", "that is created"), ("cancelled", "that is refused last, and undone")):
        for what in ("publishes", "deliveries"):
            yield [f"{what} an order {shown}", *(f"{messages(figures, w, outcome, what):g}" for w in BOTH)]
    yield ["orders/s, saturated: least – median – most", *(_orders(figures, w) for w in BOTH)]
    for part in rounds_of(figures, ORCHESTRATION)[0]["saturation"]["cpu_us_per_order"]:
        yield [f"CPU µs an order: {part}", *(_cpu_text(figures, w, part) for w in BOTH)]
    yield ["CPU µs an order: together", *(f"{cpu(figures, w):.0f}" for w in BOTH)]
    for rate in sorted({each["rate"] for one in figures["rounds"] for each in one["latency"]}):
        shown = f"ms to `commande.creee` at {rate} orders/s: p50 / p95 / p99"
        yield [shown, *(_ms(figures, w, rate) for w in BOTH)]
    yield ["ms from `commande.annulee` to the last undoing: p50 / p99", *(_undoing(figures, w) for w in BOTH)]


def _orders(figures: Figures, wiring: str) -> str:
    return Spread.of(one["saturation"]["orders_per_second"] for one in rounds_of(figures, wiring)).text()


def messages(figures: Figures, wiring: str, outcome: str, what: str) -> float:
    return median(figures, wiring, lambda one: float(one["messages"][outcome][what]))


def cpu(figures: Figures, wiring: str, part: str = "") -> float:
    """CPU µs an order of one part, or of all."""
    return median(
        figures,
        wiring,
        lambda one: sum(us for name, us in one["saturation"]["cpu_us_per_order"].items() if part in ("", name)),
    )


def _cpu_text(figures: Figures, wiring: str, part: str) -> str:
    return f"{found:.0f}" if (found := cpu(figures, wiring, part)) else "–"


def _ms(figures: Figures, wiring: str, rate: int) -> str:
    found = [each for one in rounds_of(figures, wiring) for each in one["latency"] if each["rate"] == rate]
    if not found or not all(each["keeps_up"] for each in found):
        return "does not keep up"
    return " / ".join(f"{statistics.median(each[p] for each in found):.0f}" for p in ("p50", "p95", "p99"))


def latency(figures: Figures, wiring: str) -> float:
    """The p50 in ms at the lowest rate."""
    return median(figures, wiring, lambda one: float(one["latency"][0]["p50"]))


def undoing(figures: Figures, wiring: str, which: str = "p50") -> float:
    return median(figures, wiring, lambda one: float(one["compensation"][which]))


def _undoing(figures: Figures, wiring: str) -> str:
    return " / ".join(f"{undoing(figures, wiring, which):.0f}" for which in ("p50", "p99"))


def kill_rows(figures: Figures) -> Iterator[Row]:
    """What each kill did: medians of the rounds."""
    yield ["killed", "wiring", "orders offered", "stalled", "lost", "created while it was away", "s to recover"]
    for wiring in BOTH:
        for service, kills in kills_of(figures, wiring).items():
            counted = kills[0].keys() - {"service"}
            middle = {what: statistics.median(one[what] for one in kills) for what in counted}
            away = f"{middle['created_meanwhile']:.0f} of {middle['due_meanwhile']:.0f}"
            counts = [f"{middle[what]:.0f}" for what in ("orders", "stalled", "lost")]
            yield [service, wiring, *counts, away, f"{middle['recovery_seconds']:.1f}"]


def kills_of(figures: Figures, wiring: str) -> dict[str, list[dict[str, Any]]]:
    """The kills of each service."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in rounds_of(figures, wiring):
        for kill in one["kills"]:
            found.setdefault(kill["service"], []).append(kill)
    return found


def change_rows(figures: Figures) -> Iterator[Row]:
    """What each change touched."""
    yield [
        "change",
        "wiring",
        "lines of the new service",
        "lines elsewhere",
        "files elsewhere",
        "services changed",
    ]
    for one in figures["evolution"]:
        counts = [str(one[what]) for what in ("new_lines", "lines_elsewhere", "files_elsewhere")]
        yield [ADDED[one["change"]][0], one["wiring"], *counts, ", ".join(one["services"]) or "none"]


def fault_rows(figures: Figures) -> Iterator[Row]:
    """Commands and lines until each fault was named."""
    yield ["fault", *(f"{wiring}: commands, lines" for wiring in BOTH)]
    by_fault: dict[str, dict[str, dict[str, Any]]] = {}
    for one in figures["diagnosis"]:
        by_fault.setdefault(one["fault"], {})[one["wiring"]] = one
    for fault, found in by_fault.items():
        yield [fault, *(_read(found[wiring]) for wiring in BOTH)]
    yield ["together", *(_together([found[wiring] for found in by_fault.values()]) for wiring in BOTH)]


def _read(one: dict[str, Any]) -> str:
    shown = f"{one['commands']}, {one['lines']}"
    return shown if one["named"] else f"not named ({shown})"


def _together(found: Sequence[dict[str, Any]]) -> str:
    commands, lines = (sum(one[what] for one in found) for what in ("commands", "lines"))
    return f"{commands}, {lines}; {sum(one['named'] for one in found)} of {len(found)} named"


PARTS: dict[str, Callable[[Figures], Iterator[Row]]] = {
    "load": load_rows,
    "kills": kill_rows,
    "changes": change_rows,
    "faults": fault_rows,
}


def text(figures: Figures) -> str:
    """Every table for a terminal."""
    head = f"load of the machine before: {figures['machine']['load']:.1f}; medians of the rounds"
    plain = ([[cell.replace("`", "") for cell in row] for row in part(figures)] for part in PARTS.values())
    return "\n\n".join([head, *("\n".join(table(rows)) for rows in plain)])
