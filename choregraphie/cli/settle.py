"""`settle`: a person gives the answer that a service owes, after doing by hand what the service could not."""

import argparse
import asyncio
import datetime as dt
import json
import sys
from typing import Any

from choregraphie.application import Application
from choregraphie.broker import Publisher
from choregraphie.cli.dlq_session import add_because, operator_of, publishing
from choregraphie.cli.selection import add_saga, the_saga
from choregraphie.dead_letters.audit import Act, act_record
from choregraphie.dead_letters.settlement import Answer, Plan, plan
from choregraphie.dead_letters.treatment import publish_all
from choregraphie.failpoints import Place, arm, passing
from choregraphie.messaging import PublishOutcome
from choregraphie.settings import Settings
from choregraphie.storage.settlement import mark_published, settle
from choregraphie.terminal.arguments import add_json, key_text

_ABOUT = """\
Say the answer that a service owes and cannot give: after its undoing, or its step, was done by hand. The event
comes by the service's exchange, and its source names the operator. In the same transaction the journal of the
service records the action as done, so its dead letter has no effect any more; discard it afterwards. The other
tables of the service are not changed: what was done by hand is done there by hand too.

A field of the event that may be null is null, and its reason is that of --because, unless --set gives them.

examples:
  {command} settle KEY --undone STEP --because "put back by hand"
  {command} settle KEY --undone STEP --set FIELD=VALUE --because "paid back by the bank"
"""


def add(verbs: Any, application: Application) -> None:
    verb = verbs.add_parser(
        "settle",
        help="give the answer that a service owes, after doing its work by hand",
        description=_ABOUT.format(command=application.command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("key", type=key_text, metavar="KEY", help=f"the {' or '.join(application.saga_set.keys)}")
    steps = application.saga_set.step_names
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("--done", choices=steps, metavar="STEP", help=f"the step is done: {', '.join(steps)}")
    which.add_argument("--undone", choices=steps, metavar="STEP", help="the step is undone")
    verb.add_argument(
        "--set",
        dest="given",
        action="append",
        type=_field,
        default=[],
        metavar="FIELD=VALUE",
        help="a field of the event; a value that is no JSON is a text",
    )
    add_because(verb)
    add_saga(verb, application)
    add_json(verb)
    verb.set_defaults(do=_settle)


def _field(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"expected FIELD=VALUE, not {text[:40]!r}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _settle(options: argparse.Namespace, settings: Settings) -> int:
    now = dt.datetime.now(dt.UTC)
    arm(settings.failpoint)
    answer = Answer(
        saga=the_saga(options),
        key=options.key,
        step=options.done or options.undone,
        undone=options.undone is not None,
        because=options.because,
        operator=operator_of(options, settings).name,
        given=dict(options.given),
    )
    planned = plan(options.application, settings, answer, now)
    confirmed = asyncio.run(_carry_out(options, settings, answer, planned, now))
    return _show(options, answer, planned, confirmed=confirmed)


async def _carry_out(
    options: argparse.Namespace, settings: Settings, answer: Answer, planned: Plan, now: dt.datetime
) -> bool:
    """Commit, then publish. Returns whether the broker has confirmed the event."""
    async with publishing(options.application, settings) as publisher:
        settle(planned.service, settings, planned.settlement, now)
        passing(Place.AFTER_SETTLEMENT)
        event = planned.settlement.event
        (outcome,) = await publisher.publish([event.outgoing(planned.service)])
        if outcome is PublishOutcome.CONFIRMED:
            mark_published(planned.service, settings, event.event_id, now)
        await _keep_record(options, settings, publisher, answer, planned)
        return outcome is PublishOutcome.CONFIRMED


async def _keep_record(
    options: argparse.Namespace, settings: Settings, publisher: Publisher, answer: Answer, planned: Plan
) -> None:
    event = planned.settlement.event
    about = {
        "service": planned.service.name,
        "saga": answer.saga.name,
        "key": answer.key,
        "type": event.type,
        "event_id": event.event_id,
        "step": answer.step,
        "answer": "undone" if answer.undone else "done",
    }
    operator = operator_of(options, settings)
    records = [act_record(Act.SETTLED, operator, event.decided_at, answer.because, about)]
    await publish_all(publisher, records, otherwise="the answer is committed, and the audit has no record of it")


def _show(options: argparse.Namespace, answer: Answer, planned: Plan, *, confirmed: bool) -> int:
    event, service = planned.settlement.event, planned.service.name
    if options.json:
        shown = {"event": json.loads(event.body), "service": service, "confirmed": confirmed}
        print(json.dumps(shown, ensure_ascii=False))
    else:
        print(f"{event.type} said for {answer.key} in place of {service}; discard its dead letter if there is one")
    if not confirmed:
        print(
            f"{options.application.program}: the broker has not confirmed it; a worker of {service} publishes it",
            file=sys.stderr,
        )
    return 0 if confirmed else 1
