"""Says an event inside the caller's own transaction: a row of the outbox table, which a relay publishes."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.orm import Session, scoped_session

from choregraphie.saga.envelope import Envelope, Event, wrap
from choregraphie.saga.ids import new_id
from choregraphie.saga.registry import adapter
from choregraphie.saga.topology import events
from choregraphie.storage.client_outbox import CLIENT_OUTBOX, DecidedEvent, decide

if TYPE_CHECKING:
    # Its import needs greenlet, which a program without asynchronous sessions may lack.
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

DEFAULT_SOURCE = "/clients/application"

Synchronous = Connection | Session | scoped_session[Any]


def create_outbox(where: Engine | Connection | MetaData) -> None:
    """Create the table `choregraphie_outbox` in a database, unless it exists; or declare it in a MetaData.

    With an asynchronous connection: `await connection.run_sync(create_outbox)`.
    """
    if isinstance(where, MetaData):
        CLIENT_OUTBOX.to_metadata(where)
    else:
        CLIENT_OUTBOX.create(where, checkfirst=True)


def say(connection: Synchronous, event: Event, *, source: str = DEFAULT_SOURCE, id: str | None = None) -> str:
    """Decide `event` in the transaction of `connection`, which may be a session. Returns the id of the event.

    The event is published after the commit, by a relay; a rollback leaves nothing. `source` names the program that
    says it: `/clients/NAME`, or `/services/NAME` for an event of that service. Services ignore a second event with
    the same `source` and `id`; without `id` each call says a new event.

    Raises ValueError when this source may not say the event or the event breaks a bound of its fields, TypeError
    for an asynchronous connection or one that commits each statement, and sqlalchemy.exc.IntegrityError when the
    source has said this `id` before.
    """
    one = decided(event, source, id)
    decide(_connection_of(connection), one)
    return one.event_id


async def say_async(
    connection: "AsyncConnection | AsyncSession | async_scoped_session[Any]",
    event: Event,
    *,
    source: str = DEFAULT_SOURCE,
    id: str | None = None,
) -> str:
    """The same for an asynchronous connection or session."""
    if isinstance(connection, Connection | Session | scoped_session):
        raise TypeError(f"say_async: {type(connection).__name__} is not asynchronous; use say")
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

    if not isinstance(connection, AsyncConnection | AsyncSession | async_scoped_session):
        raise TypeError(f"say_async: {type(connection).__name__} is not asynchronous; use say")
    session = connection() if isinstance(connection, async_scoped_session) else connection
    return await session.run_sync(say, event, source=source, id=id)


def decided(event: Event, source: str, id: str | None) -> DecidedEvent:
    """`event` as it is published. Raises ValueError when the services would refuse its sender or a field."""
    envelope, now = _checked(event, source, id), dt.datetime.now(dt.UTC)
    body, exchange = envelope.to_bytes(), events(event.SAID_BY)
    return DecidedEvent(0, envelope.id, source, event.TYPE, event.SAGA, event.key, exchange, body, now)


def _checked(event: Event, source: str, id: str | None) -> Envelope[Any]:
    """The envelope of `event`. Raises ValueError when the services would refuse its sender or a field."""
    now = dt.datetime.now(dt.UTC)
    envelope = wrap(event, id=id or new_id(now), source=source, time=now)
    _check_speaker(envelope)
    # What cannot be read would become a dead letter in every service that hears it.
    adapter(type(event)).validate_json(envelope.to_bytes())
    return envelope


def _check_speaker(envelope: Envelope[Any]) -> None:
    """Raises ValueError when the services would refuse the event for its sender."""
    speaker = envelope.data.SAID_BY
    if envelope.sender != speaker:
        right = "/clients/NAME" if speaker == "client" else f"/services/{speaker}"
        raise ValueError(f"{envelope.type} is said by {speaker}: its source is {right}, not {envelope.source}")


def _connection_of(given: Synchronous) -> Connection:
    """Raises TypeError when `given` has no transaction to write in."""
    session = given() if isinstance(given, scoped_session) else given
    if isinstance(session, Session):
        session = session.connection(bind_arguments={"clause": CLIENT_OUTBOX})
    if not isinstance(session, Connection):
        raise TypeError(f"say: {type(given).__name__} is no connection or session; is it for say_async?")
    if session.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        raise TypeError("say: this connection commits each statement; the event needs the caller's transaction")
    return session
