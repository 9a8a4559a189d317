"""The names of spans, attributes and metrics: OpenTelemetry's semantic conventions 1.45 for messaging on RabbitMQ.

The package that holds these names comes with the SDK, and spans are made with the API alone.
"""

from collections.abc import Iterable

SYSTEM, RABBITMQ = "messaging.system", "rabbitmq"
OPERATION_NAME, OPERATION_TYPE = "messaging.operation.name", "messaging.operation.type"
DESTINATION = "messaging.destination.name"
ROUTING_KEY = "rabbitmq.destination.routing_key"
DELIVERY_TAG = "rabbitmq.message.delivery_tag"
MESSAGE_ID, CONVERSATION_ID = "messaging.message.id", "messaging.message.conversation_id"
BATCH_COUNT = "messaging.batch.message_count"
ERROR_TYPE = "error.type"
SERVER_ADDRESS, SERVER_PORT = "server.address", "server.port"

SENT_MESSAGES = "messaging.client.sent.messages"
CONSUMED_MESSAGES = "messaging.client.consumed.messages"
OPERATION_SECONDS = "messaging.client.operation.duration"
PROCESS_SECONDS = "messaging.process.duration"
# The bounds that the conventions recommend for both durations.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

# Attributes of our own, for which there is no convention.
SAGA, ACTION, ATTEMPT, VERDICT = "saga.name", "saga.action", "saga.attempt", "saga.verdict"


def published_to(exchange: str, routing_key: str) -> str:
    """The destination of a message for its producer."""
    return f"{exchange}:{routing_key}"


def consumed_from(exchange: str, routing_key: str, queue: str) -> str:
    """The destination of a message for its consumer."""
    return f"{exchange}:{routing_key}:{queue}"


def common(destinations: Iterable[str], otherwise: str) -> str:
    """The one destination of all messages of a group; `otherwise` when they have several."""
    several = {*destinations}
    return several.pop() if len(several) == 1 else otherwise
