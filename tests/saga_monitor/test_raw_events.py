"""Single entries of the stream, read again for those who ask, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from saga_monitor.projection.queries import RecordedEvent
from saga_monitor.web import raw_events
from tests.saga_monitor.memory_stream import HELD, event_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.saga_monitor.memory_stream import Stream


async def test_a_visitor_s_time_at_the_stream_begins_with_his_turn(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before takes all that is allowed, and is told so; that is not the next one's fault."""
    monkeypatch.setattr(raw_events, "SECONDS", 0.2)
    stream.publish("CMD-1", HELD)
    event = RecordedEvent("CMD-1/commande.initiee", "commande.initiee", "/clients/boutique", None, None, 0, None)
    slow = asyncio.Event()

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        if not slow.is_set():
            slow.set()
            await asyncio.Event().wait()
        yield stream

    archive = raw_events.RawEventReader(opened)
    first = asyncio.ensure_future(archive.said([event]))
    await slow.wait()
    second = await archive.said([event])
    with pytest.raises(raw_events.RawUnavailableError):
        await first
    assert second[0].text is not None


async def test_an_event_in_binary_mode_is_shown_with_its_attributes(stream: Stream) -> None:
    envelope = json.loads(event_bytes("CMD-1", HELD[0]))
    data = json.dumps(envelope.pop("data")).encode()
    del envelope["datacontenttype"]
    headers = {f"cloudEvents:{name}": value for name, value in envelope.items()}
    stream.add(data, "client.events", headers)
    event = RecordedEvent(envelope["id"], envelope["type"], envelope["source"], None, None, 0, None)
    (raw,) = await raw_events.RawEventReader(stream.opening()).said([event])
    assert raw.binary
    assert raw.text is not None
    assert json.loads(raw.text) == {**envelope, "data": json.loads(data)}
