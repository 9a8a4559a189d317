"""The services of a Promela model of an orchestrated saga: what each does about its commands. Pure."""

from collections.abc import Iterator, Sequence

from choregraphie.orchestration.declaration import Notice, Step
from choregraphie.prover.promela_bits import Bits, Message
from choregraphie.prover.promela_names import all_of
from choregraphie.prover.promela_text import REACHABLE, Option
from choregraphie.saga.choreography import EventClass


def services(bits: Bits) -> Iterator[list[Option]]:
    """What each service may do, one service after another. What names no service is heard by nobody."""
    commands = [command for command in bits.commands if command.SAID_TO]
    for service in dict.fromkeys(command.SAID_TO for command in commands):
        own = [command for command in commands if service == command.SAID_TO]
        yield [option for command in own for option in _heard(bits, command)]


def _heard(bits: Bits, command: EventClass) -> Iterator[Option]:
    message = Message(command)
    hears = f"{command.SAID_TO} hears {command.TYPE}, "
    new = all_of([bits.said(command), f"!{bits.taken(message)}"])
    taken, tombstone = f"{bits.taken(message)} = 1", bits.of_command("tombstone", command)
    yield Option(all_of([new, tombstone]), (taken,), hears + "too late: it has been undone already")
    for option in _acts(bits, command):
        guard = all_of([new, f"!{tombstone}", option.guard])
        yield Option(guard, (taken, *option.effects), hears + option.sentence, option.rule)


def _acts(bits: Bits, command: EventClass) -> Iterator[Option]:
    for step in bits.saga.all_steps:
        if command is step.command:
            yield from _forward(bits, step)
            return
        if command is step.undoing:
            yield from _undoing(bits, step, command)
            return
    notice = next(notice for notice in bits.notices if notice.command is command)
    yield from _notice(bits, notice)


def _forward(bits: Bits, step: Step) -> Iterator[Option]:
    command, done = step.command, f"{bits.of_command('done', step.command)} = 1"
    success = (done, *_say(bits, step.success, command))
    yield Option("true", success, f"says {step.success.TYPE}", REACHABLE)
    refusal: tuple[str, ...] = ()
    if step.refusal is not None:
        refusal = _say(bits, step.refusal, command)
        if step.refusal is step.undone:
            refusal += _bury(bits, (command, step.undoing))
        yield Option("true", refusal, f"refuses, says {step.refusal.TYPE}", REACHABLE)
    if refusal and not step.pivot:
        yield Option("true", (done, *refusal), f"gives up, says {_type(step.refusal)}")
    else:
        yield _given_up(bits, command)


def _undoing(bits: Bits, step: Step, undoing: EventClass) -> Iterator[Option]:
    answer = _say(bits, step.undone, undoing) if step.undone else ()
    # A service that cancels an instance does so once, also when it has refused it.
    back = (step.command,) if step.pivot else bits.taken_back(undoing)
    says = f"says {step.undone.TYPE}" if step.undone else "says nothing"
    done = f"{bits.of_command('done', undoing)} = 1"
    yield Option("true", (done, *_bury(bits, back), *answer), says, REACHABLE)
    yield _given_up(bits, undoing, done=False)


def _notice(bits: Bits, notice: Notice) -> Iterator[Option]:
    effects = (f"{bits.of_command('done', notice.command)} = 1", *_bury(bits, bits.taken_back(notice.command)))
    for event in notice.says:
        yield Option("true", (*effects, *_say(bits, event, notice.command)), f"says {event.TYPE}", REACHABLE)
    if not notice.says:
        yield Option("true", effects, "says nothing", REACHABLE)
    yield _given_up(bits, notice.command)


def _given_up(bits: Bits, command: EventClass, *, done: bool = True) -> Option:
    perhaps = (f"{bits.of_command('done', command)} = 1",) if done else ()
    dead = f"{bits.of_command('dead', command)} = 1"
    return Option("true", (*perhaps, dead), "gives up, and says nothing")


def _bury(bits: Bits, commands: Sequence[EventClass | None]) -> tuple[str, ...]:
    known = [command for command in commands if command in bits.commands and command is not None]
    return tuple(
        effect
        for command in known
        for effect in (f"{bits.of_command('done', command)} = 0", f"{bits.of_command('tombstone', command)} = 1")
    )


def _say(bits: Bits, event: EventClass, command: EventClass) -> tuple[str, ...]:
    effects = [f"{bits.said(event, command)} = 1"]
    if event in {bits.pivot.success, bits.pivot.undone}:
        effects.insert(0, f"wrong_decision = wrong_decision || {bits.event_said(event)}")
    if event.SAID_BY != command.SAID_TO:
        effects.insert(0, "foreign_event = 1")
    return tuple(effects)


def _type(event: EventClass | None) -> str:
    return event.TYPE if event else ""
