"""Publishes an event at once, with a confirm: for a script without a database of its own."""

from choregraphie.broker import open_publisher
from choregraphie.client.outbox import DEFAULT_SOURCE, decided
from choregraphie.errors import BrokerUnavailable, NobodyHears
from choregraphie.messaging import PublishOutcome
from choregraphie.saga.envelope import Event
from choregraphie.settings import Settings


async def publish(settings: Settings, event: Event, *, source: str = DEFAULT_SOURCE, id: str | None = None) -> str:
    """Publish `event` on the broker of `settings`, and return its id once the broker has confirmed it.

    `source` and `id` are those of `say`. Whoever has a database says the event in its own transaction instead:
    a program that is killed here does not know whether the event was published, and repeats it with the same id.

    Raises ValueError as `say` does, NobodyHears before any worker has declared the exchange, BrokerRefused, and
    BrokerUnavailable when the broker is away or does not confirm.
    """
    one = decided(event, source, id)
    async with open_publisher(settings, source.rpartition("/")[2]) as publisher:
        if not await publisher.has_exchange(one.exchange):
            raise NobodyHears(
                f"nobody would hear it: the broker has no exchange {one.exchange}; start the workers first"
            )
        (outcome,) = await publisher.publish([one.outgoing()])
    if outcome is not PublishOutcome.CONFIRMED:
        raise BrokerUnavailable(f"{one.type} of {one.key} was not confirmed: {outcome.value}")
    return one.event_id
