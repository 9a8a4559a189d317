"""An id is unique with its source alone: the monitor mistakes no client's event for another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from choregraphie.saga.topology import events as events_of
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis.saga_state import Flag, State
from saga_monitor.console.snapshot import instance_history
from saga_monitor.projection import case_queries
from saga_monitor.projection.snapshot import projection_at
from saga_monitor.reports.timeline import timeline
from saga_monitor.text.event_tables import timeline_table
from saga_monitor.web.event_roles import EventRoles
from saga_monitor.web.narrative import timeline_entries
from saga_monitor.web.raw_events import RawEventReader
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import (
    ASKED,
    CONFIRMED,
    HELD,
    KNOWN,
    PLACED,
    Line,
    Stream,
    event_bytes,
    undone,
)
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import Sequence

CMD, ROLES = order_with("CMD-1"), EventRoles(CHOREOGRAPHY)
ALPHA, BETA = "/clients/alpha", "/clients/beta"
CANCELLED = [*HELD, ASKED, *undone("commande.annulation_demandee")]
BY_CLIENTS = {"commande.initiee": ALPHA, "commande.annulation_demandee": BETA}


def counted(commande_id: str, line: Line, source: str = "") -> bytes:
    """The event as clients say it who count from one, and as services that answer them do."""
    body = event_bytes(commande_id, line)
    for type_ in BY_CLIENTS:
        body = body.replace(f"{commande_id}/{type_}".encode(), b"1")
    return body.replace(b"/clients/boutique", (source or BY_CLIENTS.get(line.type, "")).encode())


def publish(stream: Stream, commande_id: str, lines: Sequence[Line]) -> None:
    for line in lines:
        stream.add(counted(commande_id, line), events_of(KNOWN[line.type].SAID_BY))


async def test_an_order_and_its_cancellation_may_have_one_id(stream: Stream, monitor: Monitor) -> None:
    publish(stream, "CMD-1", CANCELLED)
    await monitor.read(stream)
    order = monitor.queries.instance(CMD, SOON)
    assert order is not None
    assert (order.state, order.flags) == (State.COMPENSATED, ())
    assert [event.source for event in monitor.queries.events(CMD)][:3] == [ALPHA, "/services/stock", BETA]


async def test_the_timeline_puts_each_answer_under_its_own_cause(stream: Stream, monitor: Monitor) -> None:
    publish(stream, "CMD-1", CANCELLED)
    await monitor.read(stream)
    found = instance_history(monitor.queries, CMD, SOON)
    assert found is not None
    placed, asked = timeline(CHOREOGRAPHY, found.events, found.retries, found.dead_letters).beginnings
    assert [node.event.type for node in placed.answers] == ["stock.reserve"]
    assert [node.event.type for node in asked.answers] == ["commande.annulee"]
    told = {moment.type: moment.cause for moment in timeline_entries(ROLES, found.summary, found.events, [], [])}
    assert told["stock.reserve"] == "commande.initiee"
    assert told["commande.annulee"] == "commande.annulation_demandee"


async def test_two_decisions_that_answer_one_id_of_two_clients_are_none_too_many(
    stream: Stream, monitor: Monitor
) -> None:
    """An order created in answer to itself, all else having overtaken it, and then cancelled."""
    late = [*CONFIRMED[1:3], *PLACED, Line("commande.creee", "commande.initiee", 350), CONFIRMED[-1]]
    publish(stream, "CMD-1", [*late, ASKED, *undone("commande.annulation_demandee", modele="rectificatif")])
    await monitor.read(stream)
    order = monitor.queries.instance(CMD, SOON)
    assert order is not None
    assert (order.state, order.flags) == (State.COMPENSATED, ())


async def test_a_second_order_with_a_known_order_s_id_and_event_id_is_told(
    stream: Stream, monitor: Monitor
) -> None:
    stream.add(counted("CMD-1", PLACED[0]), "client.events")
    stream.add(counted("CMD-1", PLACED[0], BETA), "client.events")
    stream.add(counted("CMD-1", PLACED[0]), "client.events")
    await monitor.read(stream)
    order = monitor.queries.instance(CMD, SOON)
    assert order is not None
    assert Flag.REPEATED_START in order.flags
    assert [event.source for event in monitor.queries.events(CMD)] == [ALPHA, BETA]
    assert monitor.queries.totals(SOON).count("duplicates") == 1


async def test_what_is_set_aside_of_one_client_is_not_another_s(stream: Stream, monitor: Monitor) -> None:
    publish(stream, "CMD-1", [*HELD, ASKED])
    stream.retry("commande", counted("CMD-1", ASKED))
    stream.set_aside("commande", counted("CMD-1", ASKED))
    # Tried again is the order, and not the demand that was set aside.
    stream.retry("commande", counted("CMD-1", PLACED[0]))
    await monitor.read(stream)
    found = instance_history(monitor.queries, CMD, SOON)
    assert found is not None
    assert Flag.INTERVENTION in found.summary.flags
    placed, asked = timeline(CHOREOGRAPHY, found.events, found.retries, found.dead_letters).beginnings
    assert (len(placed.retries), len(placed.dead_letters)) == (1, 0)
    assert (len(asked.retries), len(asked.dead_letters)) == (1, 1)
    case = case_queries.case(monitor.queries, CMD, SOON)
    assert case is not None
    assert [letter.source for letter in case.dead_letters] == [BETA]


async def test_the_stream_shows_the_bytes_of_the_right_one(stream: Stream, monitor: Monitor) -> None:
    stream.add(counted("CMD-1", PLACED[0], BETA), "client.events")
    await monitor.read(stream)
    (event,) = monitor.queries.events(CMD)
    stream.recreate()
    stream.add(counted("CMD-1", PLACED[0]), "client.events")
    (raw,) = await RawEventReader(stream.opening()).said([event])
    assert raw.text is None


async def test_the_past_knows_them_apart_too(stream: Stream, monitor: Monitor) -> None:
    publish(stream, "CMD-1", CANCELLED)
    stream.set_aside("commande", counted("CMD-1", ASKED))
    await monitor.read(stream)
    with projection_at(monitor.path, SOON, SAGAS) as file:
        then = Monitor(file)
        try:
            assert then.queries.events(CMD) == monitor.queries.events(CMD)
            assert then.queries.dead_letters(CMD) == monitor.queries.dead_letters(CMD)
        finally:
            then.close()


async def test_show_names_the_event_that_was_answered(stream: Stream, monitor: Monitor) -> None:
    publish(stream, "CMD-1", CANCELLED)
    await monitor.read(stream)
    events = [
        {"id": e.id, "type": e.type, "causationid": e.causationid, "time": None, "note": None, "source": e.source}
        for e in monitor.queries.events(CMD)
    ]
    console = Console(width=200)
    with console.capture() as shown:
        console.print(timeline_table(CHOREOGRAPHY, events, None))
    lines = shown.get().splitlines()
    (reserved,) = (line for line in lines if "stock.reserve" in line)
    (cancelled,) = (line for line in lines if "commande.annulee" in line)
    assert "#1" in reserved
    assert "#3" in cancelled
