"""RabbitMQ through aio-pika: the only package that speaks AMQP."""

from choregraphie.broker.bindings import bindings_of
from choregraphie.broker.connection import connected
from choregraphie.broker.consumer import RabbitSession, open_session
from choregraphie.broker.management import QueueState, missing_bindings, queue_states
from choregraphie.broker.publisher import Publisher, open_publisher
from choregraphie.broker.stream import RabbitHistory, open_history
from choregraphie.broker.topology import apply_topology, count_queues, remove_topology

__all__ = [
    "Publisher",
    "QueueState",
    "RabbitHistory",
    "RabbitSession",
    "apply_topology",
    "bindings_of",
    "connected",
    "count_queues",
    "missing_bindings",
    "open_history",
    "open_publisher",
    "open_session",
    "queue_states",
    "remove_topology",
]
