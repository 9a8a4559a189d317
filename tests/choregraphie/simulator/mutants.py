"""Mutants of the engine and the services: one guard removed in each. The simulation must detect every one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.sqlite import insert

from choregraphie.errors import BrokerUnavailable
from choregraphie.messaging import PublishOutcome
from choregraphie.pipeline import outbox_publisher, pipeline, republish
from choregraphie.saga.envelope import Instance
from choregraphie.service.action import Entry
from choregraphie.storage import inbox
from choregraphie.storage.journal import Journal
from services.commande.store import Commande
from services.stock import reactions as stock
from services.stock.store import Reservation

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from choregraphie.messaging import Delivery


def inbox_off(patch: pytest.MonkeyPatch) -> None:
    """The inbox forgets every event."""

    def record(connection: Any, receipts: Any, now: Any) -> None:
        rows = [
            {
                "event_id": r.event_id,
                "source": r.source,
                "body_hash": r.body_hash,
                "type": r.type,
                "saga": r.saga,
                "key": r.key,
                "dealt_with_at": now,
            }
            for r in receipts
        ]
        if rows:
            connection.execute(insert(inbox.INBOX).on_conflict_do_nothing(), rows)

    patch.setattr(inbox, "known", lambda connection, event_ids: {})
    patch.setattr(inbox, "record", record)


def ack_before_commit(patch: pytest.MonkeyPatch) -> None:
    """A delivery is acknowledged on arrival."""

    class Hasty(pipeline.Pipeline):
        async def _intake(self) -> None:
            session = self._session
            deliveries = session.deliveries

            async def at_once(most: int) -> list[Delivery]:
                batch = await deliveries(most)
                await session.ack([delivery.tag for delivery in batch])
                return batch

            async def nothing(tags: Any) -> None:
                """Do nothing: already acknowledged."""

            self._session = _Changed(session, deliveries=at_once, ack=nothing)
            await super()._intake()

    patch.setattr("choregraphie.pipeline.supervisor.Pipeline", Hasty)


class _Changed:
    """A session with some methods replaced."""

    def __init__(self, session: Any, **replaced: Any) -> None:
        self._session = session
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._session, name)


def said_before_confirmed(patch: pytest.MonkeyPatch) -> None:
    """An event counts as published once it is handed to the network."""

    async def publish(self: Any, messages: Any) -> None:
        outcomes = await self._session.publish(messages)
        own = f"{self._context.service}.events"
        self._confirmed += [m.properties.message_id for m in messages if m.exchange == own]
        if any(outcome is PublishOutcome.RETURNED for outcome in outcomes):
            raise BrokerUnavailable("returned")

    patch.setattr(outbox_publisher.OutboxPublisher, "_publish", publish)


def no_tombstone(patch: pytest.MonkeyPatch) -> None:
    """An undoing that overtakes its cause leaves no tombstone."""
    undo = Journal.undo

    def forgetful(self: Journal, instance: Instance, action: str, by: str, now: Any) -> Entry | None:
        return undo(self, instance, action, by, now) if self.entry(instance, action) else None

    patch.setattr(Journal, "undo", forgetful)


def no_compare_and_set(patch: pytest.MonkeyPatch) -> None:
    """An order changes its state whatever it was."""

    def passer(self: Commande, de: Any, a: str) -> bool:
        self.etat = a
        return True

    patch.setattr(Commande, "passer", passer)


def death_headers_kept(patch: pytest.MonkeyPatch) -> None:
    """A redriven or retried message keeps all its headers."""
    headers = republish._headers

    def everything(delivery: Delivery, *more: Any) -> dict[str, Any]:
        return {**delivery.headers, **headers(delivery, *more)}

    patch.setattr(republish, "_headers", everything)


def silent_when_nothing_to_undo(patch: pytest.MonkeyPatch) -> None:
    """A compensation answers only when there was something to undo."""

    def quiet(react: Callable[..., Any], had: Callable[[Any, Any], bool]) -> Callable[..., Any]:
        @functools.wraps(react)
        def react_or_not(heard: Any, tx: Any, *more: Any) -> Any:
            said = list(react(heard, tx, *more))
            return said if had(heard, tx) else []

        return react_or_not

    handler = next(handler for handler in stock.REACTIONS if handler.do is stock.liberer)
    had = lambda heard, tx: tx.find(Reservation, heard.commande_id) is not None  # noqa: E731
    patch.setitem(handler.__dict__, "do", quiet(handler.do, had))
    # The engine rejects an undoing without an answer; this guard is removed as well.
    patch.setattr("choregraphie.storage.batch._check_undoing", lambda handler, tx, said: None)


MUTANTS = {
    patch.__name__: patch
    for patch in (
        inbox_off,
        ack_before_commit,
        said_before_confirmed,
        no_tombstone,
        no_compare_and_set,
        death_headers_kept,
        silent_when_nothing_to_undo,
    )
}
