"""`outbox`: lists the events not published yet; publishes again what a broker has lost."""

import argparse
import asyncio
import datetime as dt
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import Progress, TaskID
from rich.text import Text

from choregraphie.application import Application
from choregraphie.broker import apply_topology, connected, open_publisher
from choregraphie.cli.selection import add_option, with_databases
from choregraphie.errors import BrokerUnavailable, ChoregraphieError
from choregraphie.messaging import PublishOutcome
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import Topology
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.database import open_for_reading
from choregraphie.storage.outbox import OutboxEvent, decided_since, last_number, pending_events
from choregraphie.terminal.arguments import TIME_EXAMPLES, add_json, add_wide, past_time
from choregraphie.terminal.formats import counted, format_count, format_duration
from choregraphie.terminal.tables import Column, Fitted, console_of, is_bounded, short_ids

PAGE = 500


def add(verbs: Any, application: Application) -> None:
    outbox = verbs.add_parser(
        "outbox",
        help="the events decided: list those not published yet, or publish again",
        description="The events that the services decided: list those not published yet, or publish again.",
    )
    actions = outbox.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="the events decided and not published yet",
        description="The events decided and not published yet, oldest first. A worker with a connection publishes "
        "them at once; one that stays was returned or refused, or its service has no worker.",
    )
    add_json(listing)
    add_wide(listing)
    add_option(listing, application)
    listing.set_defaults(do=_list)
    resend = actions.add_parser(
        "resend",
        help="publish again every event decided since a time; receivers ignore repetitions",
        description="Publish again every event decided since a time, to refill a broker that lost its data. The "
        "bytes and ids are the same: a service that has handled an event does not handle it again.",
    )
    resend.add_argument("--since", required=True, type=past_time, metavar="TIME", help=TIME_EXAMPLES)
    add_json(resend)
    add_option(resend, application)
    resend.set_defaults(do=_resend)


def _list(options: argparse.Namespace, settings: Settings) -> int:
    found: list[tuple[str, OutboxEvent]] = []
    for service in with_databases(options, settings):
        after = 0
        while True:
            with open_for_reading(service, settings) as connection:
                page, after = pending_events(connection, PAGE, after)
            found += [(service.name, outbox_event) for outbox_event in page]
            if not page:
                break
    if options.json:
        sagas = options.application.saga_set
        print(json.dumps([_shown(name, outbox_event, sagas) for name, outbox_event in found], ensure_ascii=False))
    else:
        console = console_of(wide=options.wide)
        noun = options.application.saga_set.noun[0]
        console.print(_view(found, noun, full=not is_bounded(console)))
    return 0


def _shown(service: str, outbox_event: OutboxEvent, sagas: SagaSet) -> dict[str, str]:
    return {
        "service": service,
        "event_id": outbox_event.event_id,
        "type": outbox_event.type,
        "saga": outbox_event.saga,
        sagas.key_of(outbox_event.saga): outbox_event.key,
        "decided_at": outbox_event.decided_at.isoformat(),
    }


def _view(found: list[tuple[str, OutboxEvent]], noun: str, *, full: bool) -> RenderableType:
    now = dt.datetime.now(dt.UTC)
    ids = {} if full else short_ids(outbox_event.event_id for _, outbox_event in found)
    decided = Column("decided at" if full else "decided, ago")
    table = Fitted(Column(noun), Column("event"), Column("service", goes=2), decided, Column("id", goes=1))
    for service, outbox_event in found:
        ago = format_duration(max(0.0, (now - outbox_event.decided_at).total_seconds() * 1000))
        when = f"{outbox_event.decided_at:%F %T}" if full else ago
        event_id = ids.get(outbox_event.event_id, outbox_event.event_id)
        table.add_row(outbox_event.key, outbox_event.type, service, when, event_id)
    return Group(Text(f"{format_count(len(found))} not published", style="bold"), table)


def _resend(options: argparse.Namespace, settings: Settings) -> int:
    counts: Counter[str] = Counter()
    try:
        _resend_each(options, settings, counts)
    except (ChoregraphieError, KeyboardInterrupt):
        for name, number in counts.items():
            print(f"{name}: {counted(number, 'event')} said again before this ended", file=sys.stderr)
        raise
    if options.json:
        print(json.dumps(counts))
    else:
        for name, number in counts.items():
            print(f"{name}: {counted(number, 'event')} said again")
    return 0


def _resend_each(options: argparse.Namespace, settings: Settings, counts: Counter[str]) -> None:
    """Publish again the events of each service, and count them as they are confirmed."""
    wanted = options.application.topology(settings)
    with Progress(disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        for service in with_databases(options, settings):
            task = progress.add_task(service.name, total=None)
            counts[service.name] = 0

            def on_page(number: int, name: str = service.name, task: TaskID = task) -> None:
                counts[name] += number
                progress.advance(task, number)

            asyncio.run(_publish_again(service, settings, wanted, options.since, on_page))


async def _publish_again(
    service: Service, settings: Settings, wanted: Topology, since: dt.datetime, on_page: Callable[[int], None]
) -> None:
    """Publish again what was decided since `since`; `on_page` gets the numbers of events confirmed.

    Raises BrokerUnavailable when the broker does not confirm one.
    """
    after = 0
    name = f"{service.name} says again"
    async with connected(settings, name) as connection:
        # A broker that lost its data has lost its queues as well.
        await apply_topology(connection, wanted, declare=settings.topology == "apply")
    async with open_publisher(settings, name, service.name) as publisher:
        with open_for_reading(service, settings) as connection:
            last = last_number(connection)
        while True:
            with open_for_reading(service, settings) as connection:
                page, after = decided_since(connection, since, PAGE, after, last)
            if not page:
                return
            outcomes = await publisher.publish([outbox_event.outgoing(service) for outbox_event in page])
            missing = [outcome for outcome in outcomes if outcome is not PublishOutcome.CONFIRMED]
            if missing:
                raise BrokerUnavailable(f"{service.name}: {len(missing)} events not taken ({missing[0].value})")
            on_page(len(page))
