"""The randomness of a run: each draw follows from the seed and the name of its place, not from an order of calls.

A draw has a name (`latency:stock.inbox:…`) that determines its value together with the seed. Leaving out an action
or a fault therefore changes no other draw, which is what makes shrinking possible.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Fault(StrEnum):
    """The kinds of faults."""

    # The hash of an enumeration is a Python function; it would run some hundred times per order.
    __hash__ = str.__hash__

    CRASH = "crash"  # a worker dies at a failpoint of the pipeline
    KILL = "kill"  # a worker dies at any moment
    STOP = "stop"  # SIGTERM, and a new worker after it
    POISON = "poison"  # a message kills every worker that takes it
    CUT = "cut"  # a session is lost
    ACK_LOST = "ack_lost"  # a session is lost before its acknowledgement arrives
    CONFIRM_LOST = "confirm_lost"  # the broker accepts it, and the confirm is lost
    PUBLISH_LOST = "publish_lost"  # the broker never receives it
    REFUSED = "refused"  # a queue is full
    RETURNED = "returned"  # a binding is missing
    RESTART = "restart"  # the broker is down for a while
    TWICE = "twice"  # a message comes twice
    LATE = "late"  # a message is overtaken by those after it
    OUTAGE = "outage"  # the gateway or the carrier is down for a while
    CALL_FAILED = "call_failed"  # the gateway or the carrier is not reached
    ANSWER_LOST = "answer_lost"  # the call succeeded, and its answer is lost
    ANSWER_LATE = "answer_late"  # the call succeeded, and its answer comes after the timeout
    CARD_REFUSED = "card_refused"  # the gateway refuses the card


# The probability of each fault at each place where it can occur, in a run that has its kind.
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
    """The draws of one run. With `only`, exactly the faults of those names occur; without, the seed decides."""

    def __init__(self, seed: int, only: Collection[str] | None = None) -> None:
        self.seed = seed
        self.only = None if only is None else frozenset(only)
        # Each run has half of the kinds: with all of them at once, interactions of two would be rare.
        self._kinds = {fault for fault in Fault if only is not None or self.fraction("kind", fault) < 0.5}
        self.occurred: list[str] = []
        self.counts: Counter[Fault] = Counter()

    def stop_faults(self) -> None:
        """Let no fault occur from now on."""
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
        """A random generator that follows from the seed and `name`."""
        return random.Random(f"{self.seed}:{name}")  # noqa: S311 - a simulation

    def may_occur(self, fault: Fault) -> bool:
        """Whether this run has faults of that kind, now."""
        return fault in self._kinds

    def occurs(self, fault: Fault, *where: object) -> bool:
        """Whether `fault` occurs at that place. One that does is recorded in `occurred` and `counts`."""
        if fault not in self._kinds:
            return False
        name = ":".join(map(str, (fault, *where)))
        happens = self._fraction(name) < RATES[fault] if self.only is None else name in self.only
        if happens:
            self.occurred.append(name)
            self.counts[fault] += 1
        return happens
