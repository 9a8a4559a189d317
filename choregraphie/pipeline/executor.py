"""Executes a batch of invocations in one transaction, with one result for each.

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


def begin_calls(store: Store, batch: list[Invocation]) -> list[tuple[Invocation, ReadView | None]]:
    """Record that the calls of `batch` begin. Return each invocation with its view, or None when it makes no call.

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
    """Execute `batch` in one transaction, and mark the events of ids `published` in the same transaction.

    Raises DatabaseUnavailable when the database does not answer, and ResourceShortage when the worker lacks
    resources: nothing was done, and no delivery is to blame. When that happens half-way, the invocations that were
    executed have results and the others have none.
    """
    failed = [invocation for invocation in batch if invocation.failure is not None]
    healthy = [invocation for invocation in batch if invocation.failure is None]
    try:
        results = store.commit(healthy, published) if healthy else []
        if not healthy:
            store.mark_published(published)
    except ReactionFailed:
        # The invocation that raised gets its immediate second try here; the others are executed.
        store.mark_published(published)
        results, failed = [], healthy + failed
    for invocation in failed:
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
    """Retry later, or give up: commit the refusal and its journal entry, then publish the dead letter."""
    assert invocation.failure is not None  # noqa: S101 - only failed ones come here
    verdict = invocation.handler.retry.policy(delays).after(invocation.failure, invocation.attempt)
    if isinstance(verdict, RetryAfter) or invocation.handler.gives_up is None:
        return Result(invocation.delivery, verdict, invocation=invocation)
    try:
        given_up = store.commit([invocation])[0]
    except ReactionFailed as failure:
        # Without its refusal the order ends by its deadline, and the dead letter calls for a person.
        log.error("refusal.failed", action=invocation.handler.action, exc_info=failure.error, **invocation.bound())
        return Result(invocation.delivery, verdict, invocation=invocation)
    # No events: it was handled before or cancelled meanwhile, and there is nothing left to give up.
    return given_up._replace(verdict=verdict) if given_up.outbox_events else given_up
