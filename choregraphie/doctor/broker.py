"""Examines the broker: connection and login, version, nodes, alarms, and its clock."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from choregraphie.amqp_url import broker_address
from choregraphie.broker import ask, broker_version, connected, management_rows
from choregraphie.doctor.finding import Finding, Verdict
from choregraphie.doctor.rabbitmq_versions import judge
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.settings import Settings
from choregraphie.urls import LOOPBACK

# The management tells its time in whole seconds.
CLOCK_SECONDS = 2.0
WRONG_CLOCK_SECONDS = 30.0
_NOT_ASKED = "SAGA_MANAGEMENT_URL is not set, so nodes, alarms, clock and topology are not known"


async def examine_broker(settings: Settings) -> AsyncIterator[Finding]:
    """What the broker says of itself, over AMQP and through its management."""
    yield _way_in(settings)
    try:
        async with connected(settings, "examines") as connection:
            yield judge(broker_version(connection), settings)
    except (BrokerUnavailable, BrokerRefused) as error:
        yield Finding("broker", Verdict.WRONG, str(error), "start it, or correct SAGA_AMQP_URL")
    if not settings.management_url:
        yield Finding("management", Verdict.UNKNOWN, _NOT_ASKED, "set it; `topology users` writes the URL of ops")
        return
    try:
        before = dt.datetime.now(dt.UTC)
        answer = await ask(settings, "overview")
        yield clock("broker's clock", answer.at, before, dt.datetime.now(dt.UTC))
    except (BrokerUnavailable, BrokerRefused) as error:
        yield Finding("management", Verdict.WRONG, str(error), "correct SAGA_MANAGEMENT_URL")
        return
    try:
        for finding in nodes(await management_rows(settings, "nodes", of_vhost=False)):
            yield finding
    except (BrokerUnavailable, BrokerRefused):
        remedy = "ask with a user that has the tag monitoring, as ops has"
        yield Finding("nodes", Verdict.UNKNOWN, "this user may not ask for nodes and alarms", remedy)


def _way_in(settings: Settings) -> Finding:
    address = broker_address(settings.current("amqp_url"))
    place = f"{address.user} at {address.place}, virtual host {address.vhost}"
    if not address.secured and address.host not in LOOPBACK:
        what = f"{place}: passwords and messages travel in clear text"
        return Finding("broker", Verdict.WARNING, what, "use amqps:// unless the network is private")
    if address.user == "guest":
        remedy = "`topology users` makes a user for each part, with the least rights"
        return Finding("broker", Verdict.WARNING, f"{place}: RabbitMQ's default user", remedy)
    return Finding("broker", Verdict.OK, place)


def clock(about: str, there: dt.datetime | None, before: dt.datetime, after: dt.datetime) -> Finding:
    """The verdict on a clock that showed `there` at some time between `before` and `after` of ours."""
    if there is None:
        return Finding(about, Verdict.UNKNOWN, "it tells no time")
    # Of whole seconds, the true time is up to a second later.
    behind = (before - there).total_seconds() - 1
    ahead = (there - after).total_seconds()
    seconds = max(behind, ahead, 0.0)
    if seconds <= CLOCK_SECONDS:
        return Finding(about, Verdict.OK, "agrees with the clock of this machine")
    verdict = Verdict.WRONG if seconds > WRONG_CLOCK_SECONDS else Verdict.WARNING
    what = f"is {seconds:.0f} s {'ahead of' if ahead > behind else 'behind'} the clock of this machine"
    return Finding(about, verdict, what, "synchronise both: deadlines and durations are measured by them")


def nodes(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """The verdicts on the nodes of a cluster, as the management lists them."""
    for row in rows:
        name = f"node {row.get('name')}"
        wrong = [*_wrong_with(row)]
        for what, remedy in wrong:
            yield Finding(name, Verdict.WRONG, what, remedy)
        if not wrong:
            yield Finding(name, Verdict.OK, "runs, without an alarm")


def _wrong_with(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if row.get("running") is False:
        yield "does not run", "start it; a queue needs most of its nodes"
    if row.get("mem_alarm") is True:
        what = "has a memory alarm: the broker takes no messages from publishers"
        yield what, "let workers consume what waits, or give it more memory (vm_memory_high_watermark)"
    if row.get("disk_free_alarm") is True:
        what = "has a disk alarm: the broker takes no messages from publishers"
        yield what, "free space on its disk, above disk_free_limit"
    if row.get("partitions"):
        yield "is cut off from other nodes", "repair the network, then restart this node"
