"""Describes clock differences: whose clock, by how much, what to do. Pure."""

from collections.abc import Iterator

from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.events_of_saga import Heard, is_absurd

# The monitor's own clock, where it is one of the two.
MONITOR = "monitor"
CLIENT = "client"
# An event before its cause by less than this may be two clocks' ordinary disagreement.
SKEW_MS = 1000


def differing(cause: Heard, effect: Heard) -> Iterator[tuple[str, str, int]]:
    """Whose clock the times of the two, of which one answers the other, show to be ahead, whose behind (ms)."""
    if cause.time is None or effect.time is None or cause.service == effect.service:
        return
    ms = int((cause.time - effect.time).total_seconds() * 1000)
    if ms > SKEW_MS:
        yield cause.service, effect.service, ms
    elif is_absurd(cause.type, cause.time, effect.time):
        yield effect.service, cause.service, -ms


def sentence(commande_id: str, ahead: str, behind: str, worst_ms: int) -> str:
    """What `commande_id` shows of the clocks of `ahead` and `behind`, and what to do."""
    apart = format_duration(worst_ms)
    if behind == MONITOR:
        said = f"what {ahead} says is dated {apart} later than it was read"
    elif ahead == MONITOR:
        said = f"what {behind} says is dated {apart} before it came"
    elif behind == CLIENT:
        said = f"what {behind} says is dated {apart} before {ahead} answered it"
    else:
        said = f"{behind} says it answered {ahead} {apart} before it was asked"
    return f"{commande_id}: {said}: one clock is wrong; set those of {behind} and {ahead} by NTP"
