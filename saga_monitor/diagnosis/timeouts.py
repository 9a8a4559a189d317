"""How long an answer may take before its order is stuck: the 99th percentile of the step, within bounds. Pure."""

import datetime as dt
from collections.abc import Mapping

from saga_monitor.projection.counters import Spread

# Of fewer measures the slowest one in a hundred is the slowest of all: one outlier would speak for the step.
ENOUGH_MEASURES = 100
# However slow a step was, a silence so many times `stuck_after` is shown: what was measured may hold an outage,
# and whoever runs slow steps sets `stuck_after` to suit them.
MOST_TIMES_STUCK_AFTER = 10


def expected(spreads: Mapping[str, Spread], service: str, undoing: bool, stuck_after: float) -> dt.timedelta:
    """As long as 99 of 100 took before, from `stuck_after` (s) to ten times as long."""
    took = spreads.get(f"{'undo' if undoing else 'step'}.{service}")
    p99_ms = took.p99_ms() if took and took.total >= ENOUGH_MEASURES else None
    most = stuck_after * MOST_TIMES_STUCK_AFTER
    return dt.timedelta(seconds=min(max(stuck_after, (p99_ms or 0) / 1000), most))
