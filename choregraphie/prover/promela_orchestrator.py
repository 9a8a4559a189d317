"""The orchestrator of a Promela model: what it does about each message, and when time is over. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from choregraphie.orchestration.declaration import Notice, Step
from choregraphie.prover.promela_bits import Bits, Message
from choregraphie.prover.promela_names import all_of, any_of
from choregraphie.prover.promela_text import REACHABLE, Option
from choregraphie.saga.choreography import EventClass


def inlines(bits: Bits) -> Iterator[str]:
    """Asks for the next steps, begins the cancellation, asks for the next undoing."""
    yield _inline(
        "undo_next", [(_undoes(bits, step), _undo(bits, step)) for step in _undoable(bits)], "compensated"
    )
    pivot = bits.pivot
    begin = ["failing = 1", "review = 0", *_say(bits, pivot.undoing)]
    if pivot.own:
        begin += [f"{bits.of_step('undone', pivot)} = 1", *_tell(bits, bits.saga.on_cancelled), "undo_next()"]
    else:
        begin.append(f"undoing = {bits.number(pivot)}")
    yield "inline fail()\n{\n    " + ";\n    ".join(begin) + "\n}\n"
    groups = bits.saga.groups
    asking = [(f"!{bits.of_step('asked', group[0])}", _ask(bits, place)) for place, group in enumerate(groups)]
    yield _inline("ask_next", asking, "completed")


def options(bits: Bits) -> Iterator[Option]:
    """Everything that the orchestrator may do in one step."""
    saga, speaker = bits.saga, bits.saga.service
    yield from _starts(bits)
    asked = Message(saga.cancel_asked)
    hears = f"{speaker} hears {saga.cancel_asked.TYPE}, "
    yield _hearing(bits, asked, "!started", ("doomed = 1",), hears + "keeps it")
    yield _hearing(bits, asked, "started && !failing", ("fail()",), hears + "cancels", REACHABLE)
    yield _hearing(bits, asked, "started && failing", (), hears + "is cancelling already")
    step_of = {event: step for step in reversed(saga.all_steps) for event in step.answers}
    for message in bits.messages:
        if message.answers is not None and message.event in step_of:
            yield from _answer(bits, message, step_of[message.event])
    yield from _clock(bits)


def _starts(bits: Bits) -> Iterator[Option]:
    message = Message(bits.saga.starts)
    hears = f"{bits.saga.service} hears {message.event.TYPE}, "
    yield _hearing(bits, message, "doomed", ("started = 1", "fail()"), hears + "cancels: it was asked to before")
    yield _hearing(
        bits, message, "!doomed", ("started = 1", "ask_next()"), hears + "says the first command", REACHABLE
    )


def _answer(bits: Bits, message: Message, step: Step) -> Iterator[Option]:
    hears = f"{bits.saga.service} hears {message.event.TYPE}, "
    if message.event is step.success:
        found = _succeeded(bits, message, step, hears)
    elif message.event is step.undone:
        found = _undone(bits, message, step, hears)
    else:
        found = _refused(bits, message, step, hears)
    known: list[str] = []
    for option in found:
        known.append(option.guard)
        # Of an answer to a notice alone no run need go on.
        rule = option.rule if message.answers in {step.command, step.undoing} else ""
        yield _hearing(bits, message, option.guard, option.effects, option.sentence, rule)
    yield _hearing(bits, message, f"!{any_of(known)}", (), hears + "does nothing")


def _succeeded(bits: Bits, message: Message, step: Step, hears: str) -> Iterator[Option]:
    new = all_of([bits.of_step("asked", step), f"!{bits.of_step('executed', step)}"])
    group = next(group for group in bits.saga.groups if step in group)
    others = any_of(bits.pending_step(other) for other in group if other != step)
    record = _record(bits, step)
    told = _tell(bits, bits.saga.on_created) if step.pivot else ()
    last = all_of([new, "running", "true" if others == "false" else f"!{others}"])
    yield Option(last, (*record, "review = 0", *told, "ask_next()"), hears + "goes on", REACHABLE)
    if others != "false":
        yield Option(all_of([new, "running", others]), (*record, "review = 0"), hears + "waits for the others")
    yield Option(all_of([new, "!running"]), record, hears + "which is late, records it")


def _refused(bits: Bits, message: Message, step: Step, hears: str) -> Iterator[Option]:
    new = all_of([bits.of_step("asked", step), f"!{bits.of_step('refused', step)}"])
    record = f"{bits.of_step('refused', step)} = 1"
    wrong = f"wrong_decision = wrong_decision || {bits.of_step('executed', bits.pivot)}"
    yield Option(all_of([new, "running"]), (record, wrong, "fail()"), hears + "cancels", REACHABLE)
    yield Option(all_of([new, "!running"]), (record,), hears + "which is late, records it")


def _undone(bits: Bits, message: Message, step: Step, hears: str) -> Iterator[Option]:
    undone, ways = bits.of_step("undone", step), [f"undoing == {bits.number(step)}"]
    if step.refusal is step.undone:
        ways.append(bits.of_step("asked", step))
    told = _tell(bits, bits.saga.on_cancelled) if step.pivot else ()
    effects = (f"{undone} = 1", "undoing = 0", "review = 0", "failing = 1", *told, "undo_next()")
    yield Option(all_of([f"!{undone}", any_of(ways)]), effects, hears + "undoes what is left", REACHABLE)


def _clock(bits: Bits) -> Iterator[Option]:
    """What no answer can be replaced for waits for a person; before the pivot, an answer too late cancels."""
    needs = f"(undoing != 0 || {bits.of_step('executed', bits.pivot)})"
    passes = f"the deadline of {bits.saga.service} passes: it "
    yield Option(all_of(["awaited", needs, "!review"]), ("review = 1",), passes + "asks for a person")
    yield Option(all_of(["awaited", f"!{needs}"]), ("fail()",), passes + "cancels")


def _hearing(
    bits: Bits, message: Message, guard: str, effects: Iterable[str], sentence: str, rule: str = ""
) -> Option:
    taken = bits.taken(message)
    said = bits.said(message.event, message.answers)
    return Option(all_of([said, f"!{taken}", guard]), (f"{taken} = 1", *effects), sentence, rule)


def _record(bits: Bits, step: Step) -> tuple[str, ...]:
    return (
        f"{bits.of_step('executed', step)} = 1",
        "executed = executed + 1",
        f"{bits.of_step('place', step)} = executed",
    )


def _ask(bits: Bits, place: int) -> tuple[str, ...]:
    group = bits.saga.groups[place]
    effects: tuple[str, ...] = ()
    for step in group:
        effects += (f"{bits.of_step('asked', step)} = 1", *_say(bits, step.command))
    if not group[0].own:
        return effects
    # It is its own answer, and the steps after it are asked at once.
    effects += (*_record(bits, group[0]), f"{bits.of_command('done', group[0].command)} = 1")
    effects += _tell(bits, bits.saga.on_created) if group[0].pivot else ()
    after = _ask(bits, place + 1) if place + 1 < len(bits.saga.groups) else ("completed = 1",)
    return (*effects, *after)


def _undoable(bits: Bits) -> list[Step]:
    return [step for step in bits.saga.all_steps if step.undoing is not None and not step.pivot]


def _undoes(bits: Bits, step: Step) -> str:
    """That `step` is the next one to undo."""
    steps = _undoable(bits)
    others = steps[:]
    others.remove(step)
    after = steps[steps.index(step) + 1 :]
    left = {one: all_of([bits.of_step("asked", one), f"!{bits.of_step('undone', one)}"]) for one in steps}
    waits = {one: all_of([left[one], f"!{bits.of_step('executed', one)}"]) for one in steps}
    place = bits.of_step("place", step)
    pending = all_of([waits[step], *(f"!{waits[one]}" for one in after)])
    last = (f"!({left[one]} && {bits.of_step('place', one)} > {place})" for one in others)
    executed = all_of([left[step], bits.of_step("executed", step), *(f"!{waits[one]}" for one in others), *last])
    return any_of([pending, executed])


def _undo(bits: Bits, step: Step) -> tuple[str, ...]:
    return (f"undoing = {bits.number(step)}", *_say(bits, step.undoing))


def _say(bits: Bits, command: EventClass | None) -> tuple[str, ...]:
    assert command is not None  # noqa: S101 - the declaration was checked
    said, effects = bits.said(command), []
    if bits.saga.service != command.SAID_BY:
        effects.append("foreign_event = 1")
    if command in {bits.pivot.success, bits.pivot.undone}:
        effects.append(f"wrong_decision = wrong_decision || {said}")
    return (*effects, f"said_again = said_again || {said}", f"{said} = 1")


def _tell(bits: Bits, notices: Sequence[Notice]) -> tuple[str, ...]:
    return tuple(effect for notice in notices for effect in _say(bits, notice.command))


def _inline(name: str, branches: Sequence[tuple[str, tuple[str, ...]]], otherwise: str) -> str:
    """The first branch whose condition holds."""
    lines = [f"inline {name}()", "{"]
    for condition, effects in branches:
        lines.append(f"    if :: {condition} -> " + "; ".join(effects) + "\n    :: else ->")
    lines += [f"    {otherwise} = 1", "    fi;" * len(branches)]
    return "\n".join(lines).removesuffix(";") + "\n}\n"
