"""Executes a batch of invocations in one transaction, with one result for each; records that calls begin.

When a reaction of the batch raises, the transaction is rolled back and each invocation is executed alone. One
whose retries are exhausted is given up: its refusal is published in place of its events, and it becomes a dead
letter.
"""

import structlog

from choregraphie.errors import DatabaseUnavailable, ReactionFailed, ResourceShortage
from choregraphie.service.transaction import ReadView
from choregraphie.service.verdict import RetryAfter
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store

log = structlog.get_logger()


# An invocation with the view for its call, or None when it makes no call.
Begun = tuple[Invocation, ReadView | None]


def begin_calls(store: Store, batch: list[Invocation]) -> list[Begun]:
    """Record that the calls of `batch` begin.

    Raises DatabaseUnavailable when the database does not answer, ResourceShortage when the worker lacks resources.
    """
    try:
        return list(zip(batch, store.begin(batch), strict=True))
    except ReactionFailed as failure:
        if len(batch) == 1:
            return [(batch[0]._replace(failure=failure.error), None)]
        return [pair for invocation in batch for pair in begin_calls(store, [invocation])]


def execute(
    store: Store, batch: list[Invocation], delays: tuple[float, ...], published: list[str]
) -> list[Result]:
    """`execute_and_begin` without calls."""
    return execute_and_begin(store, batch, [], delays, published)[0]


def execute_and_begin(
    store: Store,
    batch: list[Invocation],
    calling: list[Invocation],
    delays: tuple[float, ...],
    published: list[str],
) -> tuple[list[Result], list[Begun]]:
    """Execute `batch` in one transaction; in it, record that the calls of `calling` begin, and mark the events of
    ids `published`.

    Raises DatabaseUnavailable when the database does not answer, and ResourceShortage when the worker lacks
    resources: nothing was done, and no delivery is to blame. When that happens half-way, the invocations that were
    executed have results and the others have none.
    """
    failed = [invocation for invocation in batch if invocation.failure is not None]
    healthy = [invocation for invocation in batch if invocation.failure is None]
    if not healthy and not calling:
        store.mark_published(published)
        return _one_by_one(store, failed, delays, []), []
    try:
        results, views = store.commit_and_begin(healthy, calling, published)
    except ReactionFailed:
        # The invocation that raised gets its immediate second try here; the others are executed.
        store.mark_published(published)
        begun = begin_calls(store, calling)
        return _one_by_one(store, healthy + failed, delays, []), begun
    return _one_by_one(store, failed, delays, results), list(zip(calling, views, strict=True))


def _one_by_one(
    store: Store, batch: list[Invocation], delays: tuple[float, ...], results: list[Result]
) -> list[Result]:
    """Execute each of `batch` alone, and add to `results`."""
    for invocation in batch:
        try:
            results.append(_alone(store, invocation, delays))
        except (DatabaseUnavailable, ResourceShortage):
            if not results:
                raise
            break  # publish these results: executed again, their invocations would be repetitions
    return results


def _alone(store: Store, invocation: Invocation, delays: tuple[float, ...]) -> Result:
    if invocation.failure is not None:
        return _failed(store, invocation, delays)
    try:
        return store.commit([invocation])[0]
    except ReactionFailed as failure:
        log.warning(
            "reaction.failed", action=invocation.handler.action, exc_info=failure.error, **invocation.bound()
        )
        return _failed(store, invocation._replace(failure=failure.error), delays)


def _failed(store: Store, invocation: Invocation, delays: tuple[float, ...]) -> Result:
    """Retry later, or give up: commit the refusal and its journal entry, and return the dead letter to publish."""
    assert invocation.failure is not None  # noqa: S101 - only failed ones come here
    verdict = invocation.handler.retry.policy(delays).after(invocation.failure, invocation.attempt)
    if isinstance(verdict, RetryAfter) or invocation.handler.gives_up is None:
        return Result(invocation.delivery, verdict, invocation=invocation)
    try:
        given_up = store.commit([invocation])[0]
    except ReactionFailed as failure:
        # Without its refusal the instance ends by its deadline, and the dead letter calls for a person.
        log.error("refusal.failed", action=invocation.handler.action, exc_info=failure.error, **invocation.bound())
        return Result(invocation.delivery, verdict, invocation=invocation)
    # No events: it was handled before or cancelled meanwhile, and there is nothing left to give up.
    return given_up._replace(verdict=verdict) if given_up.outbox_events else given_up
