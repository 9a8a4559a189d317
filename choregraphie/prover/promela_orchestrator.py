"""The orchestrator of a Promela model: what it does about each word that it hears, and when time is over. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from choregraphie.orchestration.declaration import Notice, Step
from choregraphie.prover.promela_names import all_of, any_of
from choregraphie.prover.promela_text import REACHABLE, Option
from choregraphie.prover.promela_words import Word, Words
from choregraphie.saga.choreography import EventClass


def inlines(words: Words) -> Iterator[str]:
    """Asks for the next steps, begins the cancellation, asks for the next undoing."""
    yield _inline(
        "undo_next", [(_undoes(words, step), _undo(words, step)) for step in _undoable(words)], "compensated"
    )
    pivot = words.pivot
    begin = ["failing = 1", "review = 0", *_say(words, pivot.undoing)]
    if pivot.own:
        begin += [f"{words.of_step('undone', pivot)} = 1", *_tell(words, words.saga.on_cancelled), "undo_next()"]
    else:
        begin.append(f"undoing = {words.number(pivot)}")
    yield "inline fail()\n{\n    " + ";\n    ".join(begin) + "\n}\n"
    groups = words.saga.groups
    asking = [(f"!{words.of_step('asked', group[0])}", _ask(words, place)) for place, group in enumerate(groups)]
    yield _inline("ask_next", asking, "completed")


def options(words: Words) -> Iterator[Option]:
    """Everything that the orchestrator may do in one step."""
    saga, speaker = words.saga, words.saga.service
    yield from _starts(words)
    asked = Word(saga.cancel_asked)
    hears = f"{speaker} hears {saga.cancel_asked.TYPE}, "
    yield _hearing(words, asked, "!started", ("doomed = 1",), hears + "keeps it")
    yield _hearing(words, asked, "started && !failing", ("fail()",), hears + "cancels", REACHABLE)
    yield _hearing(words, asked, "started && failing", (), hears + "is cancelling already")
    step_of = {event: step for step in reversed(saga.all_steps) for event in step.answers}
    for word in words.words:
        if word.answers is not None and word.event in step_of:
            yield from _answer(words, word, step_of[word.event])
    yield from _clock(words)


def _starts(words: Words) -> Iterator[Option]:
    word = Word(words.saga.starts)
    hears = f"{words.saga.service} hears {word.event.TYPE}, "
    yield _hearing(words, word, "doomed", ("started = 1", "fail()"), hears + "cancels: it was asked to before")
    yield _hearing(
        words, word, "!doomed", ("started = 1", "ask_next()"), hears + "says the first command", REACHABLE
    )


def _answer(words: Words, word: Word, step: Step) -> Iterator[Option]:
    hears = f"{words.saga.service} hears {word.event.TYPE}, "
    if word.event is step.success:
        found = _succeeded(words, word, step, hears)
    elif word.event is step.undone:
        found = _undone(words, word, step, hears)
    else:
        found = _refused(words, word, step, hears)
    known: list[str] = []
    for option in found:
        known.append(option.guard)
        # Of an answer to a notice alone no run need go on.
        rule = option.rule if word.answers in {step.command, step.undoing} else ""
        yield _hearing(words, word, option.guard, option.effects, option.sentence, rule)
    yield _hearing(words, word, f"!{any_of(known)}", (), hears + "does nothing")


def _succeeded(words: Words, word: Word, step: Step, hears: str) -> Iterator[Option]:
    new = all_of([words.of_step("asked", step), f"!{words.of_step('executed', step)}"])
    group = next(group for group in words.saga.groups if step in group)
    others = any_of(words.pending_step(other) for other in group if other != step)
    record = _record(words, step)
    told = _tell(words, words.saga.on_created) if step.pivot else ()
    last = all_of([new, "running", "true" if others == "false" else f"!{others}"])
    yield Option(last, (*record, "review = 0", *told, "ask_next()"), hears + "goes on", REACHABLE)
    if others != "false":
        yield Option(all_of([new, "running", others]), (*record, "review = 0"), hears + "waits for the others")
    yield Option(all_of([new, "!running"]), record, hears + "which is late, records it")


def _refused(words: Words, word: Word, step: Step, hears: str) -> Iterator[Option]:
    new = all_of([words.of_step("asked", step), f"!{words.of_step('refused', step)}"])
    record = f"{words.of_step('refused', step)} = 1"
    wrong = f"wrong_decision = wrong_decision || {words.of_step('executed', words.pivot)}"
    yield Option(all_of([new, "running"]), (record, wrong, "fail()"), hears + "cancels", REACHABLE)
    yield Option(all_of([new, "!running"]), (record,), hears + "which is late, records it")


def _undone(words: Words, word: Word, step: Step, hears: str) -> Iterator[Option]:
    undone, ways = words.of_step("undone", step), [f"undoing == {words.number(step)}"]
    if step.refusal is step.undone:
        ways.append(words.of_step("asked", step))
    told = _tell(words, words.saga.on_cancelled) if step.pivot else ()
    effects = (f"{undone} = 1", "undoing = 0", "review = 0", "failing = 1", *told, "undo_next()")
    yield Option(all_of([f"!{undone}", any_of(ways)]), effects, hears + "undoes what is left", REACHABLE)


def _clock(words: Words) -> Iterator[Option]:
    """What no answer can be replaced for waits for a person; before the pivot, an answer too late cancels."""
    needs = f"(undoing != 0 || {words.of_step('executed', words.pivot)})"
    passes = f"the deadline of {words.saga.service} passes: it "
    yield Option(all_of(["awaited", needs, "!review"]), ("review = 1",), passes + "asks for a person")
    yield Option(all_of(["awaited", f"!{needs}"]), ("fail()",), passes + "cancels")


def _hearing(
    words: Words, word: Word, guard: str, effects: Iterable[str], sentence: str, rule: str = ""
) -> Option:
    taken = words.taken(word)
    said = words.said(word.event, word.answers)
    return Option(all_of([said, f"!{taken}", guard]), (f"{taken} = 1", *effects), sentence, rule)


def _record(words: Words, step: Step) -> tuple[str, ...]:
    return (
        f"{words.of_step('executed', step)} = 1",
        "executed = executed + 1",
        f"{words.of_step('place', step)} = executed",
    )


def _ask(words: Words, place: int) -> tuple[str, ...]:
    group = words.saga.groups[place]
    effects: tuple[str, ...] = ()
    for step in group:
        effects += (f"{words.of_step('asked', step)} = 1", *_say(words, step.command))
    if not group[0].own:
        return effects
    # It is its own answer, and the steps after it are asked at once.
    effects += (*_record(words, group[0]), f"{words.of_command('done', group[0].command)} = 1")
    effects += _tell(words, words.saga.on_created) if group[0].pivot else ()
    after = _ask(words, place + 1) if place + 1 < len(words.saga.groups) else ("completed = 1",)
    return (*effects, *after)


def _undoable(words: Words) -> list[Step]:
    return [step for step in words.saga.all_steps if step.undoing is not None and not step.pivot]


def _undoes(words: Words, step: Step) -> str:
    """That `step` is the next one to undo."""
    steps = _undoable(words)
    others = steps[:]
    others.remove(step)
    after = steps[steps.index(step) + 1 :]
    left = {one: all_of([words.of_step("asked", one), f"!{words.of_step('undone', one)}"]) for one in steps}
    waits = {one: all_of([left[one], f"!{words.of_step('executed', one)}"]) for one in steps}
    place = words.of_step("place", step)
    pending = all_of([waits[step], *(f"!{waits[one]}" for one in after)])
    last = (f"!({left[one]} && {words.of_step('place', one)} > {place})" for one in others)
    executed = all_of([left[step], words.of_step("executed", step), *(f"!{waits[one]}" for one in others), *last])
    return any_of([pending, executed])


def _undo(words: Words, step: Step) -> tuple[str, ...]:
    return (f"undoing = {words.number(step)}", *_say(words, step.undoing))


def _say(words: Words, command: EventClass | None) -> tuple[str, ...]:
    assert command is not None  # noqa: S101 - the declaration was checked
    said, effects = words.said(command), []
    if words.saga.service != command.SAID_BY:
        effects.append("foreign_event = 1")
    if command in {words.pivot.success, words.pivot.undone}:
        effects.append(f"wrong_decision = wrong_decision || {said}")
    return (*effects, f"said_again = said_again || {said}", f"{said} = 1")


def _tell(words: Words, notices: Sequence[Notice]) -> tuple[str, ...]:
    return tuple(effect for notice in notices for effect in _say(words, notice.command))


def _inline(name: str, branches: Sequence[tuple[str, tuple[str, ...]]], otherwise: str) -> str:
    """The first branch whose condition holds."""
    lines = [f"inline {name}()", "{"]
    for condition, effects in branches:
        lines.append(f"    if :: {condition} -> " + "; ".join(effects) + "\n    :: else ->")
    lines += [f"    {otherwise} = 1", "    fi;" * len(branches)]
    return "\n".join(lines).removesuffix(";") + "\n}\n"
