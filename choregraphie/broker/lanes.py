"""The two lanes, ways in which messages are published and received on a connection, and their protocols.

Two implementations pass the same tests. The lean lane reads and writes the frames of messages itself; the public
one uses the calls of the client. SAGA_LANE chooses; `auto` is lean where the installed client is a known one.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from aio_pika.abc import AbstractConnection

from choregraphie.broker.connection import LeanConnection, PublicConnection, in_time
from choregraphie.broker.lean.consuming import LeanConsuming
from choregraphie.broker.lean.frames import short_text
from choregraphie.broker.lean.publishing import LeanPublishing
from choregraphie.broker.public_lane import PublicConsuming, PublicPublishing
from choregraphie.messaging import Delivery, Outgoing, PublishOutcome

if TYPE_CHECKING:
    from choregraphie.signing.signature import Signer

# Bounds what is sent again when the connection is lost. The client goes through all open confirms when one comes
# with `multiple`; a few hundred are cheap.
PUBLISH_WINDOW = 256


class Publishing(Protocol):
    """A channel with publisher confirms."""

    async def publish(self, window: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Publish messages with different ids. Return the outcomes in their order; no broker error is raised."""


class Consuming(Protocol):
    """A channel that consumes. `channel` is the client's, for everything else."""

    channel: Any

    async def consume(
        self,
        queue: str,
        on_deliveries: Callable[[list[Delivery]], None],
        arguments: dict[str, Any] | None = None,
    ) -> str:
        """Start to receive from `queue`; returns the consumer tag. Raises what the client raises."""

    async def ack(self, tag: int, *, multiple: bool) -> None:
        """Acknowledge one delivery, or all up to it. On a lost channel it may raise one of LOST_ERRORS."""

    async def requeue(self, tag: int) -> None:
        """Return one delivery to its queue. On a lost channel it may raise one of LOST_ERRORS."""


async def open_publishing(connection: AbstractConnection) -> tuple[Publishing, Any]:
    """Open a channel with publisher confirms; returns it, and the client's channel below it."""
    raw: Any = await in_time(_client_channel(connection, publisher_confirms=True, on_return_raises=True))
    if isinstance(connection, LeanConnection):
        return LeanPublishing(raw, connection.lane_transport), raw
    return PublicPublishing(raw), raw


async def open_consuming(connection: AbstractConnection, prefetch: int) -> Consuming:
    """Open a channel that receives at most `prefetch` deliveries ahead of their acknowledgement."""
    raw: Any = await in_time(_client_channel(connection, publisher_confirms=False))
    await in_time(raw.basic_qos(prefetch_count=prefetch))
    if isinstance(connection, LeanConnection):
        return LeanConsuming(raw, connection.lane_transport)
    return PublicConsuming(raw)


async def _client_channel(connection: AbstractConnection, **options: bool) -> Any:
    """Open a channel of the client. Raises what the client raises."""
    if isinstance(connection, PublicConnection):
        return await connection.lane_channel(**options)
    channel = await connection.channel(**options)
    return await channel.get_underlay_channel()


async def publish(
    publishing: Publishing, batch: Sequence[Outgoing], signer: "Signer | None" = None
) -> list[PublishOutcome]:
    """Publish `batch` in windows, its events signed. Return the outcomes in its order."""
    outcomes: list[PublishOutcome] = []
    if signer is not None:
        batch = [signer.sign_own(message) for message in batch]
    for window in _windows(batch) if batch else ():
        outcomes += await publishing.publish(window)
    return outcomes


def _windows(batch: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Split `batch` into windows of a bounded size with no message id twice: a returned message is known by it."""
    windows: list[list[Outgoing]] = [[]]
    ids: set[str] = set()
    for message in batch:
        shown = short_text(message.properties.message_id or "")
        if shown in ids or len(windows[-1]) == PUBLISH_WINDOW:
            windows.append([])
            ids = set()
        windows[-1].append(message)
        ids.add(shown)
    return windows
