"""A lost session is followed by another, in a task that counts as not cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from typing import TYPE_CHECKING

import pytest

from choregraphie import retrying
from choregraphie.pipeline import supervisor
from choregraphie.pipeline.supervisor import supervise
from choregraphie.saga.topology import Topology
from tests.support.fake_session import FakeSession, until
from tests.support.running_pipeline import worker_context
from tests.support.sample_service import SAMPLE_SERVICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from choregraphie import Settings
    from choregraphie.pipeline.context import WorkerContext


async def test_a_lost_session_leaves_no_cancellation_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Python 3.13 a failed task group leaves one, and 3.11.2 then takes every timeout of that task for a
    cancellation: on Debian 12 a restart of the broker ended the workers with exit code 0."""
    monkeypatch.setattr(retrying, "backoff", lambda failures, rng: 0.01)
    sessions: list[FakeSession] = []
    left: list[int] = []

    @contextlib.asynccontextmanager
    async def lost_at_once(context: WorkerContext) -> AsyncIterator[FakeSession]:
        # Between two sessions: while one ends, its task group has a cancellation of its own.
        opener = asyncio.current_task()
        assert opener is not None
        left.append(opener.cancelling())
        sessions.append(FakeSession())
        sessions[-1].lose()
        yield sessions[-1]

    stopping = asyncio.Event()
    with worker_context(SAMPLE_SERVICE, settings) as context:
        running = asyncio.create_task(supervise(context, stopping, lost_at_once))
        await until(lambda: len(sessions) > 3)
        stopping.set()
        await running
        assert not running.cancelled()
        assert left == [0] * len(sessions)


async def test_a_worker_that_ends_without_being_asked_is_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(supervisor, "supervise", cancelled)
    with pytest.raises(AssertionError, match="without being asked"):
        await supervisor.run_workers([SAMPLE_SERVICE], Topology((), (), ()), settings)


async def test_a_worker_that_waits_for_descriptors_to_open_its_database_stops_in_order(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def without_descriptors(*given: object) -> None:
        tries.append(given)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(supervisor, "open_database", without_descriptors)
    running = asyncio.create_task(supervisor.run_workers([SAMPLE_SERVICE], Topology((), (), ()), settings))
    await until(lambda: bool(tries))
    os.kill(os.getpid(), signal.SIGTERM)
    await running
