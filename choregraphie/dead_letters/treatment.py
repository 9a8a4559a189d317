"""Carries out what an operator decides about dead letters: replay, hold, discard, edit.

Always in this sequence: publish what replaces the letter, publish the record of the act, wait for both confirms,
and only then remove the letter. A crash between them leaves the letter where it is, and what was published is a
duplicate, which has no effect.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from choregraphie.broker import DeadLetterQueues, Publisher
from choregraphie.dead_letters.audit import Act, Operator, bytes_kept, record
from choregraphie.dead_letters.effect import Prediction
from choregraphie.dead_letters.letter import Letter, letter_id
from choregraphie.dead_letters.outgoing import edited, held, sent_back, signed
from choregraphie.dead_letters.prediction import Predictor
from choregraphie.dead_letters.selection import BATCH, Found, Selection, letters_of
from choregraphie.errors import BrokerUnavailable
from choregraphie.failpoints import Place, passing
from choregraphie.messaging import Outgoing, PublishOutcome
from choregraphie.saga.saga_set import SagaSet

if TYPE_CHECKING:
    from choregraphie.signing.signature import Signer


@dataclass(frozen=True, slots=True)
class Replayed:
    """A selected letter, what was predicted, and whether it was sent back."""

    letter: Letter
    prediction: Prediction
    sent: bool


@dataclass(frozen=True)
class Treatment:
    """What one command of one operator does. `because`: the reason that the operator gives.

    `signer`: signs what the operator has edited.
    """

    queues: DeadLetterQueues
    publisher: Publisher
    sagas: SagaSet
    operator: Operator
    because: str = ""
    signer: "Signer | None" = None
    now: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))

    async def replay(
        self,
        selection: Selection,
        predictor_of: Callable[[str], Predictor],
        *,
        force: bool = False,
        rate: float | None = None,
    ) -> AsyncIterator[list[Replayed]]:
        """Send the selected letters back that will run, or with `force` all of them; yields them in batches.

        `rate`: letters per second at most. Raises BrokerRefused, or BrokerUnavailable when one is not taken.
        """
        size = BATCH if rate is None else max(1, min(BATCH, int(rate)))
        for service in selection.services:
            predictor = predictor_of(service)
            async for batch in letters_of(self.queues, service, self.sagas, size):
                done = await self._replay([one for one in batch if selection.matches(one[1])], predictor, force)
                yield done
                sent = sum(1 for one in done if one.sent)
                await asyncio.sleep(sent / rate if rate else 0)

    async def _replay(self, selected: Sequence[Found], predictor: Predictor, force: bool) -> list[Replayed]:
        predictions = predictor.predict([delivery for delivery, _ in selected])
        at = self.now()
        done = [
            Replayed(letter, prediction, sent=force or not prediction.is_refused)
            for (_, letter), prediction in zip(selected, predictions, strict=True)
        ]
        going = [(found, one) for found, one in zip(selected, done, strict=True) if one.sent]
        await self._carry_out(
            [found for found, _ in going],
            [sent_back(delivery, letter.service, by=self.operator.name, at=at) for (delivery, letter), _ in going],
            [
                self._record(Act.REPLAYED, letter, at, predicted=one.prediction.effect, why=one.prediction.why)
                for (_, letter), one in going
            ],
        )
        return done

    async def hold(self, found: Sequence[Found]) -> None:
        """Mark these letters as held: only a command that names their ids acts on them."""
        at = self.now()
        note = signed(self.operator.name, at, self.because)
        messages = [held(delivery, letter, note) for delivery, letter in found]
        records = [
            self._record(Act.HELD, letter, at, **bytes_kept(delivery.body, delivery.headers))
            for delivery, letter in found
        ]
        await self._carry_out(found, messages, records)

    async def discard(self, found: Sequence[Found]) -> None:
        """Remove these letters; the audit keeps their bytes, of a larger one the first MOST_BYTES_KEPT."""
        at = self.now()
        records = [
            self._record(Act.DISCARDED, letter, at, **bytes_kept(delivery.body, delivery.headers))
            for delivery, letter in found
        ]
        await self._carry_out(found, [], records)

    async def replace(self, found: Found, body: bytes) -> str:
        """Put the letter with that body in its place; the original bytes stay in the audit. Returns the new id."""
        at = self.now()
        delivery, letter = found
        new = edited(delivery, letter, body, signed(self.operator.name, at, self.because), self.signer)
        content_type = delivery.properties.content_type
        new_id = letter_id(letter.service, new.routing_key, new.headers, content_type, body)
        kept = bytes_kept(delivery.body, delivery.headers)
        await self._carry_out([found], [new], [self._record(Act.EDITED, letter, at, replaced_by=new_id, **kept)])
        return new_id

    def _record(self, act: Act, letter: Letter, at: dt.datetime, **more: Any) -> Outgoing:
        return record(act, letter, self.operator, at, because=self.because, **more)

    async def _carry_out(
        self, found: Sequence[Found], messages: Sequence[Outgoing], records: Sequence[Outgoing]
    ) -> None:
        await publish_all(self.publisher, messages)
        await publish_all(self.publisher, records)
        if found:
            passing(Place.AFTER_LETTER_CONFIRM)
        await self.queues.remove([delivery.tag for delivery, _ in found])


async def publish_all(
    publisher: Publisher, messages: Sequence[Outgoing], *, otherwise: str = "the letter stays"
) -> None:
    """Publish and wait for the confirms.

    Raises BrokerUnavailable when one is missing; its text says with `otherwise` what holds then.
    """
    outcomes = await publisher.publish(messages)
    for message, outcome in zip(messages, outcomes, strict=True):
        if outcome is not PublishOutcome.CONFIRMED:
            remedy = (
                "; start a worker, which declares what is missing" if outcome is PublishOutcome.RETURNED else ""
            )
            raise BrokerUnavailable(
                f"{message.exchange} did not take a message ({outcome.value}); {otherwise}{remedy}"
            )
