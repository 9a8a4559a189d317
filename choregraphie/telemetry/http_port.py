"""A small HTTP port on its own thread and event loop: GET and HEAD, one answer per connection.

The number of connections, the size of a request's head, the time until it is complete, and the time until the
answer is read are bounded. The port answers while the process's main loop is busy or stuck.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

import h11
import structlog

from choregraphie.process.connections import Connections, accept, limit_for, reset_on_close

log = structlog.get_logger()

MOST_CONNECTIONS = 32
# The port takes at most an eighth of the process's descriptors.
SHARE_OF_DESCRIPTORS = 8
LARGEST_HEAD_BYTES = 16 * 1024
# Both limits are totals, so a client that sends or reads a byte per second is cut off too.
REQUEST_SECONDS = 5.0
ANSWER_SECONDS = 10.0
_PIECE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Application = Callable[[str, str], Awaitable[Answer]]


@contextlib.contextmanager
def serving(listener: socket.socket, application: Application) -> Iterator[None]:
    """Answer the clients of `listener` while the block lasts. `application` takes path and Accept header."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(_serve(listener, application))
    thread = threading.Thread(target=_run, args=(loop, task), name="http-port", daemon=True)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        listener.close()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    asyncio.set_event_loop(loop)
    with contextlib.closing(loop), contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


async def _serve(listener: socket.socket, application: Application) -> None:
    connections: Connections[_Connection] = Connections(limit_for(MOST_CONNECTIONS, SHARE_OF_DESCRIPTORS))
    tasks: set[asyncio.Task[None]] = set()

    async def take(client: socket.socket) -> None:
        connection = _Connection(client, application)
        task = connection.task
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: connections.remove(connection))
        task.add_done_callback(lambda _: client.close())
        connections.add(connection)

    try:
        await accept(listener, connections, take)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    def __init__(self, client: socket.socket, application: Application) -> None:
        self.waiting = True
        self._client = client
        self._application = application
        self._body_wanted = True
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD_BYTES)
        self.task = asyncio.get_running_loop().create_task(self._run())

    def abort(self) -> None:
        self.task.cancel()

    async def _run(self) -> None:
        # Otherwise the kernel keeps unread data after the close for as long as the client likes.
        reset_on_close(self._client, True)
        # A client that is too slow or gone is not worth a log line.
        with contextlib.suppress(OSError, TimeoutError, h11.ProtocolError):
            answer = await self._answer()
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.get_running_loop().sock_sendall(self._client, self._bytes_of(answer))
            reset_on_close(self._client, False)

    async def _answer(self) -> Answer:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await self._request()
        except h11.RemoteProtocolError as error:
            return _plain(error.error_status_hint)
        self._body_wanted = request.method != b"HEAD"
        if request.method not in {b"GET", b"HEAD"}:
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        path = request.target.partition(b"?")[0].decode("ascii")
        accepted = next((value for name, value in request.headers if name == b"accept"), b"")
        self.waiting = False
        try:
            return await self._application(path, accepted.decode("latin-1"))
        except Exception as error:  # noqa: BLE001 - one failed answer must not end the port
            log.error("port.answer_failed", path=path, error=f"{type(error).__name__}: {error}")
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            self.waiting = True

    async def _request(self) -> h11.Request:
        """Read the head of the first request. Raises h11.RemoteProtocolError when it is malformed or too large."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await asyncio.get_running_loop().sock_recv(self._client, _PIECE_BYTES))
        if not isinstance(event, h11.Request):
            raise ConnectionAbortedError  # it left without a request
        return event

    def _bytes_of(self, answer: Answer) -> bytes:
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
        ]
        head = h11.Response(status_code=answer.status, headers=headers, reason=HTTPStatus(answer.status).phrase)
        body = answer.body if self._body_wanted else b""
        return (self._http.send(head) or b"") + body


def _plain(status: int) -> Answer:
    return Answer(status, f"{HTTPStatus(status).phrase.lower()}\n".encode())
