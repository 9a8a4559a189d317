"""The guards of the system, each removed by a patch. A test suite that does not notice the removal proves nothing.

The services know nothing of it. A test patches and restores. `python -m scripts.nemesis.mutants NAME run stock`
patches for good and then runs the worker, like `python -m services run stock`.
"""

from __future__ import annotations

import sys
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from choregraphie import DatabaseUnavailable
from choregraphie.errors import Reason
from choregraphie.pipeline import pipeline, republish
from choregraphie.pipeline.commit import CommitStage
from choregraphie.pipeline.executor import execute_and_begin
from choregraphie.saga.envelope import Instance
from choregraphie.service.transaction import ReadView
from choregraphie.service.verdict import DeadLetter
from choregraphie.storage import inbox, outbox
from choregraphie.storage.batch import Batch
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.journal import Journal
from scripts.nemesis.machine_mutants import ORCHESTRATOR_MUTANTS
from services.commande.store import Commande

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Patch = Callable[[Any, str, Any], None]


def inbox_off(patch: Patch) -> None:
    """The inbox forgets every handled event."""
    patch(inbox, "known", lambda connection, event_ids: {})
    patch(inbox, "record", lambda connection, receipts, now: None)


def ack_before_commit(patch: Patch) -> None:
    """A delivery is acknowledged as soon as it is received."""
    original_init = pipeline.Pipeline.__init__

    def acknowledging_init(self: Any, context: Any, session: Any, stopping: Any) -> None:
        original_init(self, context, _EagerAcknowledger(session), stopping)

    patch(pipeline.Pipeline, "__init__", acknowledging_init)


class _EagerAcknowledger:
    """A session that acknowledges what it delivers."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def deliveries(self, most: int) -> Any:
        taken = await self._session.deliveries(most)
        await self._session.ack([delivery.tag for delivery in taken])
        return taken

    async def ack(self, tags: Sequence[int]) -> None: ...


def cleared_before_confirm(patch: Patch) -> None:
    """An event is marked as published as soon as it is decided."""
    decide = outbox.decide

    def mark_at_once(connection: Any, outbox_events: Sequence[Any]) -> None:
        decide(connection, outbox_events)
        for outbox_event in outbox_events:
            outbox.mark_published(connection, [outbox_event.event_id], outbox_event.decided_at)

    patch(outbox, "decide", mark_at_once)


def tombstone_off(patch: Patch) -> None:
    """An undoing that comes before its cause leaves no tombstone."""
    undo = Journal.undo

    def without_tombstone(self: Any, instance: Instance, action: str, by: str, now: Any) -> Any:
        return undo(self, instance, action, by, now) if self.entry(instance, action) else None

    patch(Journal, "undo", without_tombstone)


def compare_and_set_off(patch: Patch) -> None:
    """An order goes from any state to any other."""

    def passer(self: Any, de: tuple[str, ...], a: str) -> bool:
        self.etat = a
        return True

    patch(Commande, "passer", passer)


def death_headers_kept(patch: Patch) -> None:
    """A message that is published again keeps every header of its delivery."""
    clean = republish._headers

    def with_all_headers(delivery: Any, *more: Any) -> Any:
        return {**delivery.headers, **clean(delivery, *more)}

    patch(republish, "_headers", with_all_headers)


def silent_undoing(patch: Patch) -> None:
    """A cancellation is answered only by the services that had something to undo."""
    publish = Batch._add_to_outbox
    id_field = {"stock.libere": "reservation_id", "paiement.rembourse": "transaction_id"}

    def only_with_effect(self: Any, events: list[Any], *more: Any, **named: Any) -> Any:
        kept_events = [e for e in events if e.TYPE not in id_field or getattr(e, id_field[e.TYPE]) is not None]
        return publish(self, kept_events, *more, **named)

    patch(Batch, "_add_to_outbox", only_with_effect)


def messages_blamed(patch: Patch) -> None:
    """A database that does not answer is taken for a fault of the messages."""

    async def blaming_messages(self: Any, invocations: list[Invocation], calling: Any, said: list[str]) -> Any:
        delays = self._context.settings.retry_delays
        do = partial(execute_and_begin, self._store, invocations, calling, delays, said)
        try:
            return await self._context.on_thread(do)
        except DatabaseUnavailable as error:
            blamed = [*invocations, *calling]
            return [Result(w.delivery, DeadLetter(Reason.EXHAUSTED, str(error)), invocation=w) for w in blamed], []

    patch(CommitStage, "_execute", blaming_messages)


def keys_made_anew(patch: Patch) -> None:
    """Each try of an external call has another idempotency key."""
    key = ReadView.idempotency_key

    def fresh_key(self: Any, action: Any = None) -> str:
        service, name, order = key(self, action).split(":", 2)
        return f"{service}:{name}-{uuid.uuid4().hex}:{order}"

    patch(ReadView, "idempotency_key", fresh_key)


MUTANTS: dict[str, Callable[[Patch], None]] = {
    mutant.__name__: mutant
    for mutant in (
        inbox_off,
        ack_before_commit,
        cleared_before_confirm,
        tombstone_off,
        compare_and_set_off,
        death_headers_kept,
        silent_undoing,
        messages_blamed,
        keys_made_anew,
    )
}

# Those of every service, and those of the orchestrator alone.
ALL_MUTANTS = MUTANTS | ORCHESTRATOR_MUTANTS

if __name__ == "__main__":
    from services.__main__ import main

    name, *arguments = sys.argv[1:]
    ALL_MUTANTS[name](setattr)
    sys.exit(main(arguments))
