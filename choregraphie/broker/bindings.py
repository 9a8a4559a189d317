"""Watches the bindings that a running worker depends on: restores them, or reports what is missing.

An event whose binding is gone is still confirmed, because the history receives it, so no publisher can notice.
AMQP 0-9-1 cannot query bindings, but binding again changes nothing when the binding exists. When
SAGA_MANAGEMENT_URL is set, the management API says which bindings were missing, and for how long at most.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aio_pika.abc import AbstractConnection

from choregraphie.broker.connection import in_time
from choregraphie.broker.management import missing_bindings
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.saga.topology import (
    HISTORY,
    OPERATORS,
    Binding,
    Topology,
    dlq,
    dlx,
    events,
    inbox,
    requeue,
    retry,
)
from choregraphie.settings import Settings

log = structlog.get_logger()

WATCH_SECONDS = 5.0


def bindings_of(service: str, wanted: Topology) -> tuple[Binding, ...]:
    """The bindings that `service` depends on: its inbox, what it publishes, its retries and its dead letters.

    The bindings from the clients and the operators are among them, because no worker belongs to those.
    """
    exchanges = {*wanted.published_by(service), *(name(service) for name in (retry, requeue, dlx))}
    queues = {inbox(service), dlq(service)}
    return tuple(
        binding
        for binding in wanted.bindings
        if binding.exchange in exchanges
        or binding.queue in queues
        or (binding.exchange == events("client") and binding.queue == HISTORY)
        or binding.exchange == OPERATORS
    )


@dataclass
class BindingWatch:
    """Watches the bindings of `service` on one connection."""

    connection: AbstractConnection
    settings: Settings
    service: str
    wanted: Topology
    _complete_at: dt.datetime | None = None
    _logged: dict[str, object] = field(default_factory=dict)

    async def look_before_applying(self) -> None:
        """Log the missing bindings before the session declares the topology, which restores them silently.

        When all of them are missing, the broker is new and nothing was lost.
        """
        missing = await self._missing()
        if missing and len(missing) < len(bindings_of(self.service, self.wanted)):
            self._log_missing(missing)

    async def run(self) -> None:
        """Check periodically. Raises BrokerUnavailable when an exchange, a queue or the connection is gone."""
        while True:
            self._complete_at = self._complete_at or dt.datetime.now(dt.UTC)
            await asyncio.sleep(WATCH_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Check once: find the missing bindings, restore them if that is allowed, and log both."""
        asked_at = dt.datetime.now(dt.UTC)
        missing = await self._missing()
        if missing and self._is_news("missing", missing):
            self._log_missing(missing)
        restored = self.settings.topology == "apply" and await self._bind()
        if missing and restored:
            for binding in missing:
                log.warning("binding.restored", **_fields(binding), lost=_consequence(binding, self._complete_at))
        if restored or missing == ():
            self._complete_at = asked_at
            self._logged.pop("missing", None)

    async def _missing(self) -> tuple[Binding, ...] | None:
        """The missing bindings, or None when the management API cannot be asked."""
        if not self.settings.management_url:
            return None
        try:
            missing = await missing_bindings(self.settings, self.wanted)
        except (BrokerUnavailable, BrokerRefused) as error:
            if self._is_news("management", str(error)):
                log.warning(
                    "management.query_failed", error=str(error), consequence="lost bindings are not noticed"
                )
            return None
        self._logged.pop("management", None)
        mine = {*bindings_of(self.service, self.wanted)}
        return tuple(binding for binding in missing if binding in mine)

    def _log_missing(self, missing: Sequence[Binding]) -> None:
        for binding in missing:
            log.error("binding.missing", **_fields(binding), lost=_consequence(binding, self._complete_at))

    async def _bind(self) -> bool:
        # On a channel of its own: a refusal closes the channel, and the consumer must not end with it.
        channel = await in_time(self.connection.channel(publisher_confirms=False))
        raw = await in_time(channel.get_underlay_channel())
        try:
            for binding in bindings_of(self.service, self.wanted):
                await in_time(raw.queue_bind(binding.queue, binding.exchange, routing_key=binding.key))
        except BrokerRefused as error:
            if self._is_news("refused", str(error)):
                log.warning("binding.refused", error=str(error))
            return False
        await in_time(channel.close())
        return True

    def _is_news(self, about: str, what: object) -> bool:
        """Whether `what` differs from the last value that was logged about `about`."""
        before, self._logged[about] = self._logged.get(about), what
        return before != what


def _fields(binding: Binding) -> dict[str, Any]:
    return {"exchange": binding.exchange, "queue": binding.queue, "key": binding.key}


def _consequence(binding: Binding, complete_at: dt.datetime | None) -> str:
    """What may be lost, and what a person should do."""
    sender = binding.exchange.removesuffix(".events")
    when = f"{complete_at:%Y-%m-%dT%H:%M:%SZ}" if complete_at else "TIME"
    since = f"since {when}" if complete_at else "before this worker began"
    loss = f"messages published {since} may not have reached {binding.queue}"
    if sender == binding.exchange:
        return loss
    if sender == "client":
        return f"{loss}; its clients publish again what was not answered"
    return f"{loss}; 'outbox resend --service {sender} --since {when}' publishes them again"
