"""A stream in memory, a store, and a monitor that reads one into the other."""

from __future__ import annotations

import datetime as dt
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from saga_monitor import __main__
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.store import Store
from saga_monitor.stream.follower import read
from tests.saga_monitor.memory_stream import START, Stream
from tests.support.order_saga import SAGAS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from choregraphie.saga.envelope import Instance
    from choregraphie.saga.saga_set import SagaSet

STUCK_AFTER = 60.0
SOON = START + dt.timedelta(seconds=2)


class Monitor:
    """A monitor without a user interface."""

    each_change = False

    def __init__(self, path: Path, sagas: SagaSet = SAGAS) -> None:
        self.path = path
        self.notices: list[str] = []
        self.links: list[str] = []
        self.changes: list[str] = []
        self.store = Store(path, sagas)
        self.queries = Queries(path, STUCK_AFTER, sagas)

    def link(self, word: str, detail: str = "") -> None:
        self.links.append(f"{word} {detail}".strip())

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def touched(self, instances: Sequence[Instance]) -> None:
        self.changes += [instance.key for instance in instances]

    async def read(self, stream: Stream) -> None:
        """Read the stream to its end."""
        async with stream.opening()() as history, aclosing(read(history, self.store, self)) as batches:
            async for touched in batches:
                if touched is None:
                    return

    def known(self) -> list[tuple[object, ...]]:
        """The whole content of the projection about every order."""
        orders = self.queries.instances(None, 1000, SOON)
        return [(order, tuple(self.queries.events(order.instance))) for order in orders]

    def close(self) -> None:
        self.queries.close()
        self.store.close()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    monitor = Monitor(tmp_path / "var" / "monitor.sqlite3")
    assert monitor.store.acquire()
    yield monitor
    monitor.close()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs the command line on `stream` instead of a broker."""
    for name in ("SAGA_AMQP_URL", "SAGA_STUCK_AFTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_MONITOR_DATABASE", str(tmp_path / "deep" / "monitor.sqlite3"))
    monkeypatch.setattr(__main__, "open_history", lambda *_: stream.opening()())

    def run(*arguments: str) -> tuple[int, str, str]:
        code = __main__.main(arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run
