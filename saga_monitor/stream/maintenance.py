"""Keeps the file up with the stream, and small, through a file that cannot be written for a while."""

import asyncio
from typing import Protocol

from choregraphie import DatabaseRefused
from saga_monitor.projection.retention import prune_for_ever
from saga_monitor.projection.store import Store
from saga_monitor.stream.follower import Listener, Opening, follow

DATABASE_SECONDS = 5.0


class Witness(Listener, Protocol):
    """A listener that remembers whether the reading ever worked."""

    ever_read: bool


async def keep_up(opening: Opening, store: Store, witness: Witness) -> None:
    """Follow the history. What the file refuses at first is a person's to mend; later it is said and retried."""
    while True:
        try:
            await follow(opening, store, witness)
        except DatabaseRefused as error:
            if not witness.ever_read:
                raise
            witness.link("database trouble", str(error))
            await asyncio.sleep(DATABASE_SECONDS)


async def keep_small(store: Store, keep_days: float) -> None:
    """Prune for ever; a file that cannot be written now is pruned later."""
    while True:
        try:
            await prune_for_ever(store, keep_days)
        except DatabaseRefused:
            await asyncio.sleep(DATABASE_SECONDS)
