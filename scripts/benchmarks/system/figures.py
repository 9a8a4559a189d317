"""The arithmetic of the benchmarks: percentiles, spreads, ratios within a round. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CORES = 2
Round = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """The smallest, the middle and the largest of several values."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError when there are none."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError("a spread of nothing")
        return cls(ordered[0], statistics.median(ordered), ordered[-1])

    def text(self, digits: int = 0) -> str:
        """`least – median – most`."""
        return " – ".join(f"{value:,.{digits}f}" for value in (self.least, self.median, self.most)).replace(
            ",", " "
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least that share of them does not exceed (nearest rank).

    Raises ValueError when there are none, or `share` is not above 0 and at most 1.
    """
    if not values or not 0 < share <= 1:
        raise ValueError("no values, or no share of them")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def rate(round_: Round) -> float:
    """Orders per second of wall time."""
    return float(round_["orders_per_second"])


def cpu_us(round_: Round) -> float:
    """CPU time an order of services and broker together, in µs."""
    return float(sum(round_["cpu_us_per_order"].values()))


def capacity(round_: Round) -> float:
    """The orders per second that two cores can do at that CPU time an order, whatever else runs on the machine."""
    return CORES * 1e6 / cpu_us(round_)


def by_contender(rounds: Iterable[Round]) -> dict[str, list[Round]]:
    """The rounds of each contender, in their order."""
    found: dict[str, list[Round]] = {}
    for one in rounds:
        found.setdefault(one["contender"], []).append(one)
    return found


def ratios(
    rounds: Iterable[Round],
    over: str,
    under: Sequence[str],
    measure: Callable[[Round], float],
    best: Callable[[Iterable[float]], float] = max,
) -> Spread | None:
    """`over`'s measure ÷ the best of those of `under`, in each turn that measured all of them."""
    turns: dict[int, dict[str, Round]] = {}
    for one in rounds:
        turns.setdefault(one["turn"], {})[one["contender"]] = one
    found = [
        measure(turn[over]) / best(measure(turn[name]) for name in under)
        for turn in turns.values()
        if under and {over, *under} <= turn.keys()
    ]
    return Spread.of(found) if found else None


def median_by_part(rounds: Sequence[Round], what: str) -> dict[str, float]:
    """The median of each part of `what` (a mapping in each round) over the rounds."""
    parts: Mapping[str, float] = rounds[0][what]
    return {part: statistics.median(one[what][part] for one in rounds) for part in parts}
