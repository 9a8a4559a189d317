"""The rules of the prover as formulas of linear temporal logic over the model of an orchestrated saga. Pure.

A rule is a condition that holds always (`[] p`), or at the end of every run (`[] <> p`: every run ends).
"""

from collections.abc import Callable, Iterator

from choregraphie.prover.promela_bits import Bits
from choregraphie.prover.promela_names import all_of, any_of


def formulas(bits: Bits) -> dict[str, str]:
    """The formula of each rule, by the rule's name.

    That of `reachable` holds always: its search goes everywhere, so SPIN then lists what no run reached.
    """
    always: dict[str, tuple[str, ...]] = {
        "decides": ("!wrong_decision",),
        "sender": ("!foreign_event",),
        "heard": tuple(_heard(bits)),
        "answers": tuple(_answers(bits)),
        "reachable": (),
        "cycle": ("!said_again",),
        "undone": tuple(_not_half_undone(bits)),
        "irreversible": tuple(_irreversible(bits)),
        "deadline": (_implies("(started && !over)", "awaited"),),
    }
    at_end: dict[str, Callable[[Bits], Iterator[str]]] = {"undone": _undone, "ends": _ends}
    found = {rule: [f"[] {all_of(parts)}"] for rule, parts in always.items()}
    for rule, make in at_end.items():
        found.setdefault(rule, []).append(f"[] <> {all_of(make(bits))}")
    return {rule: " && ".join(f"({part})" for part in parts) for rule, parts in found.items()}


def _heard(bits: Bits) -> Iterator[str]:
    """Nobody says a command that no service hears."""
    own = {message for step in bits.saga.all_steps if step.own for message in (step.command, step.undoing)}
    for command in bits.commands:
        if not command.SAID_TO and command not in own:
            yield f"!{bits.said(command)}"


def _answers(bits: Bits) -> Iterator[str]:
    """Who has undone something says so."""
    for step in bits.saga.all_steps:
        if step.undoing is not None and step.undoing.SAID_TO:
            taken = all_of([bits.said(step.undoing), bits.of_command("done", step.undoing)])
            yield _implies(taken, bits.event_said(step.undone) if step.undone else "false")


def _not_half_undone(bits: Bits) -> Iterator[str]:
    """Once every undoing has answered, nothing that an undoing takes back is left."""
    for step in bits.saga.all_steps:
        if step.undoing is not None and not step.pivot:
            for command in bits.taken_back(step.undoing):
                yield _implies("compensated", f"!{bits.of_command('done', command)}")


def _undone(bits: Bits) -> Iterator[str]:
    """What may have been done for a cancelled instance is undone by its service, or a person must act on it."""
    saga, cancelled = bits.saga, bits.event_said(bits.pivot.undone)
    place = next(place for place, group in enumerate(saga.groups) if bits.pivot in group)
    for number, group in enumerate(saga.groups):
        for step in group:
            if not step.pivot and (number <= place or step.undoing is not None):
                left = all_of([cancelled, bits.of_command("done", step.command)])
                yield _implies(left, _person(bits))
    for command in bits.corrected:
        left = all_of([cancelled, bits.of_command("done", command)])
        yield _implies(left, bits.dead())


def _irreversible(bits: Bits) -> Iterator[str]:
    """What no command takes back is done after the creation."""
    steps = [step.command for step in bits.saga.all_steps if not step.pivot and step.undoing is None]
    for command in (*steps, *(notice.command for notice in bits.saga.on_created)):
        if command not in bits.undoable:
            yield _implies(bits.of_command("done", command), bits.event_said(bits.pivot.success))


def _ends(bits: Bits) -> Iterator[str]:
    """Created with every step done, or cancelled and undone, or in review with a dead letter."""
    created, cancelled = bits.event_said(bits.pivot.success), bits.event_said(bits.pivot.undone)
    done = (bits.event_said(step.success) for step in bits.saga.all_steps)
    yield any_of(
        [
            all_of(["completed", "!failing", created, *done]),
            all_of(["compensated", cancelled]),
            _person(bits),
        ]
    )


def _person(bits: Bits) -> str:
    """A dead letter, and the orchestrator has marked the instance for review. It undoes one step after another, so
    what one service gave up keeps the others waiting."""
    return all_of(["review", bits.dead()])


def _implies(condition: str, consequence: str) -> str:
    return f"({condition} -> {consequence})"
