"""External calls: concurrent, bounded and timed out; no confirmation is sent after a cancellation."""

import asyncio
from functools import partial

from choregraphie import Settings
from services.notification import SERVICE as NOTIFICATION
from tests.support.event_builders import annulee, creee
from tests.support.fake_session import until
from tests.support.running_pipeline import envelope, running_pipeline


class Silent:
    """A carrier that takes a message and never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def envoyer(self, *message: str) -> str:
        self.asked += 1
        await asyncio.Event().wait()
        return ""


async def test_stopping_waits_for_a_hanging_call_no_longer_than_its_bound(settings: Settings) -> None:
    impatient = settings.model_copy(update={"drain": 0.2, "call_timeout": 60.0, "calls": 1})
    carrier = Silent()
    async with running_pipeline(impatient, NOTIFICATION, carrier) as run:
        for n in range(3):
            run.session.deliver(envelope(creee(f"C-{n}")))
        await until(lambda: carrier.asked == 1)
        await run.stop()
        assert run.session.acked == []


async def test_a_hanging_call_times_out_is_repeated_at_once_and_then_retried(settings: Settings) -> None:
    impatient = settings.model_copy(update={"call_timeout": 0.05})
    carrier = Silent()
    async with running_pipeline(impatient, NOTIFICATION, carrier) as run:
        tag = run.session.deliver(envelope(creee()))
        await until(lambda: run.session.acked == [tag])
        assert carrier.asked == 2
        assert [message.exchange for message in run.session.published] == ["notification.retry"]
        await run.stop()


async def test_a_call_in_which_something_else_is_cancelled_is_retried(settings: Settings) -> None:
    class WaitsForWhatIsCancelled:
        async def envoyer(self, *message: str) -> str:
            cancelled: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            return await cancelled

    async with running_pipeline(settings, NOTIFICATION, WaitsForWhatIsCancelled()) as run:
        tag = run.session.deliver(envelope(creee()))
        await until(lambda: run.session.acked == [tag])
        assert [message.exchange for message in run.session.published] == ["notification.retry"]
        await run.stop()


async def test_a_slow_call_delays_no_other(settings: Settings) -> None:
    carrier = Gate()
    async with running_pipeline(settings, NOTIFICATION, carrier) as run:
        slow = run.session.deliver(envelope(creee("SLOW")))
        await until(lambda: "SLOW" in carrier.asked)
        quick = run.session.deliver(envelope(creee("QUICK")))
        await until(lambda: run.session.acked == [quick])
        carrier.open.set()
        await until(lambda: run.session.acked == [quick, slow])
        await run.stop()


async def test_so_many_calls_are_under_way_at_once_and_the_others_follow(settings: Settings) -> None:
    carrier = Turnstile()
    async with running_pipeline(settings.model_copy(update={"calls": 2}), NOTIFICATION, carrier) as run:
        for round_ in ("A", "B"):
            # The second round finds the places free again.
            expected = [f"{round_}-{n}" for n in range(5)]
            tags = [run.session.deliver(envelope(creee(key))) for key in expected]
            for asked in (2, 4, 5):
                await carrier.until_asked(asked)
                carrier.pass_on()
            await until(partial(set(tags).issubset, run.session.acked))
            assert carrier.asked == expected
            carrier.asked.clear()
        await run.stop()


class Turnstile:
    """A carrier that answers all who wait, when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers: list[asyncio.Future[str]] = []

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        self.asked.append(commande_id)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        return await answer

    async def until_asked(self, times: int) -> None:
        await until(lambda: len(self.asked) == times)

    def pass_on(self) -> None:
        for answer in self._answers:
            answer.set_result("x@clients.invalid")
        self._answers.clear()


class Gate:
    """A carrier that blocks the order SLOW until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked: list[str] = []

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        self.asked.append(commande_id)
        if commande_id == "SLOW" and "annulée" not in objet:
            await self.open.wait()
        return "x@clients.invalid"


class Held(Gate):
    """A gate that blocks cancellations and records its messages."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        self.asked.append(objet.split(" : ")[0].split(" ")[-1])
        if "annulée" in objet:
            await self.open.wait()
        return "x@clients.invalid"


async def test_no_confirmation_is_sent_once_the_cancellation_is_being_sent(settings: Settings) -> None:
    """The call of the cancellation has begun when the late creation arrives."""
    carrier = Held()
    async with running_pipeline(settings, NOTIFICATION, carrier) as run:
        cancelled = run.session.deliver(envelope(annulee("C")))
        await until(lambda: len(carrier.asked) == 1)
        late = run.session.deliver(envelope(creee("C")))
        await until(lambda: late in run.session.acked)
        carrier.open.set()
        await until(lambda: cancelled in run.session.acked)
        assert carrier.asked == ["annulée"]
        await run.stop()
