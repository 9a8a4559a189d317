"""Dead letters by fault, and what the replay of each would do, as far as the history shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from choregraphie.dead_letters.effect import Effect
from choregraphie.saga.topology import DETAIL_HEADER, EDITED_HEADER, OPERATORS, REASON_HEADER, dlx
from saga_monitor.diagnosis.letter_faults import letter_faults
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, SHORTAGE, START, UNPAID, Line, event_bytes, undone

if TYPE_CHECKING:
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream

RESERVED = HELD[1]


@pytest.mark.parametrize(
    ("said", "message", "service", "effect"),
    [
        (HELD, RESERVED, "paiement", Effect.RUNS),
        (CONFIRMED, RESERVED, "paiement", Effect.DONE),
        (UNPAID, RESERVED, "paiement", Effect.TOMBSTONED),
        ([*HELD, undone(None)[0]], RESERVED, "paiement", Effect.ENDED),
        # An undoing is what a cancelled order waits for.
        ([*SHORTAGE, undone("stock.reservation_echouee")[0]], undone(None)[0], "stock", Effect.RUNS),
        ([*SHORTAGE, *undone("stock.reservation_echouee")[:2]], undone(None)[0], "stock", Effect.DONE),
        # An order of which nothing else is known.
        ([], RESERVED, "paiement", Effect.RUNS),
    ],
)
async def test_the_effect_of_a_replay_is_predicted(
    stream: Stream, monitor: Monitor, said: list[Line], message: Line, service: str, effect: Effect
) -> None:
    stream.publish("CMD-1", said)
    stream.set_aside(service, event_bytes("CMD-1", message))
    await monitor.read(stream)
    assert effects(monitor) == [{effect: 1}]


async def test_what_a_service_refuses_is_refused_again_unless_it_was_edited(
    stream: Stream, monitor: Monitor
) -> None:
    bad = event_bytes("CMD-1", RESERVED).replace(b"99.99", b'"x"')
    stream.add(bad, dlx("paiement"), {REASON_HEADER: "invalid"}, START)
    stream.add(event_bytes("CMD-2", RESERVED), dlx("paiement"), edited(), START)
    await monitor.read(stream)
    assert sorted(effects(monitor), key=str) == [{Effect.RUNS: 1}, {Effect.SET_ASIDE_AGAIN: 1}]


def edited() -> dict[str, object]:
    return {REASON_HEADER: "invalid", DETAIL_HEADER: "data.quantite: is wrong", EDITED_HEADER: "alice at noon"}


async def test_letters_of_one_fault_are_one_line_and_what_was_dealt_with_is_none(
    stream: Stream, monitor: Monitor
) -> None:
    for number in range(3):
        key = f"CMD-{number}"
        stream.publish(key, HELD)
        headers = {
            REASON_HEADER: "exhausted",
            DETAIL_HEADER: f"ConnectionError: gateway of {key}, port 808{number}",
        }
        stream.add(event_bytes(key, RESERVED), dlx("paiement"), headers, START)
    await monitor.read(stream)
    (fault,) = letter_faults(monitor.queries)
    assert (fault.group.count, fault.group.held, fault.effects) == (3, 0, {Effect.RUNS: 3})
    assert fault.group.example.pattern == "ConnectionError: gateway of …, port …"

    held, discarded = (one.letter.letter for one in fault.letters[:2])
    for act, letter in (("held", held), ("discarded", discarded)):
        record = {"act": act, "letter": letter, "by": "alice", "because": "asked", "service": "paiement"}
        stream.add(json.dumps(record).encode(), OPERATORS, {}, START)
    await monitor.read(stream)
    (fault,) = letter_faults(monitor.queries)
    assert (fault.group.count, fault.group.held) == (2, 1)
    assert {one.held for one in fault.letters} == {"alice: asked", ""}


def effects(monitor: Monitor) -> list[dict[Effect, int]]:
    return [dict(fault.effects) for fault in letter_faults(monitor.queries)]
