"""A saga on a real broker for tests: the workers of an application in this process, and a client beside them."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from choregraphie.application import Application
from choregraphie.broker import connected, count_queues, open_history
from choregraphie.client import publish
from choregraphie.messaging import HistoryEntry
from choregraphie.pipeline import run_until
from choregraphie.saga.content_modes import NotAnEnvelope, envelope_bytes
from choregraphie.saga.envelope import Event
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import inbox, is_of_first_delivery
from choregraphie.settings import Settings

T = TypeVar("T")
POLL_SECONDS = 0.05


class NotSaid(AssertionError):
    """The awaited event was not said in time; the message tells what was."""


class RunningSaga:
    """The workers of an application on a broker. A test says events, and waits for those that answer."""

    def __init__(self, application: Application, settings: Settings, timeout_seconds: float) -> None:
        self.application = application
        self.settings = settings
        self._timeout_seconds = timeout_seconds

    def say(self, event: Event) -> str:
        """Publish an event as a client does, and return its key. Raises BrokerUnavailable without a confirm."""
        _run(publish(self.settings, event, source="/clients/test"))
        return event.key

    def said(self, key: str) -> list[str]:
        """The types of all events about `key` in the history, in its order; each once."""
        return list(dict.fromkeys(_run(self._heard(key, enough=lambda types: False, seconds=0))))

    def await_said(self, key: str, *wanted: type[Event]) -> list[str]:
        """Wait until each of `wanted` was said about `key`; returns the types of all events about it so far.

        Raises NotSaid after the seconds that the fixture was given (30 by default).
        """
        types = {event.TYPE for event in wanted}
        heard = _run(self._heard(key, types.issubset, self._timeout_seconds))
        if missing := sorted(types - set(heard)):
            raise NotSaid(
                f"{key}: {', '.join(missing)} not said within {self._timeout_seconds:g} s;"
                f" said: {', '.join(heard) or 'nothing'}"
            )
        return list(dict.fromkeys(heard))

    async def _heard(self, key: str, enough: Callable[[set[str]], bool], seconds: float) -> list[str]:
        """The types of the events about `key`, until there are enough, or the time is over and no more come."""
        heard: list[str] = []
        deadline = time.monotonic() + seconds
        async with (
            open_history(self.settings) as history,
            contextlib.aclosing(history.entries("first")) as batches,
        ):
            async for batch in batches:
                heard += [entry.routing_key for entry in batch if _is_about(entry, key, self.application.saga_set)]
                if enough(set(heard)) or (not batch and time.monotonic() > deadline):
                    break
        return heard


@contextlib.contextmanager
def running_saga(
    application: Application, settings: Settings, timeout_seconds: float = 30
) -> Iterator[RunningSaga]:
    """Run a worker of each service of `application` until the block ends; they consume when it begins.

    Raises what a worker raises when it cannot work: a UserError of the engine.
    """
    workers = _Workers(application, settings)
    workers.start()
    try:
        workers.await_ready(timeout_seconds)
        yield RunningSaga(application, settings, timeout_seconds)
    finally:
        workers.stop()


class _Workers(threading.Thread):
    """The workers, on an event loop of their own in a thread of their own."""

    def __init__(self, application: Application, settings: Settings) -> None:
        super().__init__(name=f"workers of {application.name}", daemon=True)
        self._application = application
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        application, settings = self._application, self._settings
        services = list(application.own.values())
        try:
            self._loop.run_until_complete(
                run_until(self._stopping, services, application.topology(settings), settings)
            )
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            self._error = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def await_ready(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        queues = [inbox(name) for name in self._application.own]
        while self.is_alive() and not _run(_all_consumed(self._settings, queues)):
            if time.monotonic() > deadline:
                raise NotSaid(f"no worker consumes each of {', '.join(queues)} after {timeout_seconds:g} s")
            time.sleep(POLL_SECONDS)
        self._raise()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the workers have ended
            self._loop.call_soon_threadsafe(self._stopping.set)
        self.join(self._settings.drain + 5)
        if self.is_alive():
            raise TimeoutError(f"{self.name} have not ended within SAGA_DRAIN and 5 seconds")
        self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def check_connection(settings: Settings) -> None:
    """Connect once. Raises BrokerRefused or BrokerUnavailable."""
    _run(_all_consumed(settings, []))


def _run(task: Coroutine[Any, Any, T]) -> T:
    """Run `task` on a loop of its own in a thread: the test may be running in a loop itself."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(asyncio.run(task))
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


async def _all_consumed(settings: Settings, queues: list[str]) -> bool:
    async with connected(settings, "asks who is ready") as connection:
        counts = await count_queues(connection, queues)
    return all(queue in counts and counts[queue].consumers for queue in queues)


def _is_about(entry: HistoryEntry, key: str, sagas: SagaSet) -> bool:
    """Whether it is an event or a command about `key`, by its data: a foreign client may give no subject."""
    saga = sagas.of_type(entry.routing_key)
    if saga is None or not is_of_first_delivery(entry.exchange):
        return False
    try:
        content = json.loads(envelope_bytes(entry.headers, entry.content_type, entry.body))
    except (NotAnEnvelope, ValueError, RecursionError):
        return False
    data = content.get("data") if isinstance(content, dict) else None
    return isinstance(data, dict) and data.get(saga.key) == key
