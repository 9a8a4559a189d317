"""Deliveries that are returned again and again. One of them may kill the worker, and each such crash counts
towards the delivery limit of every delivery that the worker holds. So they are tried one at a time: first those
that were never tried, then the one whose last trial is the oldest.

A message that kills the worker is tried once; from then on the others go before it, and so does one that was on
trial when something else killed the worker. The others are acknowledged long before the delivery limit, even with
six such messages at once. Each of those reaches the limit alone.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

import structlog

from choregraphie.messaging import Delivery
from choregraphie.pipeline.context import WorkerContext
from choregraphie.storage.invocation import Invocation

log = structlog.get_logger()

# A lost session returns its deliveries too, so two returns are usual, and each trial costs a commit.
SUSPICIOUS_RETURNS = 3
# While one delivery is suspicious, one return is enough: a second killer would otherwise need as many crashes to
# be noticed as the first.
RETURNS_BESIDE_OTHERS = 1
# Delays deliveries that were tried before until the first batch of the new session has arrived.
DELAY_SECONDS = 0.5
# A delivery on trial that has not killed the worker by then is not waited for any longer: its call may take long.
TRIAL_SECONDS = 1.0


class PoisonTrials:
    """The suspicious deliveries of one session."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._held: list[Invocation] = []
        self._arrived = asyncio.Event()
        self._delayed_until = 0.0
        self._on_trial: set[int] = set()
        self._acked = asyncio.Event()

    def take(self, invocation: Invocation) -> bool:
        """Keep `invocation` for a trial if it is suspicious. Return whether it is."""
        if invocation.delivery.returns < (
            RETURNS_BESIDE_OTHERS if self._held or self._on_trial else SUSPICIOUS_RETURNS
        ):
            return False
        if not self._delayed_until:
            self._delayed_until = asyncio.get_running_loop().time() + DELAY_SECONDS
        self._held.append(invocation)
        self._arrived.set()
        return True

    async def next(self) -> list[Invocation]:
        """Wait for the next event to try, and return all its copies, which do the same harm.

        The trial before it is over by then: acknowledged, or TRIAL_SECONDS old. The new one is recorded on disk.
        """
        if self._on_trial:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRIAL_SECONDS):
                    await self._acked.wait()
        chosen = await self._chosen()
        tried = [invocation for invocation in self._held if invocation.identity == chosen.identity]
        self._held = [invocation for invocation in self._held if invocation.identity != chosen.identity]
        if not self._held:
            self._arrived.clear()
        self._on_trial = {invocation.delivery.tag for invocation in tried}
        self._acked.clear()
        log.info("poison.trial_started", returns=chosen.delivery.returns, **chosen.bound())
        return tried

    def acked(self, tags: Sequence[int]) -> None:
        """These deliveries are handled: they are acknowledged, or will be with the next ones."""
        self._on_trial.difference_update(tags)
        if not self._on_trial:
            self._acked.set()

    def give_up(self) -> list[Delivery]:
        """End the trials. Return the deliveries that were not tried."""
        untried = [invocation.delivery for invocation in self._held]
        self._held.clear()
        self._arrived.clear()
        return untried

    async def _chosen(self) -> Invocation:
        while True:
            await self._arrived.wait()
            invocation = await self._next_suspect(untried=True)
            if invocation is None:
                await asyncio.sleep(self._delayed_until - asyncio.get_running_loop().time())
                invocation = await self._next_suspect(untried=False)
            if invocation is not None and invocation in self._held:  # it may have been requeued meanwhile
                return invocation

    async def _next_suspect(self, *, untried: bool) -> Invocation | None:
        if not self._held:
            return None
        choose = partial(self._context.store.choose_suspect, tuple(self._held), untried=untried)
        with self._context.left_over_if_cancelled(choose):
            return await self._context.retry_until_available(choose)
