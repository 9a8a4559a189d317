"""A foreign client that publishes at least once: without a confirm it publishes the same bytes again."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, NackError, UnroutableError

from scripts.nemesis.history import Published

if TYPE_CHECKING:
    from collections.abc import Mapping

PAUSE_SECONDS = 0.3
PERSISTENT = 2
# pika raises AMQPConnectorException, which is no AMQPError, when a handshake takes too long.
CONNECTION_ERRORS = (AMQPError, AMQPConnectorException, OSError)


@dataclass
class Message:
    """A message to publish, and whether it was confirmed. `properties` are added to the required ones."""

    exchange: str
    key: str
    body: bytes
    refused: Mapping[str, str] = field(default_factory=dict)
    copies: int = 1
    properties: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0
    confirmed: bool = False

    def published(self) -> Published:
        return Published(self.exchange, self.key, self.body, self.tries, self.confirmed, self.refused)


class Client:
    """One thread with one connection; it publishes messages in the order in which it was given them."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.heartbeat = 6
        self._parameters.socket_timeout = 5
        self._parameters.stack_timeout = 8
        self._parameters.blocked_connection_timeout = 20
        self._waiting: queue.Queue[Message] = queue.Queue()
        self._connection: pika.BlockingConnection | None = None
        self._stopping = threading.Event()
        self.messages: list[Message] = []
        self.sessions = 0
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        *,
        refused: Mapping[str, str] | None = None,
        copies: int = 1,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        message = Message(exchange, key, body, refused or {}, copies, properties or {})
        self.messages.append(message)
        self._waiting.put(message)

    def publish_again(self, messages: list[Message], copies: int = 1) -> None:
        """Publish these messages again, `copies` times each."""
        for message in messages:
            message.copies = copies
            self._waiting.put(message)

    @property
    def backlog(self) -> int:
        """How many messages are not confirmed yet, including the current one."""
        return self._waiting.unfinished_tasks

    def drain(self, seconds: float) -> bool:
        """Wait until everything is confirmed. Returns False at the timeout."""
        deadline = time.monotonic() + seconds
        while self.backlog and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.backlog

    def published(self) -> tuple[Published, ...]:
        return tuple(message.published() for message in list(self.messages) if message.tries)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                message = self._waiting.get(timeout=0.2)
            except queue.Empty:
                self._idle()
                continue
            for _ in range(message.copies):
                self._publish_until_confirmed(message)
            self._waiting.task_done()
        self._disconnect()

    def _publish_until_confirmed(self, message: Message) -> None:
        while not self._stopping.is_set():
            message.tries += not message.confirmed
            try:
                plain = {"content_type": "application/json", "delivery_mode": PERSISTENT}
                properties = pika.BasicProperties(**{**plain, **message.properties})
                self._channel().basic_publish(message.exchange, message.key, message.body, properties, True)
            except (NackError, UnroutableError):
                time.sleep(PAUSE_SECONDS)
            except CONNECTION_ERRORS:
                self._disconnect()
                time.sleep(PAUSE_SECONDS)
            else:
                message.confirmed = True
                return

    def _channel(self) -> pika.adapters.blocking_connection.BlockingChannel:
        if self._connection is None:
            self._connection = pika.BlockingConnection(self._parameters)
            self._open = self._connection.channel()
            self._open.confirm_delivery()
            self.sessions += 1
        return self._open

    def _idle(self) -> None:
        """Process heartbeats."""
        try:
            if self._connection is not None:
                self._connection.process_data_events(0)
        except CONNECTION_ERRORS:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*CONNECTION_ERRORS):
                self._connection.close()
        self._connection = None
