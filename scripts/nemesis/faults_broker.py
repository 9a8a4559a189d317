"""Faults of the broker: killed, restarted, wiped, frozen, out of memory, a queue deleted under the workers.

On a cluster they are those of its first node, except for the kill of a leader, whichever node that is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scripts.nemesis.targets import TOPOLOGY_SETTLES_SECONDS

if TYPE_CHECKING:
    from scripts.nemesis.targets import Stage

ENOUGH_MEMORY, NO_MEMORY = "0.4", "0.0001"
# A quorum queue with at-least-once dead-lettering that becomes leader while its node still boots calls a process
# (rabbit_fifo_dlx_sup) that is not there yet; after three crashes the queue is without a server for good. Seen on
# 3.10.8; rabbitmq-server#16652 tells it of 4.2. Such a queue does not say what it holds. An operator restarts its
# server by hand; so do we, and say so.
RESTART_THE_DEAD = (
    "Dead = [Name || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue, "
    "{Name, _} <- [amqqueue:get_pid(Q)], whereis(Name) =:= undefined], "
    "[ra:restart_server(quorum_queues, {Name, node()}) || Name <- Dead], length(Dead)."
)
CRASHES_SECONDS = 2.0
LED = "stock.inbox"
ENOUGH_LOOKS, MOST_ROUNDS = 2, 8


class BrokerKill:
    """SIGKILL, its data kept; only the last of the stream may be gone, for its confirm is no promise."""

    def start(self, stage: Stage) -> None:
        stage.node.kill()
        stage.arena.complete = False

    def stop(self, stage: Stage) -> None:
        start(stage)


class BrokerRestart(BrokerKill):
    """A clean restart."""

    def start(self, stage: Stage) -> None:
        stage.node.stop()


class BrokerWipe(BrokerKill):
    """SIGKILL, and everything it held is gone: the outboxes and the clients say it all again."""

    def start(self, stage: Stage) -> None:
        stage.node.wipe()
        stage.arena.complete = False

    def stop(self, stage: Stage) -> None:
        start(stage)
        say_it_all_again(stage)


class BrokerFreeze:
    """SIGSTOP past the heartbeat, then SIGCONT: its clients have given it up meanwhile, and it them."""

    def start(self, stage: Stage) -> None:
        stage.node.freeze()

    def stop(self, stage: Stage) -> None:
        stage.node.thaw()


class LeaderKill:
    """SIGKILL of the node of a cluster that leads the stock's inbox; the others go on, and it comes back."""

    def start(self, stage: Stage) -> None:
        if stage.cluster is None:
            return
        # With a copy missing, the death of one node more is another fault: nobody would have a majority.
        stage.cluster.await_whole()
        leader = stage.cluster.leader_of(LED)
        workers = "the workers' own" if stage.proxy.leads_to == leader.port("amqp") else "not the workers'"
        leader.kill()
        stage.notes.append(f"killed the node that led {LED}, {workers}")

    def stop(self, stage: Stage) -> None:
        if stage.cluster is not None:
            stage.cluster.start()


class QueueDeleted:
    """An inbox is deleted with all it holds; the worker makes another, and what was lost is said again."""

    def start(self, stage: Stage) -> None:
        service = stage.rng.choice(stage.arena.fleet.slots).service
        stage.arena.management.delete_queue(f"{service}.inbox")

    def stop(self, stage: Stage) -> None:
        say_it_all_again(stage)


class MemoryAlarm:
    """The broker says that it has no memory left: whoever publishes is blocked."""

    def start(self, stage: Stage) -> None:
        stage.node.control("set_vm_memory_high_watermark", NO_MEMORY)

    def stop(self, stage: Stage) -> None:
        stage.node.control("set_vm_memory_high_watermark", ENOUGH_MEMORY)


def start(stage: Stage) -> None:
    """Start the node, and the servers of queues that did not come up. Raises RuntimeError when they never do.

    On a slow machine the last crash can come after a look: two looks in a row that find none dead are believed.
    """
    stage.node.start()
    calm = 0
    for _ in range(MOST_ROUNDS):
        time.sleep(CRASHES_SECONDS)
        calm = 0 if restart_the_dead(stage) else calm + 1
        if calm == ENOUGH_LOOKS:
            return
    raise RuntimeError(f"after {MOST_ROUNDS} rounds the broker still has queues without a server")


def restart_the_dead(stage: Stage) -> int:
    """Start the servers of queues that have none, and note it; how many there were."""
    dead = int(stage.node.control("eval", RESTART_THE_DEAD))
    if dead:
        stage.notes.append(f"{dead} queues had no server after the broker's start; started by hand")
    return dead


def say_it_all_again(stage: Stage, seconds: float = 90) -> None:
    """What an operator does about a broker that has lost messages."""
    deadline = time.monotonic() + seconds
    while not stage.arena.ready() and time.monotonic() < deadline:
        stage.arena.fleet.revive()
        time.sleep(0.2)
    time.sleep(TOPOLOGY_SETTLES_SECONDS)
    stage.operate("outbox", "resend", "--since", "1h")
    stage.arena.client.say_again([m for m in list(stage.arena.client.messages) if m.confirmed])
