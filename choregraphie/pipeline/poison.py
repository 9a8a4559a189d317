"""Deliveries that keep coming back. One of them may be what kills the worker, and each death counts against all
that it holds; so they are tried one at a time, and whoever was tried longest ago comes first.

A killer is tried once, and from then on the innocent go before it; also one that was on trial when something else
killed the worker. They are acknowledged long before the delivery limit, though half a dozen killers came at once;
each of those meets the limit alone.
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

# A delivery returns with every session that is lost, too: twice is nothing unusual, and each trial costs a commit.
SUSPICIOUS_RETURNS = 3
# Where something kills the workers, once is: a second killer would take as many deaths to be noticed as the first.
RETURNS_BESIDE_SUSPECTS = 1
# Who was tried before waits until whatever else a new session brings has come.
PUT_OFF_SECONDS = 0.5
# Who has not killed the worker by then is not waited for any longer: its call may take as long as it may.
TRIAL_SECONDS = 1.0


class PoisonTrials:
    """The suspicious deliveries of one session."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._held: list[Invocation] = []
        self._came = asyncio.Event()
        self._put_off_until = 0.0
        self._on_trial: set[int] = set()
        self._settled = asyncio.Event()

    def take(self, invocation: Invocation) -> bool:
        """Keep `work` for a trial if it is suspicious; whether it is."""
        if invocation.delivery.returns < (
            RETURNS_BESIDE_SUSPECTS if self._held or self._on_trial else SUSPICIOUS_RETURNS
        ):
            return False
        if not self._put_off_until:
            self._put_off_until = asyncio.get_running_loop().time() + PUT_OFF_SECONDS
        self._held.append(invocation)
        self._came.set()
        return True

    async def next(self) -> list[Invocation]:
        """The next event to try, with all its copies: they are as good or as bad as each other.

        It comes when the one before is settled, or has not killed anybody; that it is tried is on disk by then.
        """
        if self._on_trial:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRIAL_SECONDS):
                    await self._settled.wait()
        chosen = await self._chosen()
        tried = [invocation for invocation in self._held if invocation.identity == chosen.identity]
        self._held = [invocation for invocation in self._held if invocation.identity != chosen.identity]
        if not self._held:
            self._came.clear()
        self._on_trial = {invocation.delivery.tag for invocation in tried}
        self._settled.clear()
        log.info("suspect.tried", returns=chosen.delivery.returns, **chosen.bound())
        return tried

    def settled(self, tags: Sequence[int]) -> None:
        self._on_trial.difference_update(tags)
        if not self._on_trial:
            self._settled.set()

    def give_up(self) -> list[Delivery]:
        """No more trials: the deliveries that were not tried."""
        untried = [invocation.delivery for invocation in self._held]
        self._held.clear()
        self._came.clear()
        return untried

    async def _chosen(self) -> Invocation:
        while True:
            await self._came.wait()
            invocation = await self._least_tried(untried=True)
            if invocation is None:
                await asyncio.sleep(self._put_off_until - asyncio.get_running_loop().time())
                invocation = await self._least_tried(untried=False)
            if invocation is not None and invocation in self._held:  # it may have been given back meanwhile
                return invocation

    async def _least_tried(self, *, untried: bool) -> Invocation | None:
        if not self._held:
            return None
        choose = partial(self._context.store.try_one, tuple(self._held), untried)
        with self._context.left_over_if_cancelled(choose):
            return await self._context.retry_until_available(choose)
