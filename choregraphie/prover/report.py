"""The outcome of a check as text and as data, and its runs as sentences and as Mermaid diagrams. Pure."""

from collections.abc import Iterator
from typing import Any

from choregraphie.prover.check import Proof
from choregraphie.prover.rules import Violation
from choregraphie.prover.state_space import Run
from choregraphie.prover.transitions import GIVEN_UP, Transition, TransitionKind
from choregraphie.saga.choreography import Choreography, names_of


def sentence(transition: Transition, choreography: Choreography) -> str:
    """One transition as a sentence, without its number."""
    service, kind = transition.service, transition.kind
    heard = names_of(transition.heard)
    said = transition.says.TYPE if transition.says else ""
    if kind is TransitionKind.CLIENT_SAYS:
        return f"client says {said}"
    if kind is TransitionKind.EXPIRES:
        return f"the deadline of {service} passes: it says {said}"
    noted = transition.hears is choreography.starts
    return (
        f"{service} hears {heard}, "
        + {
            TransitionKind.REFUSES: f"refuses, says {said}",
            TransitionKind.GIVES_UP: f"gives up after its last try, says {said}; its call may have succeeded",
            TransitionKind.GIVES_UP_PART: f"gives up after its last try, says {said}; the others have not come",
            TransitionKind.SET_ASIDE: "gives up after its last try, and says nothing",
            TransitionKind.SKIPS: "too late: it has been undone already",
            TransitionKind.WAITS: "and waits" if noted else "keeps it, and decides nothing",
            TransitionKind.CARRIES_OUT: f"says {said}" if said else "says nothing",
        }[kind]
    )


def numbered(run: Run, choreography: Choreography) -> list[str]:
    """The run as sentences, numbered from 1."""
    return [f"{n:2}. {sentence(transition, choreography)}" for n, transition in enumerate(run, start=1)]


def mermaid(violation: Violation, choreography: Choreography) -> str:
    """The run of `violation` as a sequence diagram. Arrows are in the order of arrival, so overtaking shows."""
    known = ["client", *choreography.services]
    seen = {name for transition in violation.run for name in _participants(transition)} | {violation.service}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {name}" for name in dict.fromkeys((*known, *sorted(seen))) if name in seen]
    for transition in violation.run:
        lines += [f"    {line}" for line in _statements(transition)]
    lines.append(f"    Note over {violation.service}: ✗ {_plain(violation.what)}")
    return "\n".join(lines)


def _participants(transition: Transition) -> Iterator[str]:
    yield transition.service
    yield from (event.SAID_BY for event in transition.heard)


def _statements(transition: Transition) -> Iterator[str]:
    for event in (event for event in transition.heard if transition.service != event.SAID_BY):
        # An event that the service gives up, or that comes too late, ends in a cross.
        lost = transition.kind in {*GIVEN_UP, TransitionKind.SKIPS}
        yield f"{event.SAID_BY}{'-x' if lost else '->>'}{transition.service}: {event.TYPE}"
    note = {
        TransitionKind.EXPIRES: "deadline passed",
        TransitionKind.REFUSES: "refuses",
        TransitionKind.GIVES_UP: "gives up",
        TransitionKind.GIVES_UP_PART: "gives up",
        TransitionKind.SET_ASIDE: "gives up, says nothing",
        TransitionKind.SKIPS: "undone already",
        TransitionKind.WAITS: "decides nothing yet",
    }.get(transition.kind)
    said = f"says {transition.says.TYPE}" if transition.says else ""
    if words := ", ".join(word for word in (note, said) if word):
        yield f"Note over {transition.service}: {words}"


def _plain(text: str) -> str:
    """`text` without what Mermaid reads as syntax: a semicolon ends a statement, `#` begins an entity."""
    return text.replace(";", ",").replace("#", "")


def as_text(proof: Proof) -> str:
    """For a person: the rules that hold, or each violation with a shortest run and a remedy."""
    return "\n".join(_clean(proof) if proof.holds else _broken(proof))


def _clean(proof: Proof) -> Iterator[str]:
    width = max(len(rule.slug) for rule in proof.checked)
    for rule in proof.checked:
        yield f"ok  {rule.slug:{width}}  {rule.sentence}"
    yield ""
    yield _explored(proof)
    yield f"The {proof.kind} holds."


def _explored(proof: Proof) -> str:
    choreography, explored = proof.choreography, proof.space.explored
    text = (
        f"{len(proof.checked)} rules; {len(choreography.services)} services, {len(choreography.reactions)} "
        f"reactions, {len(choreography.events)} events; {_thousands(explored.states)} states, "
        f"{_thousands(explored.transitions)} transitions"
    )
    if explored.paths is None and explored.ends is not None:
        return f"{text}, {_thousands(explored.ends)} final states."
    if explored.paths is None or explored.ends is None:
        return f"{text}, with partial-order reduction."
    return f"{text}, {_thousands(explored.paths)} paths to {_thousands(explored.ends)} final states."


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _broken(proof: Proof) -> Iterator[str]:
    for number, violation in enumerate(proof.violations, start=1):
        if number > 1:
            yield ""
        yield f"REFUSED  {violation.rule.slug}: {violation.rule.sentence}"
        yield f"  {violation.what}."
        yield from _shown(violation, proof)
        yield f"  To fix it: {violation.remedy}."
    yield ""
    count = len(proof.violations)
    later = (
        f"; not checked before that: {', '.join(rule.slug for rule in proof.not_checked)}"
        if proof.not_checked
        else ""
    )
    yield f"The {proof.kind} does not hold: {count} {'violation' if count == 1 else 'violations'}{later}."


def _shown(violation: Violation, proof: Proof) -> Iterator[str]:
    if not violation.run:
        return
    yield "  A shortest run that shows it:"
    yield from (f"    {line}" for line in numbered(violation.run, proof.choreography))
    yield "  The same as a Mermaid diagram:"
    yield from (f"    {line}" for line in mermaid(violation, proof.choreography).splitlines())


def as_data(proof: Proof) -> dict[str, Any]:
    """For a program. The field names are stable; `paths` and `ends` are null unless every state was explored."""
    explored = proof.space.explored
    return {
        "holds": proof.holds,
        "rules": [
            {"rule": rule.slug, "sentence": rule.sentence, "judged": rule in proof.checked}
            for rule in (*proof.checked, *proof.not_checked)
        ],
        "explored": {
            "states": explored.states,
            "moves": explored.transitions,
            "paths": explored.paths,
            "ends": explored.ends,
        },
        "violations": [_violation(violation, proof) for violation in proof.violations],
    }


def _violation(violation: Violation, proof: Proof) -> dict[str, Any]:
    choreography = proof.choreography
    return {
        "rule": violation.rule.slug,
        "sentence": violation.rule.sentence,
        "what": violation.what,
        "service": violation.service,
        "remedy": violation.remedy,
        "run": [sentence(transition, choreography) for transition in violation.run],
        "mermaid": mermaid(violation, choreography) if violation.run else None,
    }
