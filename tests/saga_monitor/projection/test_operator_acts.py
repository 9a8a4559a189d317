"""What operators did about dead letters: a letter that was discarded, replayed or edited needs nobody any more."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.saga.topology import HELD_HEADER, LETTER_HEADER, OPERATORS, REASON_HEADER, dlx
from saga_monitor.analysis.saga_state import Flag
from saga_monitor.projection.snapshot import projection_at
from tests.saga_monitor.conftest import SOON, Monitor
from tests.saga_monitor.memory_stream import SHORTAGE, START, event_bytes, undone
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from tests.saga_monitor.memory_stream import Stream

CANCELLED = undone("stock.reservation_echouee")[0]


def add_act(stream: Stream, act: str, letter: str, at: dt.datetime = START, **more: Any) -> None:
    said = {"act": act, "letter": letter, "by": "alice@ops", "because": "a test", "service": "stock"}
    said |= {"saga": "commande", "key": "CMD-1", **more}
    stream.add(json.dumps(said).encode(), OPERATORS, {}, at)


async def given_up(stream: Stream, monitor: Monitor) -> str:
    """An order whose undoing at `stock` is a dead letter. Returns the id of the letter."""
    stream.publish("CMD-1", [*SHORTAGE, CANCELLED])
    stream.set_aside("stock", event_bytes("CMD-1", CANCELLED), "exhausted")
    await monitor.read(stream)
    assert flags(monitor) == (Flag.INTERVENTION,)
    (letter,) = monitor.queries.dead_letters(order_with("CMD-1"))
    return letter.letter


def flags(monitor: Monitor) -> tuple[Flag, ...]:
    order = monitor.queries.instance(order_with("CMD-1"), SOON)
    assert order is not None
    return tuple(flag for flag in order.flags if flag is not Flag.STUCK)


@pytest.mark.parametrize("act", ["discarded", "replayed", "edited"])
async def test_an_act_ends_the_letter_and_the_flag(stream: Stream, monitor: Monitor, act: str) -> None:
    letter = await given_up(stream, monitor)
    add_act(stream, act, letter)
    await monitor.read(stream)
    assert flags(monitor) == ()
    (shown,) = monitor.queries.dead_letters(order_with("CMD-1"))
    assert shown.ended == f"{act} by alice@ops: a test"


async def test_an_act_about_another_letter_or_a_hold_ends_nothing(stream: Stream, monitor: Monitor) -> None:
    letter = await given_up(stream, monitor)
    add_act(stream, "discarded", "another")
    add_act(stream, "held", letter)
    add_act(stream, "settled", "", type="stock.libere")
    stream.add(b"no record", OPERATORS)
    await monitor.read(stream)
    assert flags(monitor) == (Flag.INTERVENTION,)


async def test_a_letter_that_is_set_aside_again_needs_a_person_again(stream: Stream, monitor: Monitor) -> None:
    """A message that kills its worker becomes the same letter again, with the same id."""
    letter = await given_up(stream, monitor)
    add_act(stream, "replayed", letter)
    stream.set_aside("stock", event_bytes("CMD-1", CANCELLED), "exhausted")
    await monitor.read(stream)
    assert flags(monitor) == (Flag.INTERVENTION,)
    first, second = monitor.queries.dead_letters(order_with("CMD-1"))
    assert (first.letter, bool(first.ended), second.letter, second.ended) == (letter, True, letter, "")


async def test_a_held_letter_is_the_same_letter_and_counted_once(stream: Stream, monitor: Monitor) -> None:
    letter = await given_up(stream, monitor)
    headers = {REASON_HEADER: "exhausted", HELD_HEADER: "alice", LETTER_HEADER: letter}
    stream.add(event_bytes("CMD-1", CANCELLED), dlx("stock"), headers, START)
    await monitor.read(stream)
    assert len(monitor.queries.dead_letters(order_with("CMD-1"))) == 1
    assert flags(monitor) == (Flag.INTERVENTION,)
    add_act(stream, "discarded", letter)
    await monitor.read(stream)
    assert flags(monitor) == ()


async def test_the_past_does_not_know_of_a_later_act(stream: Stream, monitor: Monitor) -> None:
    letter = await given_up(stream, monitor)
    add_act(stream, "discarded", letter, START + dt.timedelta(hours=1))
    await monitor.read(stream)
    (ended,) = monitor.queries.dead_letters(order_with("CMD-1"))
    with projection_at(monitor.path, START + dt.timedelta(minutes=1), SAGAS) as path:
        then = Monitor(path)
        (before,) = then.queries.dead_letters(order_with("CMD-1"))
        then.close()
    assert (bool(ended.ended), before.ended) == (True, "")
