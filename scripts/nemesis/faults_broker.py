"""Faults of the broker: killed, restarted, wiped, frozen, out of memory, a queue deleted under the workers.

On a cluster they hit its first node, except LeaderKill, which hits the leader's node, and
ClusterRestart, which hits all.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scripts.nemesis.targets import TOPOLOGY_SETTLES_SECONDS

if TYPE_CHECKING:
    from scripts.nemesis.targets import Targets

ENOUGH_MEMORY, NO_MEMORY = "0.4", "0.0001"
# A quorum queue with at-least-once dead-lettering that becomes leader while its node still boots calls a process
# (rabbit_fifo_dlx_sup) that does not run yet; after three crashes the queue stays without a server. Seen on
# 3.10.8; rabbitmq-server#16652 reports it for 4.2. Such a queue does not report its messages. An operator restarts
# its server by hand; so does this module, and it notes that in the report.
RESTART_DEAD_QUEUES = (
    "Dead = [Name || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue, "
    "{Name, _} <- [amqqueue:get_pid(Q)], whereis(Name) =:= undefined], "
    "[ra:restart_server(quorum_queues, {Name, node()}) || Name <- Dead], length(Dead)."
)
CRASHES_SECONDS = 2.0
LED = "stock.inbox"
ENOUGH_LOOKS, MOST_ROUNDS = 2, 8


class BrokerKill:
    """SIGKILL; its data stays, but the last stream entries may be lost although they were confirmed."""

    def start(self, targets: Targets) -> None:
        targets.node.kill()
        targets.environment.complete = False

    def stop(self, targets: Targets) -> None:
        start(targets)


class BrokerRestart(BrokerKill):
    """A clean restart; what is confirmed while the node starts may be missing in the stream."""

    def start(self, targets: Targets) -> None:
        targets.node.stop()
        # The queues are there before the writer of the stream is (seen on 3.10.8).
        targets.environment.complete = False


class BrokerWipe(BrokerKill):
    """SIGKILL and all its data deleted: the outboxes and the clients publish everything again."""

    def start(self, targets: Targets) -> None:
        targets.node.wipe()
        targets.environment.complete = False

    def stop(self, targets: Targets) -> None:
        start(targets)
        republish_everything(targets)


class BrokerFreeze:
    """SIGSTOP beyond the heartbeat, then SIGCONT: broker and clients have given each other up."""

    def start(self, targets: Targets) -> None:
        targets.node.freeze()

    def stop(self, targets: Targets) -> None:
        targets.node.thaw()


class LeaderKill:
    """SIGKILL of the cluster node that leads stock.inbox; the others go on, and it comes back."""

    def start(self, targets: Targets) -> None:
        if targets.cluster is None:
            return
        # With a replica missing, a further kill would leave no majority: that would be another fault.
        targets.cluster.await_complete()
        leader = targets.cluster.leader_of(LED)
        workers = "the workers' own" if targets.proxy.current_target == leader.port("amqp") else "not the workers'"
        leader.kill()
        targets.notes.append(f"killed the node that led {LED}, {workers}")

    def stop(self, targets: Targets) -> None:
        if targets.cluster is not None:
            targets.cluster.start()


class ClusterRestart:
    """Every node of the cluster is stopped, and all are started together. The last stream entries may be lost
    although they were confirmed.
    """

    def start(self, targets: Targets) -> None:
        if targets.cluster is not None:
            targets.cluster.await_complete()
            targets.cluster.stop()
            targets.environment.complete = False

    def stop(self, targets: Targets) -> None:
        if targets.cluster is not None:
            targets.cluster.start_members()
            restart_until_calm(targets)
            targets.cluster.await_complete()
            targets.notes.append("restarted every node")


class QueueDeleted:
    """An inbox is deleted with its messages; the worker declares another, and its messages are published again."""

    def start(self, targets: Targets) -> None:
        service = targets.rng.choice(targets.environment.workers.slots).service
        targets.environment.management.delete_queue(f"{service}.inbox")

    def stop(self, targets: Targets) -> None:
        republish_everything(targets)


class MemoryAlarm:
    """The memory alarm is raised: publishers are blocked."""

    def start(self, targets: Targets) -> None:
        targets.node.control("set_vm_memory_high_watermark", NO_MEMORY)

    def stop(self, targets: Targets) -> None:
        targets.node.control("set_vm_memory_high_watermark", ENOUGH_MEMORY)


def start(targets: Targets) -> None:
    """Start the node and the queue servers that did not come up. Raises RuntimeError when they never do."""
    targets.node.start()
    restart_until_calm(targets)


def restart_until_calm(targets: Targets) -> None:
    """Restart queue servers until two checks in a row find none dead."""
    calm = 0
    for _ in range(MOST_ROUNDS):
        time.sleep(CRASHES_SECONDS)
        calm = 0 if restart_dead_queues(targets) else calm + 1
        if calm == ENOUGH_LOOKS:
            return
    raise RuntimeError(f"after {MOST_ROUNDS} rounds the broker still has queues without a server")


def restart_dead_queues(targets: Targets) -> int:
    """Restart the servers of dead queues, and note it. Returns how many were dead."""
    nodes = targets.cluster.members if targets.cluster else [targets.node]
    dead = sum(int(node.control("eval", RESTART_DEAD_QUEUES)) for node in nodes)
    if dead:
        targets.notes.append(f"{dead} queues had no server after the broker's start; started by hand")
    return dead


def republish_everything(targets: Targets, seconds: float = 90) -> None:
    """What an operator does after the broker has lost messages."""
    targets.environment.restart_until_ready(seconds)
    time.sleep(TOPOLOGY_SETTLES_SECONDS)
    targets.run_command("outbox", "resend", "--since", "1h")
    targets.environment.client.publish_again([m for m in list(targets.environment.client.messages) if m.confirmed])
