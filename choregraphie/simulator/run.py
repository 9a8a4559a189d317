"""One run: workers, clients and faults; then a time without faults, the operator, quiet; then the invariants."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from choregraphie import Settings
from choregraphie.failpoints import watched
from choregraphie.saga.topology import HISTORY, dlq, topology
from choregraphie.simulator.broker_model import Broker
from choregraphie.simulator.clients import Clients, Operator
from choregraphie.simulator.clock import VirtualLoop
from choregraphie.simulator.databases import Databases
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.isolation import without_garbage_collection, without_logs
from choregraphie.simulator.network import AWAY_SECONDS, GRID_SECONDS, Network
from choregraphie.simulator.plan import Plan
from choregraphie.simulator.randomness import Fault, Randomness
from choregraphie.simulator.scenario import run_parameters
from choregraphie.simulator.shared_reading import Envelopes
from choregraphie.simulator.trace import Trace
from choregraphie.simulator.workers import LEAVE_SECONDS, Worker, create_worker, reach_failpoint

FAULTS_SECONDS = 2.5
_NEMESIS_HOPS = 4
_POLL_HOPS = 5
# Far longer than every delay of a run's settings: what is not done by then never will be.
QUIET_WITHIN_SECONDS = 300.0

ExtraCheck = Callable[[Any], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    found            the violations
    final_state      what the run left, for the invariants
    occurred         the names of the faults that occurred; as `Plan.faults` they repeat the run
    faults           how many of each kind occurred
    virtual_seconds  the duration of the run in virtual time
    sagas            the number of instances
    speakers         the client and the services, in the order of a diagram
    """

    plan: Plan
    found: tuple[str, ...]
    final_state: Any
    trace: Trace
    occurred: tuple[str, ...]
    faults: Counter[Fault]
    virtual_seconds: float
    sagas: int
    speakers: tuple[str, ...]


@dataclass
class _Simulation:
    plan: Plan
    databases: Databases
    loop: VirtualLoop = field(default_factory=VirtualLoop)

    def __post_init__(self) -> None:
        self.scenario = self.databases.scenario
        self.randomness = Randomness(self.plan.seed, self.plan.faults)
        self.trace = Trace(self.loop.time)
        services = list(self.databases.services)
        self.parameters = run_parameters(self.plan.seed, services)
        self.settings = self._settings()
        model = Broker(
            topology(self.scenario.saga_set, self.parameters.retry_delays),
            self.parameters.version,
            self.parameters.delivery_limit,
        )
        self.network = Network(self.loop, model, self.randomness, self.trace)
        self.externals = self.scenario.externals(self.randomness, self.trace)
        self.clients = Clients(self.network, self.scenario.workload.message_of)
        self.operator = Operator(self.network)
        self.envelopes: Envelopes = {}
        self.workers = [
            self._worker(name, n + 1) for name in services for n in range(self.parameters.workers[name])
        ]

    def _settings(self) -> Settings:
        return Settings(
            database_url="sqlite://",
            catalogue=self.scenario.seed,
            retry_delays=self.parameters.retry_delays,
            hold_after=self.parameters.hold_after,
            longest_hold=self.parameters.longest_hold,
            probe_every=0.2,
            deadline=self.parameters.deadline,
            prefetch=self.parameters.prefetch,
            call_timeout=0.3,
        )

    def _worker(self, service: str, number: int) -> Worker:
        externals = self.externals.get(service)
        return create_worker(
            f"{service}-{number}",
            self.databases.services[service],
            self.databases,
            self.settings,
            self.network,
            externals,
            self.envelopes,
        )

    async def run(self) -> list[str]:
        """Run to the end. Returns what should not exist after a run."""
        processes = [asyncio.create_task(worker.run()) for worker in self.workers]
        client_tasks = [asyncio.create_task(self.clients.perform(action)) for action in self.plan.actions]
        await self._nemesis()
        self.randomness.stop_faults()
        for action in client_tasks:
            await action
        is_quiet = await self._until_quiet()
        if self.parameters.redrives and await self.operator.redrive(
            list(self.databases.services), self.parameters.redrives
        ):
            is_quiet = await self._until_quiet() and is_quiet
        self.trace.closed = True  # the rest is the same in every run
        for worker in self.workers:
            worker.end()
        _, late = await asyncio.wait(processes, timeout=LEAVE_SECONDS)
        return [*self._leftovers(is_quiet), *(f"a worker is not out after {LEAVE_SECONDS} s" for _ in late)]

    async def _nemesis(self) -> None:
        """Inject faults into workers and broker from time to time, until FAULTS_SECONDS have passed."""
        for turn in range(int(FAULTS_SECONDS / GRID_SECONDS / _NEMESIS_HOPS)):
            await self.network.pause(_NEMESIS_HOPS)
            for worker in self.workers:
                self._inject(worker, turn)
            if turn in self.parameters.early_redrives:
                await self.operator.redrive(list(self.databases.services), 1)
            if self.randomness.occurs(Fault.RESTART, turn):
                self.network.go_down("the broker")
                await self.network.pause(self.randomness.choice(AWAY_SECONDS, "away", turn) / GRID_SECONDS)
                self.network.come_up("the broker")

    def _inject(self, worker: Worker, turn: int) -> None:
        if self.randomness.occurs(Fault.KILL, worker.name, turn):
            worker.crash("is killed")
        elif self.randomness.occurs(Fault.CUT, worker.name, turn):
            worker.disconnect("the network broke it")
        elif self.randomness.occurs(Fault.STOP, worker.name, turn):
            worker.stop()

    async def _until_quiet(self) -> bool:
        """Wait until nothing is left to do. Returns whether that came within QUIET_WITHIN_SECONDS."""
        end = self.loop.now + QUIET_WITHIN_SECONDS
        while self.loop.now < end:
            await self.network.pause(_POLL_HOPS)
            alive = all(worker.is_alive for worker in self.workers)
            if (
                alive
                and self.network.is_idle()
                and not self.databases.unpublished()
                and not self.databases.undecided()
            ):
                return True
        return False

    def _leftovers(self, is_quiet: bool) -> Iterator[str]:
        if not is_quiet:
            yield f"not quiet after {QUIET_WITHIN_SECONDS} s"
        for queue in self.network.broker.queues.values():
            if queue.undeliverable or queue.unacked:
                yield f"{queue.name}: {len(queue.undeliverable)} hidden, {queue.unacked} unacknowledged"
            if self.network.sessions[queue.name]:
                yield f"{queue.name} still has a consumer"
        for worker in self.workers:
            yield from worker.failures
        yield from self.loop.errors

    def final_state(self, remains: Sequence[str]) -> FinalState:
        model = self.network.broker
        return self.scenario.final_state(
            tables={name: self.databases.tables(name) for name in self.databases.services},
            dead={name: list(model.queues[dlq(name)]) for name in self.databases.services},
            history=[entry.message for entry in model.streams[HISTORY].entries],
            actions=self.clients.confirmed,
            externals=self.scenario.externals_content(self.externals),
            # Only a service that makes external calls can fail: the databases of a simulation never do.
            may_fail=[
                name for name, s in self.databases.services.items() if any(handler.call for handler in s.reactions)
            ],
            remains=remains,
        )


def run_plan(plan: Plan, databases: Databases, extra_check: ExtraCheck | None = None) -> Outcome:
    """Carry out `plan`. `extra_check` adds violations to those of the scenario, from the same final state."""
    with without_garbage_collection(), without_logs(), watched(reach_failpoint):
        return _run_plan(plan, databases, extra_check)


def _run_plan(plan: Plan, databases: Databases, extra_check: ExtraCheck | None) -> Outcome:
    databases.reset()
    simulation = _Simulation(plan, databases)
    try:
        remains = simulation.loop.run_until_complete(simulation.run())
    finally:
        simulation.loop.close()
    state = simulation.final_state(remains)
    found = [*simulation.scenario.violations(state), *(extra_check(state) if extra_check else ())]
    return Outcome(
        plan,
        tuple(found),
        state,
        simulation.trace,
        tuple(simulation.randomness.occurred),
        simulation.randomness.counts,
        simulation.loop.now,
        len(state.said),
        simulation.scenario.choreography.speakers,
    )
