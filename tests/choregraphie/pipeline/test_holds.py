"""While an outside system is down, a worker holds its inbox: no try is used, and every hold ends."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from choregraphie import OutsideUnavailable, Settings, retrying
from choregraphie.messaging import Outgoing
from choregraphie.saga.topology import HOLD_HEADER, HOLD_KEY, OUTSIDE_HEADER, SINCE_HEADER
from services.notification import SERVICE as NOTIFICATION
from tests.support.event_builders import creee
from tests.support.fake_session import until
from tests.support.running_pipeline import NOON, RunningPipeline, envelope, running_pipeline, worker_context
from tests.support.supervised import consuming, supervised

DOWN = OutsideUnavailable("nobody is there")


class Carrier:
    """A carrier that raises `failure`, if any; only for the orders of `failing`, if given."""

    def __init__(self) -> None:
        self.failure: Exception | None = DOWN
        self.failing: set[str] = set()
        self.asked: list[str] = []

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        self.asked.append(commande_id)
        await asyncio.sleep(0)
        if self.failure and (not self.failing or commande_id in self.failing):
            raise self.failure
        return "x@clients.invalid"


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


@pytest.fixture
async def run(settings: Settings, carrier: Carrier) -> AsyncIterator[RunningPipeline]:
    quick = settings.model_copy(update={"hold_after": 4, "probe_every": 0.05, "longest_hold": 60.0})
    async with running_pipeline(quick, NOTIFICATION, carrier) as running:
        yield running


def notices(run: RunningPipeline) -> list[Outgoing]:
    return [message for message in run.session.published if message.routing_key == HOLD_KEY]


def states(run: RunningPipeline) -> list[object]:
    return [message.headers[HOLD_HEADER] for message in notices(run)]


def retried(run: RunningPipeline) -> list[Outgoing]:
    return [m for m in run.session.published if m.exchange == "notification.retry" and m not in notices(run)]


def order(run: RunningPipeline, *keys: str) -> list[int]:
    return [run.session.deliver(envelope(creee(key))) for key in keys]


async def test_what_waits_for_a_system_that_is_down_uses_no_try_and_is_done_when_it_is_back(
    run: RunningPipeline, carrier: Carrier
) -> None:
    tags = order(run, *"ABCDEF")
    await until(lambda: states(run).count("open") >= 3)
    assert (run.session.acked, retried(run)) == ([], [])
    carrier.failure = None
    await until(lambda: sorted(run.session.acked) == tags)
    assert (states(run)[-1], retried(run)) == ("closed", [])
    await run.stop()


async def test_while_the_inbox_is_held_nothing_more_is_taken_from_it(
    run: RunningPipeline, carrier: Carrier
) -> None:
    order(run, "A", "B")
    await until(lambda: "open" in states(run))
    order(run, "NEXT")  # the worker waits for it already
    await until(lambda: "NEXT" in carrier.asked)
    late, asked = order(run, "LATE")[0], len(carrier.asked)
    await until(lambda: len(carrier.asked) >= asked + 6)
    assert "LATE" not in carrier.asked
    carrier.failure = None
    await until(lambda: late in run.session.acked)
    await run.stop()


async def test_probes_are_made_one_at_a_time_each_with_another_delivery(
    run: RunningPipeline, carrier: Carrier
) -> None:
    """One message that always fails cannot keep the others held."""
    tags = order(run, "BAD", "A", "B")
    await until(lambda: "open" in states(run))
    carrier.failing = {"BAD"}
    await until(lambda: {*tags[1:]} <= {*run.session.acked})
    assert "closed" in states(run)
    await run.stop()


async def test_an_error_of_one_message_opens_nothing(run: RunningPipeline, carrier: Carrier) -> None:
    carrier.failure = ValueError("this message")
    tags = order(run, *"ABCDEF")
    await until(lambda: sorted(run.session.acked) == tags)
    assert (len(retried(run)), notices(run)) == (6, [])
    await run.stop()


async def test_answers_between_failures_keep_the_breaker_closed(run: RunningPipeline, carrier: Carrier) -> None:
    carrier.failing = {"BAD"}
    for number in range(4):
        bad, good = order(run, "BAD", f"GOOD-{number}")
        await until(lambda b=bad, g=good: {b, g} <= {*run.session.acked})  # type: ignore[misc]
    assert notices(run) == []
    await run.stop()


async def test_after_the_longest_hold_the_retries_apply_until_a_call_is_answered(
    settings: Settings, carrier: Carrier
) -> None:
    brief = settings.model_copy(update={"hold_after": 2, "probe_every": 0.05, "longest_hold": 0.2})
    async with running_pipeline(brief, NOTIFICATION, carrier) as run:
        tags = order(run, *"ABC")
        await until(lambda: sorted(run.session.acked) == tags)
        assert len(retried(run)) == 3
        since = dt.datetime.fromisoformat(str(notices(run)[-1].headers[SINCE_HEADER]))
        assert NOON - since >= dt.timedelta(seconds=0.2), "the last notice says when the hold began"
        tags += order(run, "D")
        await until(lambda: sorted(run.session.acked) == tags)
        assert (len(retried(run)), states(run).count("closed")) == (4, 1)
        carrier.failure = None
        tags += order(run, "E")
        await until(lambda: sorted(run.session.acked) == tags)
        carrier.failure = DOWN
        order(run, "F")
        await until(lambda: states(run)[-1] == "open")
        await run.stop()


async def test_a_stop_does_not_wait_for_what_is_held(run: RunningPipeline) -> None:
    """Its deliveries are not acknowledged, so the broker delivers them again."""
    held = order(run, *"ABCDEF")
    await until(lambda: "open" in states(run))
    await run.stop()
    assert set(held) - {*run.session.acked}


async def test_a_notice_goes_to_the_history_alone_and_names_the_system(run: RunningPipeline) -> None:
    order(run, "A", "B")
    await until(lambda: bool(notices(run)))
    told = notices(run)[0]
    assert (told.exchange, told.headers[OUTSIDE_HEADER]) == ("notification.retry", "the mail carrier")
    assert "OutsideUnavailable: nobody is there" in str(told.headers["x-saga-detail"])
    await run.stop()


async def test_a_hold_outlives_its_session(
    settings: Settings, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next session makes its first call as a probe, and tells when it is answered."""
    monkeypatch.setattr(retrying, "backoff", lambda failures, rng: 0.01)
    quick = settings.model_copy(update={"hold_after": 2, "probe_every": 0.05})
    with worker_context(NOTIFICATION, quick) as ready:
        async with supervised(replace(ready, externals=carrier)) as sessions:
            await until(lambda: consuming(sessions))
            sessions[0].deliver(envelope(creee("A")))
            await until(lambda: any(message.routing_key == HOLD_KEY for message in sessions[0].published))
            sessions[0].lose()
            await until(lambda: len(sessions) > 1 and consuming(sessions))
            carrier.failure = None
            tag = sessions[1].deliver(envelope(creee("A")))
            await until(lambda: sessions[1].acked == [tag])
            told = [m.headers[HOLD_HEADER] for m in sessions[1].published if m.routing_key == HOLD_KEY]
            assert told == ["closed"]
