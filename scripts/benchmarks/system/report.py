"""The tables of the benchmark of orders, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.figures import (
    Round,
    Spread,
    by_contender,
    capacity,
    cpu_us,
    median_by_part,
    rate,
    ratios,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.benchmarks.system.contenders import Contender


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of `rows`, the first of which is the head; numbers to the right of their columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return [line.rstrip() for line in (lines[0], "  ".join("-" * width for width in widths), *lines[1:])]


def text(figures: dict[str, Any], contenders: Sequence[Contender]) -> str:
    """The whole report: rates, what an order costs, memory and start, ratios, what a peer lacks."""
    rounds: list[Round] = figures["rounds"]
    found = by_contender(rounds)
    lines = [f"load of the machine before: {figures['machine']['load']:.1f}; {figures['mail']}", ""]
    lines += table([_HEAD, *(_row(name, each) for name, each in found.items())])
    lines += ["", "CPU µs an order, median"]
    parts = [*next(iter(found.values()))[0]["cpu_us_per_order"]]
    lines += table([["", *parts, "together"], *(_cpu(name, each) for name, each in found.items())])
    lines += ["", "MB of a worker, and seconds from its start until it consumes, median of the rounds"]
    lines += table([["", *parts[:-1]], *(_process(name, each) for name, each in found.items())])
    lines += ["", "ratios within a round: least – median – most"]
    lines += table([["", "orders/s", "by CPU time"], *_ratios(rounds, contenders)])
    lacking = [f"  {one.name}: {one.lacks}" for one in contenders if one.lacks]
    return "\n".join([*lines, "", "what a contender does without", *lacking] if lacking else lines)


_HEAD = ["least – median – most", "orders/s", "orders/s of two cores by CPU time", "rounds"]


def _row(name: str, rounds: list[Round]) -> list[str]:
    return [name, Spread.of(map(rate, rounds)).text(), Spread.of(map(capacity, rounds)).text(), str(len(rounds))]


def _cpu(name: str, rounds: list[Round]) -> list[str]:
    parts = median_by_part(rounds, "cpu_us_per_order")
    return [name, *(f"{value:.0f}" for value in parts.values()), f"{Spread.of(map(cpu_us, rounds)).median:.0f}"]


def _process(name: str, rounds: list[Round]) -> list[str]:
    memory, ready = median_by_part(rounds, "memory_mb"), median_by_part(rounds, "ready_seconds")
    return [name, *(f"{memory[service]:.0f} MB {ready[service]:.2f} s" for service in memory)]


def _ratios(rounds: list[Round], contenders: Sequence[Contender]) -> Iterator[list[str]]:
    engines = [one.name for one in contenders if one.engine]
    peers = [one.name for one in contenders if one.is_peer]
    ceilings = [one.name for one in contenders if not one.engine and not one.is_peer]
    pairs = [(name, peers, "best peer") for name in engines if peers]
    pairs += [(name, [other], other) for name in engines for other in ceilings]
    pairs += [(name, engines[:1], engines[0]) for name in engines[1:]]
    for over, under, shown in pairs:
        spreads = [ratios(rounds, over, under, measure) for measure in (rate, capacity)]
        yield [f"{over} ÷ {shown}", *(spread.text(2) if spread else "-" for spread in spreads)]
