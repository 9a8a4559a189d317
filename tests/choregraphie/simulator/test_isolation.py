"""No garbage is collected during a run, and all of it after the run."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

from choregraphie.simulator import run_plan
from choregraphie.simulator.clock import VirtualLoop
from services.scenario import plan

if TYPE_CHECKING:
    import pytest

    from choregraphie.simulator import Databases


def test_a_campaign_does_not_keep_its_runs_alive(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign once kept them all, two gigabytes after twenty thousand runs."""
    loops: list[weakref.ref[VirtualLoop]] = []
    began = VirtualLoop.__init__

    def recording(loop: VirtualLoop) -> None:
        began(loop)
        loops.append(weakref.ref(loop))

    monkeypatch.setattr(VirtualLoop, "__init__", recording)
    for seed in range(4):
        run_plan(plan(seed, 2), databases)
    # The loop of the last run may still be alive.
    assert [loop() for loop in loops[:-1]] == [None, None, None]


def test_no_garbage_is_collected_during_a_run(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    run_once: Any = VirtualLoop._run_once

    def checking(loop: VirtualLoop) -> None:
        seen.append(gc.isenabled())
        run_once(loop)

    monkeypatch.setattr(VirtualLoop, "_run_once", checking)
    run_plan(plan(0, 2), databases)
    assert set(seen) == {False}
    assert gc.isenabled()
