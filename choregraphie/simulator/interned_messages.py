"""The messages of an exhaustive search by number, so that its states are small."""

from dataclasses import dataclass

from choregraphie.messaging import ContentHeader, Delivery, HeaderValue, Outgoing, Properties
from choregraphie.saga.topology import inbox
from choregraphie.simulator.broker_model import Broker


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message in transit to one service, or among its dead letters.

    publisher            the service or client that published it first
    event_id             the id of its event
    set_aside_by_broker  the broker dead-lettered it, so no header gives a reason
    """

    service: str
    body: bytes
    exchange: str
    routing_key: str
    publisher: str
    headers: tuple[tuple[str, HeaderValue], ...] = ()
    event_id: str = ""
    set_aside_by_broker: bool = False

    def delivery(self) -> Delivery:
        properties = Properties(message_id=self.event_id, app_id=self.publisher)
        return Delivery(
            0, self.body, self.exchange, self.routing_key, ContentHeader(dict(self.headers), properties)
        )


class MessageNumbers:
    """A number for each different message."""

    def __init__(self) -> None:
        self._messages: list[PendingMessage] = []
        self._numbers: dict[PendingMessage, int] = {}

    def of(self, number: int) -> PendingMessage:
        return self._messages[number]

    def number(self, message: PendingMessage) -> int:
        if message not in self._numbers:
            self._numbers[message] = len(self._messages)
            self._messages.append(message)
        return self._numbers[message]

    def routed_copies(self, message: Outgoing, broker: Broker) -> list[int]:
        """The numbers of the copies of `message`, one for each inbox that is bound to its key."""
        reached = broker.route(message.exchange, message.routing_key)
        shown, key = message.properties, message.routing_key
        publisher, id_ = shown.app_id or "", shown.message_id or ""
        services = (queue.removesuffix(inbox("")) for queue in reached if queue.endswith(inbox("")))
        return [
            self.number(PendingMessage(service, message.body, message.exchange, key, publisher, (), id_))
            for service in services
        ]
