"""A worker ends by itself only when it was asked to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.pipeline.supervisor import supervise
from choregraphie.simulator import run_plan, workers
from services.scenario import plan

if TYPE_CHECKING:
    from choregraphie.simulator import Databases


@pytest.mark.parametrize("how", ["cancelled", "returned"])
def test_a_worker_that_ends_unasked_is_a_violation(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """As with Python 3.11.2, where the first timeout after a lost session was taken for a cancellation."""

    async def short_lived(context: Any, stopping: asyncio.Event, open_session: Any) -> None:
        serving = asyncio.create_task(supervise(context, stopping, open_session))
        await asyncio.wait({serving}, timeout=1)
        serving.cancel()
        await asyncio.wait({serving})
        if how == "cancelled":
            raise asyncio.CancelledError

    monkeypatch.setattr(workers, "supervise", short_lived)
    found = run_plan(plan(2, 3), databases).found
    assert any("ended, and nobody had asked it to" in one for one in found)
