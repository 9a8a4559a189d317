"""RabbitMQ through aio-pika: the only package that speaks AMQP."""

from services.runtime.broker.bindings import bindings_of
from services.runtime.broker.door import RabbitDoor, open_door
from services.runtime.broker.history import RabbitHistory, open_history
from services.runtime.broker.management import missing_bindings
from services.runtime.broker.publishing import Publisher, open_publisher
from services.runtime.broker.removal import remove_topology
from services.runtime.broker.session import apply, connected, count

__all__ = [
    "Publisher",
    "RabbitDoor",
    "RabbitHistory",
    "apply",
    "bindings_of",
    "connected",
    "count",
    "missing_bindings",
    "open_door",
    "open_history",
    "open_publisher",
    "remove_topology",
]
