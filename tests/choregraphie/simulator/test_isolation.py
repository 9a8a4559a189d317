"""What a run leaves behind is collected, though nothing is while it lasts."""

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


def test_a_campaign_does_not_keep_the_worlds_of_its_runs(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once kept them all, two gigabytes after twenty thousand runs."""
    loops: list[weakref.ref[VirtualLoop]] = []
    began = VirtualLoop.__init__

    def noted(loop: VirtualLoop) -> None:
        began(loop)
        loops.append(weakref.ref(loop))

    monkeypatch.setattr(VirtualLoop, "__init__", noted)
    for seed in range(4):
        run_plan(plan(seed, 2), databases)
    # The last one's account of itself is thrown away when its garbage has been collected.
    assert [loop() for loop in loops[:-1]] == [None, None, None]


def test_nothing_is_collected_in_the_midst_of_a_run(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    run_once: Any = VirtualLoop._run_once

    def looking(loop: VirtualLoop) -> None:
        seen.append(gc.isenabled())
        run_once(loop)

    monkeypatch.setattr(VirtualLoop, "_run_once", looking)
    run_plan(plan(0, 2), databases)
    assert set(seen) == {False}
    assert gc.isenabled()
