"""Runs a scheduled reaction for the rows that are due, and puts off a row whose reaction fails."""

import datetime as dt
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy import Connection, bindparam

from choregraphie.errors import ReactionFailed
from choregraphie.service.service import Schedule
from choregraphie.storage.invocation import Result
from choregraphie.storage.statements import Prepared

# One tick takes at most this many due rows; the next tick takes the next ones.
MOST_DUE = 200
# Without a pause, some hundreds of rows whose reaction fails would keep all other rows waiting.
PUT_OFF = dt.timedelta(minutes=1)

log = structlog.get_logger()


class Schedules:
    """The scheduled reactions of a service, and the rows that are put off in this process."""

    def __init__(self, schedules: Iterable[Schedule]) -> None:
        self._due = {
            schedule: Prepared(schedule.due.limit(bindparam("most")), ["now", "most"]) for schedule in schedules
        }
        self._put_off: dict[tuple[str, str], dt.datetime] = {}

    def due(self, connection: Connection, schedule: Schedule, now: dt.datetime) -> list[str]:
        """The keys of up to MOST_DUE rows that are due and not put off."""
        self._put_off = {row: until for row, until in self._put_off.items() if until > now}
        put_off = {key for action, key in self._put_off if action == schedule.action}
        found = self._due[schedule].rows(connection, now, MOST_DUE + len(put_off))
        return [str(key) for (key,) in found if str(key) not in put_off][:MOST_DUE]

    def run(
        self, schedule: Schedule, keys: list[str], react: Callable[[list[str]], list[Result]], now: dt.datetime
    ) -> list[Result]:
        """Run the reaction for the rows of `keys` together; if it fails, for each row alone.

        `react` runs it for some rows in one transaction, and raises ReactionFailed when the reaction raises.
        """
        if not keys:
            return []
        try:
            return react(keys)
        except ReactionFailed:
            # One row must not keep the others waiting.
            return [result for key in keys for result in self._run_alone(schedule, key, react, now)]

    def _run_alone(
        self, schedule: Schedule, key: str, react: Callable[[list[str]], list[Result]], now: dt.datetime
    ) -> list[Result]:
        try:
            return react([key])
        except ReactionFailed as failure:
            # There is no message to retry or to set aside. The row stays due, and is tried again after the pause.
            log.error(
                "schedule.failed",
                action=schedule.action,
                row=key,
                again_in_s=PUT_OFF.seconds,
                exc_info=failure.error,
            )
            self._put_off[schedule.action, key] = now + PUT_OFF
            return []
