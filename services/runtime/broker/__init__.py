"""RabbitMQ through aio-pika: the only package that speaks AMQP."""

from services.runtime.broker.door import RabbitDoor, open_door
from services.runtime.broker.history import RabbitHistory, open_history
from services.runtime.broker.session import connected, count

__all__ = ["RabbitDoor", "RabbitHistory", "connected", "count", "open_door", "open_history"]
