"""The faults that there are, and a schedule of them chosen by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.nemesis.faults_broker import (
    BrokerFreeze,
    BrokerKill,
    BrokerRestart,
    BrokerWipe,
    LeaderKill,
    MemoryAlarm,
    QueueDeleted,
)
from scripts.nemesis.faults_database import DiskFull, Locked, PostgresKill
from scripts.nemesis.faults_message import Duplicates, Poison, Redrive, Rubbish
from scripts.nemesis.faults_network import Cut, Delay, Flapping, StallDown, StallUp, Throttle
from scripts.nemesis.faults_process import Freeze, Kill, KillAll, Leave, MonitorKill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scripts.nemesis.targets import Fault


@dataclass(frozen=True)
class Kind:
    """How to make it, how long it may last, and how often it comes against the others."""

    make: Callable[[], Fault]
    seconds: tuple[float, float] = (0.0, 0.0)
    weight: int = 3


# A silence is noticed after three heartbeats of ten seconds: what is shorter than that tests nothing of it.
FAULTS: dict[str, Kind] = {
    "kill": Kind(Kill, weight=8),
    "kill_all": Kind(KillAll, weight=3),
    "monitor_kill": Kind(MonitorKill, weight=2),
    "leave": Kind(Leave),
    "freeze": Kind(Freeze, (35, 45)),
    "broker_kill": Kind(BrokerKill, (0.5, 6)),
    "broker_restart": Kind(BrokerRestart, (0.5, 3), weight=2),
    "broker_wipe": Kind(BrokerWipe, (0.5, 3), weight=1),
    "queue_deleted": Kind(QueueDeleted, (1, 3), weight=1),
    "memory_alarm": Kind(MemoryAlarm, (30, 30), weight=2),
    "broker_freeze": Kind(BrokerFreeze, (45, 45), weight=1),
    "leader_kill": Kind(LeaderKill, (8, 14), weight=4),
    "cut": Kind(Cut, (3, 8), weight=5),
    "stall_up": Kind(StallUp, (35, 50), weight=2),
    "stall_down": Kind(StallDown, (35, 50), weight=2),
    "delay": Kind(Delay, (5, 12)),
    "throttle": Kind(Throttle, (5, 12), weight=2),
    "flapping": Kind(Flapping, (60, 60), weight=1),
    "db_locked": Kind(Locked, (10, 12)),
    "disk_full": Kind(DiskFull, (10, 12)),
    "postgres_kill": Kind(PostgresKill, (0.5, 5), weight=5),
    "duplicates": Kind(Duplicates),
    "redrive": Kind(Redrive, weight=2),
    "rubbish": Kind(Rubbish),
    "poison": Kind(Poison),
}
# Two of these at once would undo each other.
NETWORK = {"cut", "stall_up", "stall_down", "delay", "throttle", "flapping"}
OF_A_CLUSTER = {"leader_kill"}
BROKER = OF_A_CLUSTER | {
    "broker_kill",
    "broker_restart",
    "broker_wipe",
    "broker_freeze",
    "queue_deleted",
    "memory_alarm",
}
# A node of a cluster that has lost its memory, or has been thought dead, needs an operator.
OF_A_BROKER_ALONE = {"broker_wipe", "broker_freeze"}
# After these an operator says everything again, for which all else must work: they are not mixed with others.
HEALED_BY_HAND = {"broker_wipe", "queue_deleted"}
# Three in ten faults begin before the one before has ended.
MIXED = 0.3


@dataclass(frozen=True)
class Turn:
    """A fault, when it begins (seconds from the start), how long it lasts, and the dice it throws."""

    at: float
    fault: str
    seconds: float
    seed: int

    @property
    def until(self) -> float:
        return self.at + self.seconds


def schedule(minutes: float, seed: int, faults: Iterable[str]) -> list[Turn]:
    """The same turns for the same arguments: all `faults` once in a random order, then by their weights."""
    rng = random.Random(seed)
    names = sorted(faults)
    first = rng.sample(names, len(names))
    turns: list[Turn] = []
    now = 3.0
    while now < minutes * 60:
        name = first.pop() if first else rng.choices(names, [FAULTS[name].weight for name in names])[0]
        seconds = rng.uniform(*FAULTS[name].seconds)
        turn = Turn(max(now, _free(turns, name)), name, seconds, rng.getrandbits(32))
        turns.append(turn)
        pause = rng.uniform(1.0, 4.0)
        mixed = rng.random() < MIXED and name not in HEALED_BY_HAND
        now = turn.at + (rng.uniform(0.5, 2.0) if mixed else seconds + pause)
    return sorted((turn for turn in turns if turn.until <= minutes * 60 + 30), key=lambda turn: turn.at)


def _free(turns: list[Turn], name: str) -> float:
    """When nothing is under way that `name` would disturb."""
    rivals = next((group for group in (NETWORK, BROKER) if name in group), {name})
    if name in HEALED_BY_HAND:
        rivals = set(FAULTS)
    return max((turn.until + 2.0 for turn in turns if turn.fault in rivals), default=0.0)


def faults_for(database: str, broker: str, *, disk: bool) -> list[str]:
    """The faults that make sense with these; `disk` says whether a disk may be filled."""
    without = {"postgres_kill"} if database == "sqlite" else {"disk_full"}
    without |= OF_A_BROKER_ALONE if broker == "cluster" else OF_A_CLUSTER
    return [name for name in FAULTS if name not in without and (disk or name != "disk_full")]
