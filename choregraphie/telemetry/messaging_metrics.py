"""The metrics that the conventions ask of a messaging client, by OpenTelemetry's API."""

from typing import Any

from opentelemetry.metrics import Meter

from choregraphie.telemetry import conventions as names


class MessagingMetrics:
    """The instruments of one service. `attributes`: those of the span that the figure belongs to."""

    def __init__(self, meter: Meter) -> None:
        self._sent = meter.create_counter(
            names.SENT_MESSAGES, "{message}", "Number of messages producer attempted to send to the broker."
        )
        self._consumed = meter.create_counter(
            names.CONSUMED_MESSAGES, "{message}", "Number of messages that were delivered to the application."
        )
        self._operation, self._process = (
            meter.create_histogram(name, "s", about, explicit_bucket_boundaries_advisory=names.SECONDS)
            for name, about in (
                (names.OPERATION_SECONDS, "Duration of messaging operation initiated by a producer or consumer."),
                (names.PROCESS_SECONDS, "Duration of processing operation."),
            )
        )

    def consumed(self, attributes: dict[str, Any]) -> None:
        """A delivery was handed to its reaction, or could not be."""
        self._consumed.add(1, _of_series(attributes))

    def processed(self, seconds: float, attributes: dict[str, Any], error: str | None) -> None:
        self._process.record(seconds, _of_series(attributes, error))

    def sent(self, messages: int, attributes: dict[str, Any], error: str | None) -> None:
        self._sent.add(messages, _of_series(attributes, error))

    def operated(self, seconds: float, attributes: dict[str, Any], error: str | None) -> None:
        self._operation.record(seconds, _of_series(attributes, error))


# What distinguishes few series; ids and keys are for spans.
_SERIES = (
    names.SYSTEM,
    names.OPERATION_NAME,
    names.OPERATION_TYPE,
    names.DESTINATION,
    names.SERVER_ADDRESS,
    names.SERVER_PORT,
)


def _of_series(attributes: dict[str, Any], error: str | None = None) -> dict[str, Any]:
    kept = {name: attributes[name] for name in _SERIES if name in attributes}
    return kept if error is None else kept | {names.ERROR_TYPE: error}
