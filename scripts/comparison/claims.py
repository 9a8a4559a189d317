"""The usual claims about choreography and orchestration, each with its measure and whether it held. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.comparison import tables
from scripts.comparison.tables import BOTH, Figures
from scripts.comparison.wirings import CHOREOGRAPHY, ORCHESTRATION, ORCHESTRATOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Measures that differ by less are called equal: the speed of a shared machine varies by more between two runs.
EQUAL = 0.1


@dataclass(frozen=True)
class Claim:
    """What is usually taught: that `better` needs less of something, or that more of it is good (`most`)."""

    aspect: str
    taught: str
    better: str
    measure: str
    of: Callable[[Figures, str], float]
    most: bool = False
    digits: int = 0


def _away(figures: Figures, wiring: str) -> float:
    """The share of the services, in %, without which no order is created."""
    kills = tables.kills_of(figures, wiring)
    stops = [not statistics.median(one["created_meanwhile"] for one in each) for each in kills.values()]
    return 100 * sum(stops) / len(stops)


def _recovery(figures: Figures, wiring: str) -> float:
    kills = tables.kills_of(figures, wiring).values()
    return float(max(statistics.median(one["recovery_seconds"] for one in each) for each in kills))


def _known(figures: Figures, wiring: str) -> float:
    others: dict[str, int] = figures["structure"][wiring]["others_known"]
    return float(max(number for name, number in others.items() if name != ORCHESTRATOR))


def _elsewhere(change: str) -> Callable[[Figures, str], float]:
    def lines(figures: Figures, wiring: str) -> float:
        found = (one for one in figures["evolution"] if (one["change"], one["wiring"]) == (change, wiring))
        return float(next(found)["lines_elsewhere"])

    return lines


def _read(figures: Figures, wiring: str) -> float:
    return float(sum(one["lines"] for one in figures["diagnosis"] if one["wiring"] == wiring))


def _busiest(figures: Figures, wiring: str) -> float:
    """Orders a second that one core gives to the process that needs most of it."""
    parts = tables.rounds_of(figures, wiring)[0]["saturation"]["cpu_us_per_order"]
    return 1e6 / max(tables.cpu(figures, wiring, name) for name in parts if name != "broker")


CLAIMS = (
    Claim(
        "coordination",
        "no central service: none whose failure stops every order",
        CHOREOGRAPHY,
        "% of the services without which no order is created",
        _away,
    ),
    Claim(
        "complexity",
        "simple for few services; an orchestrator is one more part",
        CHOREOGRAPHY,
        "lines that declare the saga",
        lambda figures, wiring: float(figures["structure"][wiring]["declaration_lines"]),
    ),
    Claim(
        "coupling",
        "services are loosely coupled; an orchestrator ties them together",
        CHOREOGRAPHY,
        "other programs that a service hears, at most, the orchestrator aside",
        _known,
    ),
    Claim(
        "evolution, in the middle",
        "a step is added in one place",
        ORCHESTRATION,
        "lines outside the new service for the fraud check",
        _elsewhere("fraud"),
    ),
    Claim(
        "evolution, at the end",
        "a new service just listens",
        CHOREOGRAPHY,
        "lines outside the new service for the loyalty points",
        _elsewhere("loyalty"),
    ),
    Claim(
        "performance, throughput",
        "no detour by a coordinator",
        CHOREOGRAPHY,
        "orders/s, saturated",
        lambda f, w: tables.median(f, w, lambda one: float(one["saturation"]["orders_per_second"])),
        most=True,
    ),
    Claim(
        "performance, latency",
        "no detour by a coordinator",
        CHOREOGRAPHY,
        "ms to `commande.creee`, p50 at the lowest rate",
        tables.latency,
    ),
    Claim(
        "performance, compensation",
        "undoings run at once, in parallel",
        CHOREOGRAPHY,
        "ms to the last undoing, p50",
        tables.undoing,
    ),
    Claim(
        "debugging",
        "the orchestrator knows the state; events are hard to follow",
        ORCHESTRATION,
        "lines read until the injected faults were named",
        _read,
    ),
    Claim(
        "scalability",
        "the orchestrator is the bottleneck",
        CHOREOGRAPHY,
        "orders/s of one core for the busiest service, by CPU time",
        _busiest,
        most=True,
    ),
    Claim(
        "resilience",
        "the orchestrator is a single point of failure",
        CHOREOGRAPHY,
        "s until the last stalled order is created, after the worst kill",
        _recovery,
        digits=1,
    ),
)


def verdict(claim: Claim, choreography: float, orchestration: float) -> str:
    """`holds`, `equal`, or `does not hold`, by the measures of both."""
    if abs(choreography - orchestration) <= EQUAL * max(choreography, orchestration):
        return "does not hold: equal within 10 %"
    choreography_wins = (choreography > orchestration) == claim.most
    winner = CHOREOGRAPHY if choreography_wins else ORCHESTRATION
    return "holds" if winner == claim.better else f"does not hold: better with {winner}"


def rows(figures: Figures) -> Iterator[list[str]]:
    """The table of the claims."""
    yield ["aspect", "usually taught", "said to be better", "measure", *BOTH, "the claim"]
    for one in CLAIMS:
        measured = [one.of(figures, wiring) for wiring in BOTH]
        shown = [f"{value:.{one.digits}f}" for value in measured]
        yield [one.aspect, one.taught, one.better, one.measure, *shown, verdict(one, *measured)]
