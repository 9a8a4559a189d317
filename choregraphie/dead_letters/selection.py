"""Which dead letters a command is about, and how they are read: those that are there when it begins."""

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass

from choregraphie.broker import DeadLetterQueues
from choregraphie.dead_letters.letter import Letter, read_letter
from choregraphie.messaging import Delivery
from choregraphie.saga.saga_set import SagaSet

# Letters that are in memory with their bytes at a time.
BATCH = 256

Found = tuple[Delivery, Letter]


@dataclass(frozen=True, slots=True)
class Selection:
    """The letters of these services with these ids, this reason, this fingerprint, set aside since then.

    Empty or None: any. A letter that is held is selected by its id alone, unless `held` is set.
    """

    services: tuple[str, ...]
    ids: frozenset[str] = frozenset()
    reason: str | None = None
    fingerprint: str | None = None
    since: dt.datetime | None = None
    held: bool = False

    def matches(self, letter: Letter) -> bool:
        """Whether `letter` is one of them. A letter without a time is not set aside since any."""
        if self.ids:
            return letter.id in self.ids
        return (
            self.reason in {None, letter.reason}
            and self.fingerprint in {None, letter.fingerprint}
            and (self.since is None or (letter.at is not None and letter.at >= self.since))
            and (self.held or not letter.held)
        )


async def letters_of(
    queues: DeadLetterQueues, service: str, sagas: SagaSet, batch: int = BATCH
) -> AsyncIterator[list[Found]]:
    """The letters that `service` has when this is called, in batches of at most `batch`.

    The queue is first in, first out, and a letter that comes meanwhile joins its end: counting tells them apart.
    Raises BrokerRefused or BrokerUnavailable.
    """
    left = await queues.count(service)
    while left > 0:
        found = await queues.take(service, min(batch, left))
        if not found:
            return  # another operator has taken some of them
        left -= len(found)
        yield [(delivery, read_letter(delivery, service, sagas)) for delivery in found]
