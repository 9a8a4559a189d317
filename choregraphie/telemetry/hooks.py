"""The hooks that the pipeline calls for metrics and for traces.

The pipeline reads no clock for them, so an unobserved worker pays nothing and a simulated run stays reproducible.
"""

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from choregraphie.messaging import Outgoing, PublishOutcome
from choregraphie.storage.invocation import Invocation, Result, Traced, traced_as_heard

_NOTHING = contextlib.nullcontext()


class Telemetry:
    """The hooks; each does nothing."""

    def session(self) -> AbstractContextManager[None]:
        """Wraps a session with the broker."""
        return _NOTHING

    def consuming(self) -> None:
        """The session receives."""

    def commit(self, invocations: int) -> AbstractContextManager[None]:
        """Wraps the transaction of a batch of that many deliveries."""
        return _NOTHING

    def call(self, type_: str) -> AbstractContextManager[None]:
        """Wraps an external call for an event of that type; an exception is a failure."""
        return _NOTHING

    def held(self, outside: str, is_open: bool) -> None:
        """The breaker of that outside system is open now, or it is not."""

    def publish(self) -> AbstractContextManager[None]:
        """Wraps publishing, until the last confirm."""
        return _NOTHING

    def decided(self, results: Sequence[Result]) -> None:
        """These results are committed, with their events in the outbox."""

    def relayed(self, events: int) -> None:
        """So many unpublished events of earlier sessions or other workers were found in the outbox."""

    def published(self, events: int) -> None:
        """So many events were confirmed."""

    def database_unavailable(self) -> None:
        """The database did not answer."""

    def blocked(self, stage: str) -> None:
        """That stage waits for a resource of the worker."""

    def unblocked(self, stage: str) -> None:
        """That stage continues."""


SILENT = Telemetry()

Sent = Callable[[Sequence[PublishOutcome]], None]
_UNNOTED: AbstractContextManager[Sent] = contextlib.nullcontext(lambda outcomes: None)


class Tracing:
    """The hooks for the spans of a trace; each does nothing. `traced` is for the store."""

    traced: Traced = staticmethod(traced_as_heard)

    def begin(self, invocations: list[Invocation]) -> list[Invocation]:
        """The pipeline begins to handle `invocations`; returns them, each with its span."""
        return invocations

    def call(self, invocation: Invocation) -> AbstractContextManager[None]:
        """Wraps one try of an external call; an exception is a failure."""
        return _NOTHING

    def decided(self, results: Sequence[Result]) -> None:
        """These results are committed, with their events in the outbox."""

    def send(self, messages: Sequence[Outgoing]) -> AbstractContextManager[Sent]:
        """Wraps publishing `messages`; what it gives takes their outcomes."""
        return _UNNOTED

    def settle(self, results: Sequence[Result]) -> AbstractContextManager[None]:
        """Wraps the acknowledgement of the deliveries of `results`."""
        return _NOTHING


UNTRACED = Tracing()
