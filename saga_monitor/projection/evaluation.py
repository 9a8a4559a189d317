"""An evaluation as the file keeps it."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from saga_monitor.analysis.saga_state import Progress
from saga_monitor.projection.schema import instant

# One step as the file keeps it: name, state, duration, duration of its undoing, whether a duration was left out.
StepRow = Sequence[Any]


class Evaluation(NamedTuple):
    """An evaluation as the file keeps it: `flags` and `remaining` are JSON, `started` is in µs since 1970."""

    state: str
    flags: str
    at_rest: bool
    steps: Sequence[StepRow]
    remaining: str
    started: int | None
    duration_ms: int | None

    @classmethod
    def of(cls, progress: Progress) -> "Evaluation":
        return cls(
            progress.state,
            _as_json(progress.flags),
            progress.at_rest,
            [(s.step, s.state, s.duration_ms, s.undoing_ms, s.left_out) for s in progress.steps],
            _as_json(progress.remaining),
            instant(progress.started),
            progress.duration_ms,
        )


# The same few lists again and again.
_as_json = lru_cache(maxsize=2000)(json.dumps)
