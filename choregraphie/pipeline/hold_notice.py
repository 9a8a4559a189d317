"""The notice that a worker publishes about a hold, for the history alone."""

import datetime as dt
import uuid

from choregraphie.messaging import HeaderValue, Outgoing, Properties
from choregraphie.pipeline.breaker import Breaker
from choregraphie.pipeline.context import WorkerContext
from choregraphie.saga.topology import (
    DETAIL_HEADER,
    HOLD_HEADER,
    HOLD_KEY,
    NEXT_HEADER,
    OUTSIDE_HEADER,
    SERVICE_HEADER,
    SINCE_HEADER,
    UNTIL_HEADER,
    retry,
)


def notice(context: WorkerContext, breaker: Breaker, since: dt.datetime, detail: str) -> Outgoing:
    """What `breaker` does, now that it has changed; open since `since`.

    While it is open, every probe that fails says so again, and `NEXT_HEADER` says by when the next one does: a
    worker that died says nothing more, and its hold counts as over.
    """
    now = context.now()
    again = breaker.probe_every + context.settings.call_timeout
    headers: dict[str, HeaderValue] = {
        SERVICE_HEADER: context.service,
        OUTSIDE_HEADER: breaker.outside,
        HOLD_HEADER: "open" if breaker.is_open else "closed",
        SINCE_HEADER: _text(since),
        UNTIL_HEADER: _text(since + dt.timedelta(seconds=breaker.longest_hold)),
        NEXT_HEADER: _text(now + dt.timedelta(seconds=again)),
        DETAIL_HEADER: detail,
    }
    name = str(uuid.UUID(int=context.rng.getrandbits(128), version=4))
    properties = Properties(message_id=name, type=HOLD_KEY, app_id=context.service, timestamp=now)
    return Outgoing(retry(context.service), HOLD_KEY, b"", properties, headers)


def _text(time: dt.datetime) -> str:
    return time.isoformat(timespec="milliseconds")
