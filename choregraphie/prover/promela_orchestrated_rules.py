"""The rules of the prover as formulas of linear temporal logic over the model of an orchestrated saga. Pure.

A rule is a condition that holds always (`[] p`), or at the end of every run (`[] <> p`: every run ends).
"""

from collections.abc import Callable, Iterator

from choregraphie.prover.promela_names import all_of, any_of
from choregraphie.prover.promela_words import Words


def formulas(words: Words) -> dict[str, str]:
    """The formula of each rule, by the rule's name.

    That of `reachable` holds always: its search goes everywhere, so SPIN then lists what no run reached.
    """
    always: dict[str, tuple[str, ...]] = {
        "decides": ("!wrong_decision",),
        "sender": ("!foreign_event",),
        "heard": tuple(_heard(words)),
        "answers": tuple(_answers(words)),
        "reachable": (),
        "cycle": ("!said_again",),
        "undone": tuple(_not_half_undone(words)),
        "irreversible": tuple(_irreversible(words)),
        "deadline": (_implies("(started && !over)", "awaited"),),
    }
    at_end: dict[str, Callable[[Words], Iterator[str]]] = {"undone": _undone, "ends": _ends}
    found = {rule: [f"[] {all_of(parts)}"] for rule, parts in always.items()}
    for rule, make in at_end.items():
        found.setdefault(rule, []).append(f"[] <> {all_of(make(words))}")
    return {rule: " && ".join(f"({part})" for part in parts) for rule, parts in found.items()}


def _heard(words: Words) -> Iterator[str]:
    """Nobody says a command that no service hears."""
    own = {word for step in words.saga.all_steps if step.own for word in (step.command, step.undoing)}
    for command in words.commands:
        if not command.SAID_TO and command not in own:
            yield f"!{words.said(command)}"


def _answers(words: Words) -> Iterator[str]:
    """Who has undone something says so."""
    for step in words.saga.all_steps:
        if step.undoing is not None and step.undoing.SAID_TO:
            taken = all_of([words.said(step.undoing), words.of_command("done", step.undoing)])
            yield _implies(taken, words.event_said(step.undone) if step.undone else "false")


def _not_half_undone(words: Words) -> Iterator[str]:
    """Once every undoing has answered, nothing that an undoing takes back is left."""
    for step in words.saga.all_steps:
        if step.undoing is not None and not step.pivot:
            for command in words.taken_back(step.undoing):
                yield _implies("compensated", f"!{words.of_command('done', command)}")


def _undone(words: Words) -> Iterator[str]:
    """What may have been done for a cancelled instance is undone by its service, or a person must act on it."""
    saga, cancelled = words.saga, words.event_said(words.pivot.undone)
    place = next(place for place, group in enumerate(saga.groups) if words.pivot in group)
    for number, group in enumerate(saga.groups):
        for step in group:
            if not step.pivot and (number <= place or step.undoing is not None):
                left = all_of([cancelled, words.of_command("done", step.command)])
                yield _implies(left, _person(words))
    for command in words.corrected:
        left = all_of([cancelled, words.of_command("done", command)])
        yield _implies(left, words.dead())


def _irreversible(words: Words) -> Iterator[str]:
    """What no command takes back is done after the creation."""
    steps = [step.command for step in words.saga.all_steps if not step.pivot and step.undoing is None]
    for command in (*steps, *(notice.command for notice in words.saga.on_created)):
        if command not in words.undoable:
            yield _implies(words.of_command("done", command), words.event_said(words.pivot.success))


def _ends(words: Words) -> Iterator[str]:
    """Created with every step done, or cancelled and undone, or in review with a dead letter."""
    created, cancelled = words.event_said(words.pivot.success), words.event_said(words.pivot.undone)
    done = (words.event_said(step.success) for step in words.saga.all_steps)
    yield any_of(
        [
            all_of(["completed", "!failing", created, *done]),
            all_of(["compensated", cancelled]),
            _person(words),
        ]
    )


def _person(words: Words) -> str:
    """A dead letter, and the orchestrator has marked the instance for review. It undoes one step after another, so
    what one service gave up keeps the others waiting."""
    return all_of(["review", words.dead()])


def _implies(condition: str, consequence: str) -> str:
    return f"({condition} -> {consequence})"
