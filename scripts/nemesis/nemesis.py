"""The faults, and their schedule drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.nemesis.faults_broker import (
    BrokerFreeze,
    BrokerKill,
    BrokerRestart,
    BrokerWipe,
    ClusterRestart,
    LeaderKill,
    MemoryAlarm,
    QueueDeleted,
)
from scripts.nemesis.faults_database import DiskFull, Locked, PostgresKill
from scripts.nemesis.faults_message import Duplicates, Poison, Redrive, Rubbish
from scripts.nemesis.faults_network import Cut, Delay, Flapping, StallDown, StallUp, Throttle
from scripts.nemesis.faults_process import Freeze, Kill, KillAll, Leave, MonitorKill, RollingRestart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scripts.nemesis.targets import Fault


@dataclass(frozen=True)
class Kind:
    """How to create a fault, the range of its duration, and its weight in the draw."""

    create: Callable[[], Fault]
    seconds: tuple[float, float] = (0.0, 0.0)
    weight: int = 3


# A lost peer is noticed after three heartbeats of ten seconds: a shorter silence would test nothing.
FAULTS: dict[str, Kind] = {
    "kill": Kind(Kill, weight=8),
    "kill_all": Kind(KillAll, weight=3),
    "monitor_kill": Kind(MonitorKill, weight=2),
    "leave": Kind(Leave),
    "rolling_restart": Kind(RollingRestart, weight=1),
    "freeze": Kind(Freeze, (35, 45)),
    "broker_kill": Kind(BrokerKill, (0.5, 6)),
    "broker_restart": Kind(BrokerRestart, (0.5, 3), weight=2),
    "broker_wipe": Kind(BrokerWipe, (0.5, 3), weight=1),
    "queue_deleted": Kind(QueueDeleted, (1, 3), weight=1),
    "memory_alarm": Kind(MemoryAlarm, (30, 30), weight=2),
    "broker_freeze": Kind(BrokerFreeze, (45, 45), weight=1),
    "leader_kill": Kind(LeaderKill, (8, 14), weight=4),
    "cluster_restart": Kind(ClusterRestart, (0.5, 3), weight=1),
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
# Two of these at the same time would cancel each other.
NETWORK = {"cut", "stall_up", "stall_down", "delay", "throttle", "flapping"}
CLUSTER_ONLY = {"leader_kill", "cluster_restart"}
BROKER = CLUSTER_ONLY | {
    "broker_kill",
    "broker_restart",
    "broker_wipe",
    "broker_freeze",
    "queue_deleted",
    "memory_alarm",
}
# A cluster node that lost its data, or was taken for dead, needs an operator.
SINGLE_NODE_ONLY = {"broker_wipe", "broker_freeze"}
# After these an operator publishes everything again, which needs all else to work: no other fault may overlap.
NEEDS_REPUBLISHING = {"broker_wipe", "queue_deleted"}
# The share of faults that begin before the one before has ended.
OVERLAP_PROBABILITY = 0.3


@dataclass(frozen=True)
class ScheduledFault:
    """A fault, its start (`at`, seconds from the beginning), its duration, and the seed of its random choices."""

    at: float
    fault: str
    seconds: float
    seed: int

    @property
    def until(self) -> float:
        return self.at + self.seconds


def schedule(minutes: float, seed: int, faults: Iterable[str]) -> list[ScheduledFault]:
    """The same schedule for the same arguments: each of `faults` once in random order, then by weight."""
    rng = random.Random(seed)
    names = sorted(faults)
    first = rng.sample(names, len(names))
    turns: list[ScheduledFault] = []
    now = 3.0
    while now < minutes * 60:
        name = first.pop() if first else rng.choices(names, [FAULTS[name].weight for name in names])[0]
        seconds = rng.uniform(*FAULTS[name].seconds)
        turn = ScheduledFault(max(now, _free(turns, name)), name, seconds, rng.getrandbits(32))
        turns.append(turn)
        pause = rng.uniform(1.0, 4.0)
        mixed = rng.random() < OVERLAP_PROBABILITY and name not in NEEDS_REPUBLISHING
        now = turn.at + (rng.uniform(0.5, 2.0) if mixed else seconds + pause)
    return sorted((turn for turn in turns if turn.until <= minutes * 60 + 30), key=lambda turn: turn.at)


def _free(turns: list[ScheduledFault], name: str) -> float:
    """The earliest time at which no fault that conflicts with `name` is active."""
    rivals = next((group for group in (NETWORK, BROKER) if name in group), {name})
    if name in NEEDS_REPUBLISHING:
        rivals = set(FAULTS)
    return max((turn.until + 2.0 for turn in turns if turn.fault in rivals), default=0.0)


def faults_for(database: str, broker: str, *, disk: bool) -> list[str]:
    """The faults that are possible with this database and broker. `disk`: a small disk can be filled."""
    without = {"postgres_kill"} if database == "sqlite" else {"disk_full"}
    without |= SINGLE_NODE_ONLY if broker == "cluster" else CLUSTER_ONLY
    return [name for name in FAULTS if name not in without and (disk or name != "disk_full")]
