"""The tables of the benchmark of orders, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.contenders import SQLITE
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
    parts = [*dict.fromkeys(part for each in found.values() for part in each[0]["cpu_us_per_order"])]
    lines += table([["", *parts, "together"], *(_cpu(name, each, parts) for name, each in found.items())])
    lines += ["", "MB of a worker, and seconds from its start until it consumes, median of the rounds"]
    services = [*next(iter(found.values()))[0]["memory_mb"]]
    lines += table([["", *services], *(_process(name, each) for name, each in found.items())])
    lines += [*_monitor_lines(found), *_kill_lines(found)]
    lines += ["", "ratios within a round: least – median – most"]
    lines += table([["", "orders/s", "by CPU time"], *_ratios(rounds, contenders)])
    about = [f"  {one.name}: {one.about}" for one in contenders if one.about]
    lines += ["", "ours in other circumstances", *about] if about else []
    lacking = [f"  {one.name}: {one.lacks}" for one in contenders if one.lacks]
    return "\n".join([*lines, "", "what a contender does without", *lacking] if lacking else lines)


_HEAD = ["least – median – most", "orders/s", "orders/s of two cores by CPU time", "rounds"]


def _row(name: str, rounds: list[Round]) -> list[str]:
    return [name, Spread.of(map(rate, rounds)).text(), Spread.of(map(capacity, rounds)).text(), str(len(rounds))]


def _cpu(name: str, rounds: list[Round], parts: Sequence[str]) -> list[str]:
    us = median_by_part(rounds, "cpu_us_per_order")
    shown = [f"{us[part]:.0f}" if part in us else "–" for part in parts]
    return [name, *shown, f"{Spread.of(map(cpu_us, rounds)).median:.0f}"]


def _process(name: str, rounds: list[Round]) -> list[str]:
    memory, ready = median_by_part(rounds, "memory_mb"), median_by_part(rounds, "ready_seconds")
    return [name, *(f"{memory[service]:.0f} MB {ready[service]:.2f} s" for service in memory)]


def _monitor_lines(found: dict[str, list[Round]]) -> list[str]:
    behind = {
        name: [one["monitor_behind_seconds"] for one in each if "monitor_behind_seconds" in one]
        for name, each in found.items()
    }
    rows = [[name, Spread.of(seconds).text(2)] for name, seconds in behind.items() if seconds]
    about = "seconds from the last delivery until the monitor had read every event"
    return ["", *table([[about, ""], *rows])] if rows else []


def _kill_lines(found: dict[str, list[Round]]) -> list[str]:
    kills = {name: [one["kill"] for one in each if "kill" in one] for name, each in found.items()}
    rows = [_kill(name, each) for name, each in kills.items() if each]
    if not rows:
        return []
    one = next(each for each in kills.values() if each)[0]
    head = ["", "orders offered", "stalled", "lost", "created while it was away", "seconds to recover"]
    about = f"a worker of {one['service']} killed under load and started again: least – median – most"
    return ["", about, *table([head, *rows])]


def _kill(name: str, kills: list[dict[str, Any]]) -> list[str]:
    counts = [Spread.of(one[what] for one in kills).text() for what in ("orders", "stalled", "lost")]
    away = Spread.of(one["created_meanwhile"] / max(1, one["due_meanwhile"]) for one in kills)
    recovery = Spread.of(one["recovery_seconds"] for one in kills)
    return [name, *counts, away.text(2), recovery.text(2)]


def _ratios(rounds: list[Round], contenders: Sequence[Contender]) -> Iterator[list[str]]:
    for over, under, shown in pairs(contenders):
        spreads = [ratios(rounds, over, under, measure) for measure in (rate, capacity)]
        yield [f"{over} ÷ {shown}", *(spread.text(2) if spread else "-" for spread in spreads)]


def pairs(contenders: Sequence[Contender]) -> Iterator[tuple[str, list[str], str]]:
    """What is compared: the same work on the same database, but ours with ours in any circumstances."""
    engines = [one for one in contenders if one.engine]
    for one in engines:
        peers = [peer.name for peer in contenders if peer.is_peer and peer.database == one.database]
        if peers and not one.refused:
            yield one.name, peers, "best peer" if len(peers) > 1 else peers[0]
    ceilings = [one.name for one in contenders if not one.engine and not one.is_peer]
    same = [one.name for one in engines if one.database == SQLITE and not one.refused]
    yield from ((name, [other], other) for name in same for other in ceilings)
    for one in engines[1:]:
        alike = next(other.name for other in engines if other.database == one.database)
        base = alike if alike != one.name else engines[0].name
        yield one.name, [base], base
