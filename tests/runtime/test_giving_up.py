"""What is given up reaches the dead letters, whatever breaks between the commit and the confirm."""

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest

from services.runtime import Desk, Fate, Settings
from services.runtime.errors import DatabaseTrouble, Reason
from services.runtime.ledger import Ledger
from services.runtime.verdict import DeadLetter, Done
from services.runtime.work import Work
from tests.support.fake_door import until
from tests.support.session import order, session


def exchanges(door: object) -> list[str]:
    return [message.exchange for message in door.published]  # type: ignore[attr-defined]


async def test_a_dead_letter_that_was_not_confirmed_is_published_when_the_message_comes_again(
    settings: Settings,
) -> None:
    async with session(settings) as first:
        first.door.fate = lambda m: Fate.UNKNOWN if m.exchange.endswith(".dlx") else Fate.CONFIRMED
        first.door.bring(order("C", "SANS-ESPOIR"))
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(first.running, 10)
        assert first.door.settled == []
    async with session(settings) as second:
        tag = second.door.bring(order("C", "SANS-ESPOIR"), redelivered=True)
        await until(lambda: second.door.settled == [tag])
        assert "stock.dlx" in exchanges(second.door)
        await second.stop()


async def test_a_database_that_stumbles_after_the_refusal_takes_no_dead_letter_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, stumbles = Ledger.commit, iter([True])

    def stumbling(ledger: Ledger, group: Sequence[Work], said: Sequence[str] = ()) -> object:
        if [work.order for work in group] == ["D"] and next(stumbles, False):
            raise DatabaseTrouble("away for a moment")
        return commit(ledger, group, said)

    monkeypatch.setattr(Ledger, "commit", stumbling)
    async with session(settings) as s:
        tags = [s.door.bring(order(name, "SANS-ESPOIR")) for name in "CD"]
        await until(lambda: sorted(s.door.settled) == tags)
        assert exchanges(s.door).count("stock.dlx") == 2
        await s.stop()


def test_sent_back_by_an_operator_it_stays_without_effect(desk: Desk) -> None:
    broken = desk.enveloped(order("C", "SANS-ESPOIR").data)
    desk.deliver(desk.delivery(broken), tolerate=True)
    back = dataclasses.replace(desk.delivery(broken), exchange="stock.requeue")
    assert desk.deliver(back) == []
    assert [getattr(verdict, "reason", verdict) for verdict in desk.verdicts] == [Reason.EXHAUSTED, Done()]
    assert isinstance(desk.verdicts[0], DeadLetter)
