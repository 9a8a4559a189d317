"""Everything left to chance: drawn from one seed and the name of the place, never from an order of calls.

A draw is named (`latency:stock.inbox:…`), and its value follows from the seed and that name alone. So leaving out
an order or a fault changes nothing about the others, which is what makes a failure shrink.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Fault(StrEnum):
    """What can be done to a run."""

    # An enumeration's own is a Python function, and asked for some hundred times an order.
    __hash__ = str.__hash__

    CRASH = "crash"  # a worker dies at a named place of the pipeline
    KILL = "kill"  # a worker dies at any moment
    STOP = "stop"  # SIGTERM, and a new worker after it
    POISON = "poison"  # a message kills every worker that takes it
    CUT = "cut"  # a session is lost
    ACK_LOST = "ack_lost"  # a session is lost with the acknowledgement on its way
    CONFIRM_LOST = "confirm_lost"  # accepted, and the publisher never hears of it
    PUBLISH_LOST = "publish_lost"  # never accepted, and the publisher does not know
    REFUSED = "refused"  # a queue is full
    RETURNED = "returned"  # a binding is missing
    RESTART = "restart"  # the broker is away for a while
    TWICE = "twice"  # a message comes twice
    LATE = "late"  # a message is overtaken by those after it
    OUTAGE = "outage"  # the gateway or the carrier is away for a while
    CALL_FAILED = "call_failed"  # the gateway or the carrier is not reached
    ANSWER_LOST = "answer_lost"  # it did what was asked, and its answer is lost
    ANSWER_LATE = "answer_late"  # the same, and the caller's patience ends first
    CARD_REFUSED = "card_refused"  # the gateway says no


# How often each strikes where it can, in a run that has it at all.
RATES: Mapping[Fault, float] = {
    Fault.CRASH: 0.02,
    Fault.KILL: 0.01,
    Fault.STOP: 0.01,
    Fault.POISON: 0.01,
    Fault.CUT: 0.01,
    Fault.ACK_LOST: 0.03,
    Fault.CONFIRM_LOST: 0.03,
    Fault.PUBLISH_LOST: 0.03,
    Fault.REFUSED: 0.02,
    Fault.RETURNED: 0.01,
    Fault.RESTART: 0.02,
    Fault.TWICE: 0.06,
    Fault.LATE: 0.08,
    Fault.OUTAGE: 0.15,
    Fault.CALL_FAILED: 0.10,
    Fault.ANSWER_LOST: 0.08,
    Fault.ANSWER_LATE: 0.05,
    Fault.CARD_REFUSED: 0.08,
}


class Randomness:
    """One run's luck. With `only`, exactly the faults of those names strike; without, the seed decides."""

    def __init__(self, seed: int, only: Collection[str] | None = None) -> None:
        self.seed = seed
        self.only = None if only is None else frozenset(only)
        # A run with every kind of fault at once hides what two of them do together: each has half of the kinds.
        self._kinds = {fault for fault in Fault if only is not None or self.fraction("kind", fault) < 0.5}
        self.occurred: list[str] = []
        self.counts: Counter[Fault] = Counter()

    def stop_faults(self) -> None:
        """From now on nothing happens."""
        self._kinds.clear()

    def fraction(self, *name: object) -> float:
        """A number in [0, 1) that follows from the seed and `name`."""
        return self._fraction(":".join(map(str, name)))

    def _fraction(self, name: str) -> float:
        digest = hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big") / (1 << 56)

    def choice(self, options: Sequence[T], *name: object) -> T:
        return options[int(self.fraction(*name) * len(options))]

    def rng(self, name: str) -> random.Random:
        """A generator of its own for whoever must have one."""
        return random.Random(f"{self.seed}:{name}")  # noqa: S311 - a simulation

    def occurs(self, fault: Fault, *where: object) -> bool:
        """Whether `fault` happens there."""
        if fault not in self._kinds:
            return False
        name = ":".join(map(str, (fault, *where)))
        happens = self._fraction(name) < RATES[fault] if self.only is None else name in self.only
        if happens:
            self.occurred.append(name)
            self.counts[fault] += 1
        return happens
