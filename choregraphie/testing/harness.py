"""The harness for the tests of a service: the real delivery path and a real database, without a broker.

A test lets the service hear events, and looks at the events said and at the state. A reaction's exception is
raised in the test, not retried.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from choregraphie.messaging import Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.executor import execute
from choregraphie.saga.envelope import Envelope, Event, wrap
from choregraphie.saga.registry import open_envelope
from choregraphie.saga.topology import exchange_of
from choregraphie.service.service import Handler, Schedule, Service
from choregraphie.service.verdict import DeadLetter, RetryAfter, Verdict
from choregraphie.settings import Settings
from choregraphie.storage.database import Database, open_database
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store, StoreLimits


class Raised(AssertionError):
    """A reaction raised an exception, and the test did not pass `tolerate`."""


@dataclass
class ServiceHarness:
    """A service with its database, a clock that only the test moves, and the events said so far."""

    service: Service
    settings: Settings
    database: Database
    externals: Any = None
    now: dt.datetime = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    envelopes: list[Envelope[Event]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.store = Store(self.service, self.database, StoreLimits.of(self.settings), lambda: self.now)
        self.decoder = Decoder(self.service)
        handlers: list[Handler | Schedule] = [*self.service.reactions, *self.service.timed]
        self._says = {cls.TYPE: cls for handler in handlers for cls in handler.says()}

    def hear(self, *heard: Event | Envelope[Any], tolerate: bool = False) -> list[Event]:
        """Deliver events together, as one group. Returns the events said in answer.

        Raises Raised when a reaction raises, unless `tolerate`.
        """
        return self.deliver(*(self.delivery(event) for event in heard), tolerate=tolerate)

    def deliver(self, *deliveries: Delivery, tolerate: bool = False) -> list[Event]:
        """The same for raw deliveries."""
        read = [(delivery, self.decoder.decode(delivery)) for delivery in deliveries]
        refused = [Result(delivery, verdict) for delivery, verdict in read if isinstance(verdict, DeadLetter)]
        invocations = self._make_calls(
            [invocation for _, invocation in read if isinstance(invocation, Invocation)]
        )
        results = refused + execute(self.store, invocations, self.settings.retry_delays, [])
        if not tolerate:
            _raise_failures(results)
        return self._keep(results)

    def tick(self, seconds: float = 0) -> list[Event]:
        """Advance the clock, then run the timed reactions. Returns the events they say."""
        self.now += dt.timedelta(seconds=seconds)
        return self._keep([result for schedule in self.service.timed for result in self.store.tick(schedule)])

    def delivery(self, heard: Event | Envelope[Any]) -> Delivery:
        """The delivery of an event; without an envelope, it gets a new id."""
        envelope = heard if isinstance(heard, Envelope) else self.enveloped(heard)
        number = next(self._numbers)
        return Delivery(number, envelope.to_bytes(), exchange_of(type(envelope.data)), envelope.type)

    def enveloped(self, event: Event, id: str | None = None) -> Envelope[Any]:
        speaker = event.SAID_BY
        source = "/clients/test" if speaker == "client" else f"/services/{speaker}"
        return wrap(event, id=id or f"test-{next(self._numbers)}", source=source, time=self.now)

    @property
    def said(self) -> list[str]:
        """The types of all events said so far."""
        return [envelope.type for envelope in self.envelopes]

    def inspect(self) -> dict[str, Any]:
        """The business state, as the command `inspect` shows it."""
        with self.database.begin() as connection:
            return self.service.inspect(connection)

    def _make_calls(self, invocations: list[Invocation]) -> list[Invocation]:
        views = self.store.begin([invocation for invocation in invocations if invocation.handler.call])
        pending = iter(views)
        return [
            self._call(invocation, next(pending)) if invocation.handler.call else invocation
            for invocation in invocations
        ]

    def _call(self, invocation: Invocation, view: Any) -> Invocation:
        if view is None or invocation.handler.call is None:
            return invocation
        try:
            return invocation._replace(
                answer=asyncio.run(invocation.handler.call(view.heard, view, self.externals))
            )
        except Exception as error:  # noqa: BLE001 - as the worker does: the delivery is retried
            return invocation._replace(failure=error)

    def _keep(self, results: list[Result]) -> list[Event]:
        self.verdicts += [result.verdict for result in results]
        new = [
            open_envelope(outbox_event.body, self._says)
            for result in results
            for outbox_event in result.outbox_events
        ]
        self.envelopes += new
        return [envelope.data for envelope in new]


def _raise_failures(results: list[Result]) -> None:
    for result in results:
        if isinstance(result.verdict, RetryAfter):
            raise Raised(result.verdict.detail)


@contextlib.contextmanager
def open_harness(service: Service, settings: Settings, externals: Any = None) -> Iterator[ServiceHarness]:
    """A harness on the database that `settings` names."""
    database = open_database(service, settings)
    try:
        yield ServiceHarness(service, settings, database, externals)
    finally:
        database.close()
