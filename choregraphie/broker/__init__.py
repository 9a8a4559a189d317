"""RabbitMQ through aio-pika: the only package that speaks AMQP."""

from choregraphie.broker.bindings import bindings_of
from choregraphie.broker.connection import connected
from choregraphie.broker.consumer import RabbitSession, open_session
from choregraphie.broker.dead_letter_queue import DeadLetterQueues, open_dead_letters
from choregraphie.broker.deploying import Deployed, deploy, steps
from choregraphie.broker.management import (
    Answer,
    QueueState,
    ask,
    import_definitions,
    management_rows,
    missing_bindings,
    queue_states,
)
from choregraphie.broker.publisher import Publisher, open_publisher
from choregraphie.broker.server import broker_version
from choregraphie.broker.stream import RabbitHistory, open_history
from choregraphie.broker.topology import apply_topology, count_allowed, count_queues, remove_topology
from choregraphie.broker.transport import unsupported as lean_lane_unsupported

__all__ = [
    "Answer",
    "DeadLetterQueues",
    "Deployed",
    "Publisher",
    "QueueState",
    "RabbitHistory",
    "RabbitSession",
    "apply_topology",
    "ask",
    "bindings_of",
    "broker_version",
    "connected",
    "count_allowed",
    "count_queues",
    "deploy",
    "import_definitions",
    "lean_lane_unsupported",
    "management_rows",
    "missing_bindings",
    "open_dead_letters",
    "open_history",
    "open_publisher",
    "open_session",
    "queue_states",
    "remove_topology",
    "steps",
]
