"""Executes invocations: a group in one transaction, a result for each.

When a reaction of the group raises, the transaction is undone and each invocation is carried out alone. An
invocation that has exhausted its retries is given up: its refusal is said in its place, and it becomes a dead
letter.
"""

import structlog

from choregraphie.errors import DatabaseUnavailable, ReactionFailed, ResourceShortage
from choregraphie.service.transaction import ReadView
from choregraphie.service.verdict import RetryAfter, RetryPolicy
from choregraphie.storage.invocation import Invocation, Result
from choregraphie.storage.store import Store

log = structlog.get_logger()


def begin_calls(store: Store, group: list[Invocation]) -> list[tuple[Invocation, ReadView | None]]:
    """Note that the calls of `group` are about to be made: each invocation with its view, or None to make no call.

    Raises DatabaseUnavailable when the database does not answer, ResourceShortage when the worker itself cannot.
    """
    try:
        return list(zip(group, store.begin(group), strict=True))
    except ReactionFailed as failure:
        if len(group) == 1:
            return [(group[0]._replace(failure=failure.error), None)]
        return [pair for invocation in group for pair in begin_calls(store, [invocation])]


def execute(store: Store, group: list[Invocation], delays: tuple[float, ...], said: list[str]) -> list[Result]:
    """Carry out `group` in one transaction, and mark the events `said` as said in the same.

    Raises DatabaseUnavailable when the database does not answer, and ResourceShortage when the worker's own
    resources do not suffice: nothing was done, and no delivery is to blame. When that happens half-way, there are
    results for those that were done, and none for the rest.
    """
    failed = [invocation for invocation in group if invocation.failure is not None]
    healthy = [invocation for invocation in group if invocation.failure is None]
    try:
        results = store.commit(healthy, said) if healthy else []
        if not healthy:
            store.mark_said(said)
    except ReactionFailed:
        # The invocation that raised gets its immediate second try here; the others are carried out.
        store.mark_said(said)
        results, failed = [], healthy + failed
    for invocation in failed:
        try:
            results.append(_alone(store, invocation, delays))
        except (DatabaseUnavailable, ResourceShortage):
            if not results:
                raise
            break  # publish what was done: carried out again, it would be taken for a repetition
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
    """Retry later, or give up: the refusal and its journal entry first, then the dead letter."""
    assert invocation.failure is not None  # noqa: S101 - the caller's choice
    retry = invocation.handler.retry
    tries = len(delays) + 1 if retry.tries is None else retry.tries
    policy = RetryPolicy(delays[: tries - 1], retry.never)
    verdict = policy.after(invocation.failure, invocation.attempt)
    if isinstance(verdict, RetryAfter) or invocation.handler.gives_up is None:
        return Result(invocation.delivery, verdict, invocation=invocation)
    try:
        given_up = store.commit([invocation])[0]
    except ReactionFailed as failure:
        # Without the refusal the order waits for its deadline; the dead letter says that a person is needed.
        log.error("refusal.failed", action=invocation.handler.action, exc_info=failure.error, **invocation.bound())
        return Result(invocation.delivery, verdict, invocation=invocation)
    # Nothing said: it was settled meanwhile (a repetition, or cancelled), and there is nothing left to give up.
    return given_up._replace(verdict=verdict) if given_up.outbox_events else given_up
