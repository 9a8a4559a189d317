"""How much an operator reads until a fault is found: fixed commands, one after another, from the tools alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.comparison.live_system import live_system

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.benchmarks.system.broker import Broker
    from scripts.benchmarks.system.contenders import Contender
    from scripts.comparison.faults import Fault

KEY = "KEY"
# What `docs/operations.md` begins with, and then ever closer. KEY: the order that somebody complains about.
LADDER = (
    ("saga_monitor", "anomalies"),
    ("saga_monitor", "show", KEY),
    ("services", "dlq", "list"),
    ("services", "doctor"),
    ("services", "outbox", "list"),
    ("services", "journal", KEY),
)
# At last the end of the log of the service for whose answer the order waits.
LOG_LINES = 20


class Wanted(NamedTuple):
    """What must be named: the service, the type of the message, and the cause (a pattern)."""

    service: str
    message: str
    cause: str


def measure(wiring: Contender, fault: Fault, broker: Broker, name: str) -> dict[str, Any]:
    """Inject the fault, and read until it is named."""
    wanted = Wanted(fault.services[wiring.name], fault.messages[wiring.name], fault.cause)
    outputs: list[str] = []
    with live_system(wiring, broker, name) as system, fault.inject(system) as key:
        for command in LADDER:
            outputs.append(system.read(*(key if part == KEY else part for part in command)))
            if named(outputs, wanted):
                break
        else:
            # The monitor sends the reader there when nothing else tells.
            outputs.append(system.end_of_log(wanted.service, LOG_LINES))
    return {"fault": fault.name, "wiring": wiring.name} | summary(outputs, wanted)


def named(outputs: Sequence[str], wanted: Wanted) -> bool:
    """Whether one output names the cause together with the service, and any output the message."""
    cause = any(re.search(wanted.cause, output) and _word(wanted.service, output) for output in outputs)
    return cause and any(_word(wanted.message, output) for output in outputs)


def _word(word: str, text: str) -> bool:
    # `stock` is not named by `stock.reserve`: that is the name of a message.
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w]|\.\w)", text) is not None


def summary(outputs: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    """The commands and the lines that were read, and whether that was enough."""
    lines = sum(bool(line.strip()) for output in outputs for line in output.splitlines())
    return {
        "service": wanted.service,
        "message": wanted.message,
        "commands": len(outputs),
        "lines": lines,
        "named": named(outputs, wanted),
    }
