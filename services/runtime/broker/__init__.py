"""RabbitMQ through aio-pika: the only package that speaks AMQP."""

from services.runtime.broker.door import RabbitDoor, open_door
from services.runtime.broker.history import RabbitHistory, open_history
from services.runtime.broker.publishing import Publisher, open_publisher
from services.runtime.broker.removal import remove_topology
from services.runtime.broker.session import apply, connected, count

__all__ = [
    "Publisher",
    "RabbitDoor",
    "RabbitHistory",
    "apply",
    "connected",
    "count",
    "open_door",
    "open_history",
    "open_publisher",
    "remove_topology",
]
