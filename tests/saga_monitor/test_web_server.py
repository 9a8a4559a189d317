"""The web server of the monitor by itself. Not in `web`, whose browser takes the event loop of the thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from saga_monitor.web import server
from tests.saga_monitor.web.test_held import request

if TYPE_CHECKING:
    import pytest
    from starlette.types import Receive, Scope, Send


async def streaming(_: Scope, receive: Receive, send: Send) -> None:
    """An application that sends without a pause until its client is gone."""

    async def disconnect() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    await send({"type": "http.response.start", "status": 200, "headers": []})
    gone = asyncio.ensure_future(disconnect())
    while not gone.done():
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(0)


async def test_nonsense_while_an_answer_is_sent_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """The connection ends a turn of the event loop after it is aborted, and the answer goes on meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        web = server.Server(streaming)
        serving = asyncio.ensure_future(web.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request("/", "Transfer-Encoding: chunked"))
        assert (await reader.read(64)).startswith(b"HTTP/1.1 200")
        writer.write(b"\x00nonsense\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()
        web.should_exit = True
        await serving
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
