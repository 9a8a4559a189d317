"""Predicts what the replay of a dead letter does, from the databases of its service and of the decider."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from choregraphie.application import Application
from choregraphie.dead_letters.effect import Effect, Prediction
from choregraphie.dead_letters.outgoing import as_delivered
from choregraphie.errors import DatabaseRefused
from choregraphie.messaging import Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.saga.choreography import Choreography
from choregraphie.saga.envelope import Instance
from choregraphie.service.action import Entry, State
from choregraphie.service.service import Service
from choregraphie.service.verdict import DeadLetter
from choregraphie.settings import Settings
from choregraphie.storage.cancelled import open_cancelled
from choregraphie.storage.database import open_for_reading
from choregraphie.storage.inbox import handled_hash, known
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.journal import Journal

if TYPE_CHECKING:
    from choregraphie.signing.signature import Verifier


class Predictor:
    """Predicts for the letters of one service. It only reads, beside running workers."""

    def __init__(
        self, application: Application, service: str, settings: Settings, verifier: "Verifier | None" = None
    ) -> None:
        self._application = application
        self._settings = settings
        self._verifier = verifier
        self._name = service
        self._service: Service | None = application.own.get(service)
        # Of the letters that are predicted together: those that the decider has cancelled, by saga.
        self._instances: frozenset[Instance] = frozenset()
        self._cancelled: dict[str, frozenset[Instance] | None] = {}

    def predict(self, deliveries: Sequence[Delivery]) -> list[Prediction]:
        """The prediction of each dead letter, in the order of `deliveries`."""
        if self._service is None:
            foreign = Prediction(Effect.UNKNOWN, f"{self._name} is run by others: its database is not known here")
            return [foreign] * len(deliveries)
        decoder = Decoder(self._service, self._verifier)
        read = [decoder.decode(as_delivered(delivery, self._name)) for delivery in deliveries]
        try:
            with open_for_reading(self._service, self._settings) as connection:
                return self._from_database(connection, read)
        except DatabaseRefused as refused:
            return [_unread(one, str(refused)) for one in read]

    def _from_database(self, connection: Connection, read: Sequence[Invocation | DeadLetter]) -> list[Prediction]:
        invocations = [one for one in read if isinstance(one, Invocation)]
        self._instances, self._cancelled = frozenset(one.instance for one in invocations), {}
        handled = known(connection, (one.identity for one in invocations))
        journal = Journal(connection, locked=False)
        journal.load(one.instance for one in invocations)
        found = []
        for one in read:
            if isinstance(one, DeadLetter):
                found.append(_again(one))
                continue
            entry = journal.entry(one.instance, one.handler.action)
            found.append(self._of(one, handled_hash(handled, one.identity, one.body_hash), entry))
        return found

    def _of(self, one: Invocation, handled: bytes | None, entry: Entry | None) -> Prediction:
        if handled is not None and handled != one.body_hash:
            why = "another message with its id and source was handled before"
            return Prediction(Effect.SET_ASIDE_AGAIN, f"id_collision: {why}")
        if entry is not None and entry.state is not State.BEGUN:
            return _journaled(entry)
        if handled is not None:
            return Prediction(Effect.DONE, "handled before: the replay has no effect")
        return self._to_be_done(one)

    def _to_be_done(self, one: Invocation) -> Prediction:
        saga = self._application.saga_set.of_type(one.event.TYPE)
        reaction = saga.reaction(self._name, one.event.TYPE) if saga else None
        if saga is None or reaction is None or reaction not in saga.forward:
            return Prediction(Effect.RUNS, f"{one.handler.action} runs")
        cancelled = self._cancelled_of(saga)
        if cancelled is None:
            why = f"whether {saga.decider} has cancelled it is not known here"
            return Prediction(Effect.RUNS, f"{one.handler.action} runs; {why}")
        if one.instance in cancelled:
            return Prediction(
                Effect.ENDED, f"{saga.decider} has cancelled it; {one.handler.action} would run late"
            )
        return Prediction(Effect.RUNS, f"{one.handler.action} runs")

    def _cancelled_of(self, saga: Choreography) -> frozenset[Instance] | None:
        """Which of the instances the decider of `saga` has cancelled, read once; None when that cannot be read."""
        if saga.name not in self._cancelled:
            self._cancelled[saga.name] = None
            decider = self._application.own.get(saga.decider)
            if decider is not None:
                with contextlib.suppress(DatabaseRefused), open_cancelled(decider, self._settings) as cancelled:
                    self._cancelled[saga.name] = self._instances.intersection(cancelled)
        return self._cancelled[saga.name]


def _again(refused: DeadLetter) -> Prediction:
    return Prediction(Effect.SET_ASIDE_AGAIN, f"{refused.reason.value}: {refused.detail}")


def _unread(one: Invocation | DeadLetter, why: str) -> Prediction:
    return _again(one) if isinstance(one, DeadLetter) else Prediction(Effect.UNKNOWN, why)


def _journaled(entry: Entry) -> Prediction:
    if entry.state is State.TOMBSTONE and entry.undone_by is None:
        return Prediction(Effect.TOMBSTONED, f"{entry.action} was given up, and its refusal was said")
    if entry.state is State.TOMBSTONE:
        return Prediction(Effect.TOMBSTONED, f"{entry.action} was cancelled before it was done")
    if entry.state is State.UNDONE:
        return Prediction(Effect.ENDED, f"{entry.action} was done and undone")
    done = "has refused" if entry.state is State.REFUSED else "is done"
    return Prediction(Effect.DONE, f"{entry.action} {done}: the replay has no effect")
