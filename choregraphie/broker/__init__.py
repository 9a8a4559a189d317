"""RabbitMQ through aio-pika: the only package that speaks AMQP."""

from choregraphie.broker.bindings import bindings_of
from choregraphie.broker.connection import apply, connected, count
from choregraphie.broker.consumer import RabbitDoor, open_door
from choregraphie.broker.management import missing_bindings
from choregraphie.broker.publisher import Publisher, open_publisher
from choregraphie.broker.removal import remove_topology
from choregraphie.broker.stream import RabbitHistory, open_history

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
