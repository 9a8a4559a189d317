"""What the monitor needs of memory and time as the orders become many: a synthetic history, no broker."""

from __future__ import annotations

import datetime as dt
import itertools
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saga_monitor import report
from saga_monitor.books.figures import figures_of_all, figures_since
from saga_monitor.history import mark
from saga_monitor.progress import Flag, State
from saga_monitor.queries import Queries
from saga_monitor.reading.entries import read_entry
from saga_monitor.showing.order_report import order_reports
from saga_monitor.store import Store
from scripts.benchmarks.orders import entries, messages

if TYPE_CHECKING:
    from collections.abc import Callable

_BATCH = 500
_STUCK_AFTER = 60.0
_ASKED = 20
_APART = dt.timedelta(milliseconds=20)


def measure(folder: Path, orders: int) -> dict[str, Any]:
    """Fill a file with `orders`, tenth by tenth; then ask it what the screens ask."""
    path = folder / "grown.sqlite3"
    begun = dt.datetime.now(dt.UTC) - orders * _APART
    figures = _fill(path, orders, begun)
    queries = Queries(path, _STUCK_AFTER)
    try:
        figures |= _answers(queries, begun)
    finally:
        queries.close()
    return figures | {"file_mb": round(path.stat().st_size / 1e6)}


def _fill(path: Path, orders: int, begun: dt.datetime) -> dict[str, Any]:
    store = Store(path)
    store.acquire()
    told, now = entries(messages(orders, begun, _APART)), dt.datetime.now(dt.UTC)
    memory, rates, taken = dict[int, int](), list[int](), 0
    marks = [orders // 100, *(orders * tenth // 10 for tenth in range(1, 11))]
    cpu, before = time.process_time(), 0
    while batch := list(itertools.islice(told, _BATCH)):
        store.apply([read_entry(entry, now) for entry in batch], mark(batch[0]), mark(batch[-1]))
        taken += len(batch)
        # Five events an order, and one in ten has six.
        if marks and taken >= marks[0] * 5.1:
            rates.append(round((taken - before) / (time.process_time() - cpu)))
            cpu, before = time.process_time(), taken
            memory[marks.pop(0)] = _memory_mb()
            print(f"  {list(memory)[-1]} orders: {rates[-1]} events/s of CPU, {_memory_mb()} MB", file=sys.stderr)
    store.close()
    return {
        "orders": orders,
        "events": taken,
        "memory_mb_at": memory,
        "memory_growth": round(list(memory.values())[-1] / memory[orders // 100], 2),
        "events_per_cpu_second_first_and_last": {"first": rates[0], "last": rates[-1]},
    }


def _answers(queries: Queries, begun: dt.datetime) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    pages: dict[str, Callable[[], object]] = {
        "newest": lambda: queries.orders(None, 50, now),
        "by_state": lambda: queries.orders(State.COMPENSATED, 50, now),
        "by_flag": lambda: queries.flagged(Flag.INTERVENTION, 50, now),
        "search": lambda: queries.beginning_with("CMD-7f", 50, now),
        "totals": lambda: queries.totals(now),
    }
    ids = [order.commande_id for order in queries.orders(None, _ASKED, now)]
    reports: dict[str, Callable[[], object]] = {
        "of_all": lambda: report.of_figures(figures_of_all(queries, now)),
        "since_the_beginning": lambda: report.of_figures(figures_since(queries, begun, now, _STUCK_AFTER)),
        "of_1000_orders": lambda: list(order_reports(queries, now, None, 1000)),
        "one_order": lambda: (queries.order(ids[0], now), queries.events(ids[0])),
    }
    return {
        "pages_ms": {name: _slowest_ms(ask, _ASKED) for name, ask in pages.items()},
        "reports_ms": {name: _median_ms(ask, 3) for name, ask in reports.items()},
    }


def _times_ms(ask: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def _slowest_ms(ask: Callable[[], object], times: int) -> float:
    return round(max(_times_ms(ask, times)), 1)


def _median_ms(ask: Callable[[], object], times: int) -> float:
    return round(statistics.median(_times_ms(ask, times)), 1)


def _memory_mb() -> int:
    """What the process holds now, not what it held at most."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1_000_000
