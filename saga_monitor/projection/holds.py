"""Which services hold their inbox, and which instances wait for them.

A hold lapses when its service says nothing more, so whether an instance is HELD depends on when that is asked.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis.messages import Hold
from saga_monitor.analysis.steps import StepProgress, StepState
from saga_monitor.projection.schema import EPOCH, instant, moment

OPEN_HOLDS = 'SELECT service, outside, is_open, since, until, next, detail, "offset", at FROM holds WHERE is_open'
_KEEP = "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ASKED = (StepState.RUNNING, StepState.UNDOING)


@dataclass(frozen=True, slots=True)
class HeldSteps:
    """The steps, each with its saga, of the services that hold their inbox."""

    steps: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, sagas: SagaSet, holds: Iterable[Hold]) -> "HeldSteps":
        services = {hold.service for hold in holds}
        return cls(frozenset((s.name, step.name) for s in sagas for step in s.steps if step.service in services))

    def hold(self, saga: str, steps: Iterable[StepProgress]) -> bool:
        """Whether an instance of `saga` waits for one of them."""
        return any(step.state in _ASKED and (saga, step.step) in self.steps for step in steps)

    @property
    def as_json(self) -> str:
        """For the condition `indexes.HELD`: sagas with how the file writes a step that waits."""
        waiting = [(saga, json.dumps([step, state])[:-1]) for saga, step in self.steps for state in _ASKED]
        return json.dumps(sorted(waiting))


NOTHING_HELD = HeldSteps()


def keep(connection: sqlite3.Connection, holds: Iterable[Hold]) -> None:
    """Writes the newest notice about each outside system, within the caller's transaction."""
    rows = [
        (
            *(one.service, one.outside, one.is_open, instant(one.since), instant(one.until), instant(one.next)),
            *(one.detail, one.offset, instant(one.at)),
        )
        for one in holds
    ]
    connection.executemany(_KEEP, rows)


def hold_of(row: Sequence[Any]) -> Hold:
    """The hold in a row of `OPEN_HOLDS`."""
    service, outside, is_open, since, until, next_, detail, offset, at = row
    times = (moment(since) or EPOCH, moment(until), moment(next_))
    return Hold(service, outside, bool(is_open), *times, detail, offset, moment(at) or EPOCH)


def lasting(rows: Iterable[Sequence[Any]], now: dt.datetime) -> list[Hold]:
    """Of the rows of `OPEN_HOLDS` those that last at `now`, the oldest first."""
    return sorted((hold for hold in map(hold_of, rows) if hold.lasts(now)), key=lambda hold: hold.since)
