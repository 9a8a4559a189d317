"""Measures the monitor's memory and response times as the number of orders grows: a synthetic history, no broker.

A complete `saga_monitor serve` reads it, and its pages are requested as a browser would. Of a hundred orders six
stay in flight and go silent, two of them because their messages were exhausted; another one contradicts itself.
"""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
import sys
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from saga_monitor.projection.aggregates import aggregates_of_all, aggregates_since
from saga_monitor.projection.queries import Queries
from saga_monitor.reports import report
from saga_monitor.reports.instance_report import instance_reports
from scripts.benchmarks.monitor_process import STUCK_AFTER, MonitorProcess
from scripts.benchmarks.orders import MIXED, Message, each_order
from services.application import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Even in a small history the oldest orders have been silent for a minute.
_AGE = dt.timedelta(minutes=3)
_APART = dt.timedelta(milliseconds=20)
_BATCH = 500
_NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"
# The list as it opens, and each of its filters, alone and combined.
LISTS = (
    *("/", "/?state=IN_FLIGHT", "/?state=RUNNING", "/?state=COMPENSATED"),
    *("/?flag=STUCK", "/?flag=INTERVENTION", "/?flag=CONTRADICTION", "/?q=CMD-7f"),
    *("/?flag=STUCK&q=CMD-7f", "/?flag=INTERVENTION&q=CMD-7f", "/?state=RUNNING&flag=INTERVENTION&q=CMD-7f"),
    *("/?q=f3a", "/?q=client", "/?q=today", "/?q=no+such+text", "/?q=7", "/?state=COMPENSATED&q=client"),
    *("/?state=IN_FLIGHT&q=CMD-7f", "/?state=COMPENSATING&flag=STUCK", "/?state=NEW&flag=STUCK"),
)
_OTHERS = ("/anomalies", "/charts", "/choreography")


def measure(folder: Path, orders: int, requests: int) -> dict[str, Any]:
    """Let a monitor read `orders`; request each page `requests` times after 1 %, 10 % and all of them."""
    path = folder / "grown.sqlite3"
    started = dt.datetime.now(dt.UTC) - orders * _APART - _AGE
    with closing(
        MonitorProcess(path, "scripts.benchmarks.replayed_monitor", one_core=False, amqp_url=_NO_BROKER)
    ) as process:
        figures = _read_orders(process, orders, started, requests)
    with closing(Queries(path, STUCK_AFTER, APP.saga_set)) as queries:
        figures |= _reports(queries, started)
    return figures | {"file_mb": round(path.stat().st_size / 1e6)}


def _read_orders(process: MonitorProcess, orders: int, started: dt.datetime, requests: int) -> dict[str, Any]:
    orders_left, sent = each_order(orders, started, _APART, MIXED), 0
    memory, rates, pages = dict[int, int](), dict[int, int](), dict[str, Any]()
    marks = sorted({max(1, orders // 100), max(1, orders // 10), orders})
    for before, mark in itertools.pairwise([0, *marks]):
        cpu, first = process.cpu_seconds(), sent
        sent += _write_orders(process, itertools.islice(orders_left, mark - before))
        process.until(sent - 1)
        rates[mark] = round((sent - first) / max(0.01, process.cpu_seconds() - cpu))
        pages = {page: _spread_ms(process, page, requests) for page in (*LISTS, *_OTHERS)}
        memory[mark] = process.memory_mb()
        slowest = max(pages[page]["p95"] for page in LISTS)
        print(
            f"  {mark} orders: {rates[mark]} events/s of CPU, {memory[mark]} MB, lists within {slowest} ms",
            file=sys.stderr,
        )
    return {
        "orders": orders,
        "events": sent,
        "memory_mb_at": memory,
        "memory_growth": round(memory[orders] / memory[marks[0]], 2),
        "events_per_cpu_second_at": rates,
        "lists_ms": {page: pages[page] for page in LISTS},
        "other_pages_ms": {page: pages[page] for page in _OTHERS},
    }


def _write_orders(process: MonitorProcess, orders_left: Iterator[list[Message]]) -> int:
    """Write to the monitor as fast as it reads. Returns the number of messages."""
    sent, messages = 0, itertools.chain.from_iterable(orders_left)
    while batch := list(itertools.islice(messages, _BATCH)):
        process.pipe.write(b"".join(message.line for message in batch) + b"\n")
        sent += len(batch)
    process.pipe.flush()
    return sent


def _spread_ms(process: MonitorProcess, page: str, requests: int) -> dict[str, float]:
    times_ms = sorted(process.get_ms(page) for _ in range(requests))
    return {"median": round(statistics.median(times_ms), 1), "p95": round(times_ms[(requests * 95 - 1) // 100], 1)}


def _reports(queries: Queries, started: dt.datetime) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    (order, *_) = queries.instances(None, 1, now)
    of_all = partial(aggregates_of_all, queries, now)
    since_the_beginning = partial(aggregates_since, queries, started, now, STUCK_AFTER)
    reports: dict[str, Callable[[], object]] = {
        "of_all": lambda: report.whole(APP.saga_set, of_all),
        "since_the_beginning": lambda: report.whole(APP.saga_set, since_the_beginning),
        "of_1000_orders": lambda: list(instance_reports(queries, now, None, 1000)),
        "one_order": lambda: (queries.instance(order.instance, now), queries.events(order.instance)),
    }
    totals = queries.totals(now)
    return {
        "in_flight": totals.in_flight,
        "stuck": totals.stuck,
        "flagged": totals.named("flag."),
        "reports_ms": {name: _median_ms(ask, 3) for name, ask in reports.items()},
    }


def _median_ms(ask: Callable[[], object], times: int) -> float:
    times_ms = []
    for _ in range(times):
        start = time.perf_counter()
        ask()
        times_ms.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times_ms), 1)
