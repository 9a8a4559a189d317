"""Examines the topology, the workers, the messages that wait, and the dead letters."""

from collections.abc import AsyncIterator, Iterator, Mapping

from choregraphie.application import Application
from choregraphie.broker import connected, count_allowed
from choregraphie.deployment import Difference, Kind, compare, read_live, remedies_of
from choregraphie.doctor.finding import Finding, Verdict
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import Topology, dlq, inbox, retry
from choregraphie.settings import Settings
from choregraphie.terminal.formats import counted, format_count

# An inbox that holds more is not of the moment: it is what ten workers hold in hand.
BACKLOG = 10


async def examine_queues(application: Application, settings: Settings) -> AsyncIterator[Finding]:
    """The topology through the management, where it may be asked; counts over AMQP."""
    wanted = application.topology(settings)
    if settings.management_url:
        async for finding in _topology(application, settings, wanted):
            yield finding
    try:
        async with connected(settings, "counts queues") as connection:
            counts = await count_allowed(connection, [queue.name for queue in wanted.queues])
    except (BrokerUnavailable, BrokerRefused) as error:
        yield Finding("queues", Verdict.UNKNOWN, f"not counted: {error}")
        return
    for finding in service_queues(application, settings, counts):
        yield finding


async def _topology(application: Application, settings: Settings, wanted: Topology) -> AsyncIterator[Finding]:
    try:
        live = await read_live(settings, wanted)
    except (BrokerUnavailable, BrokerRefused) as error:
        yield Finding("topology", Verdict.UNKNOWN, str(error))
        return
    remedies = remedies_of(application.command, settings)
    found = compare(application.saga_set, wanted, live, remedies, workers=False)
    alike: dict[tuple[Verdict, str, str], list[str]] = {}
    for one in found:
        alike.setdefault((_gravity(one), one.what, one.remedy), []).append(one.subject)
    for (verdict, what, remedy), subjects in alike.items():
        yield Finding("topology", verdict, f"{', '.join(subjects)} {what}", remedy)
    if not found:
        what = f"{len(wanted.exchanges)} exchanges, {len(wanted.queues)} queues, {len(wanted.bindings)} bindings"
        yield Finding("topology", Verdict.OK, what)


def _gravity(difference: Difference) -> Verdict:
    # What is left of other delays does no harm.
    return Verdict.WARNING if difference.kind is Kind.QUEUE_UNDECLARED else Verdict.WRONG


def service_queues(
    application: Application, settings: Settings, counts: Mapping[str, QueueCount | None]
) -> Iterator[Finding]:
    """The verdicts on the queues of each service. `counts`: without those that do not exist; None: not allowed."""
    for service in application.saga_set.services:
        yield _inbox(application, settings, service, counts)
        letters = counts.get(dlq(service))
        if letters is not None and letters.messages:
            remedy = f"'{application.command} dlq list --service {service}' says why"
            what = f"{format_count(letters.messages)} in {dlq(service)}"
            yield Finding("dead letters", Verdict.WRONG, what, remedy)
        waiting = [count for name, count in counts.items() if name.startswith(f"{retry(service)}.") and count]
        if retries := sum(count.messages for count in waiting):
            remedy = f"the log of {service} says what failed (message.retried)"
            yield Finding("retries", Verdict.WARNING, f"{format_count(retries)} of {service} wait", remedy)


def _inbox(
    application: Application, settings: Settings, service: str, counts: Mapping[str, QueueCount | None]
) -> Finding:
    name = inbox(service)
    if name not in counts:
        return Finding("inbox", Verdict.WRONG, f"{name} does not exist", f"'{application.command} topology apply'")
    count = counts[name]
    if count is None:
        remedy = "ask with a user that may, as ops may"
        return Finding("inbox", Verdict.UNKNOWN, f"{name} may not be counted by this user", remedy)
    what = f"{name}: {counted(count.consumers, 'consumer')}, {counted(count.messages, 'message')} waiting"
    if not count.consumers:
        foreign = service in application.saga_set.foreign
        remedy = f"start {service}, which others run" if foreign else f"'{application.command} run {service}'"
        return Finding("inbox", Verdict.WRONG, what, remedy)
    if count.messages > BACKLOG * settings.prefetch:
        return Finding("inbox", Verdict.WARNING, what, f"{service} is behind: wait, or start another worker")
    return Finding("inbox", Verdict.OK, what)
