"""The outcome of a check as text and as data, and its runs as sentences and as Mermaid diagrams. Pure."""

from collections.abc import Iterator
from typing import Any

from choregraphie.prover.check import Proof
from choregraphie.prover.rules import Violation
from choregraphie.prover.state_space import Run
from choregraphie.prover.transitions import Doing, Transition
from choregraphie.saga.choreography import Choreography


def sentence(move: Transition, choreography: Choreography) -> str:
    """One move, as a sentence without its number."""
    heard = move.hears.TYPE if move.hears else ""
    said = move.says.TYPE if move.says else ""
    return {
        Doing.SPEAKS: f"client says {said}",
        Doing.STRIKES: f"the clock of {move.service} strikes: it says {said}",
        Doing.REFUSES: f"{move.service} hears {heard}, refuses, says {said}",
        Doing.GIVES_UP: f"{move.service} hears {heard}, gives up after its last try, says {said}; "
        "what it did outside may stand",
        Doing.SET_ASIDE: f"{move.service} hears {heard}, gives up after its last try, and stays silent",
        Doing.SKIPS: f"{move.service} hears {heard}, too late: it has been undone already",
        Doing.WAITS: f"{move.service} hears {heard}, {_why_it_waits(move, choreography)}",
        Doing.CARRIES_OUT: f"{move.service} hears {heard}, {f'says {said}' if said else 'says nothing'}",
    }[move.doing]


def _why_it_waits(move: Transition, choreography: Choreography) -> str:
    return "and waits" if move.hears is choreography.starts else "keeps it, and decides nothing"


def numbered(run: Run, choreography: Choreography) -> list[str]:
    return [f"{n:2}. {sentence(move, choreography)}" for n, move in enumerate(run, start=1)]


def mermaid(violation: Violation, choreography: Choreography) -> str:
    """A sequence diagram of the run: arrows are drawn as the events arrive, so overtaking is seen."""
    known = ["client", *choreography.services]
    seen = {name for move in violation.run for name in _named(move)} | {violation.where}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {name}" for name in dict.fromkeys((*known, *sorted(seen))) if name in seen]
    for move in violation.run:
        lines += [f"    {line}" for line in _drawn(move)]
    lines.append(f"    Note over {violation.where}: ✗ {_plain(violation.what)}")
    return "\n".join(lines)


def _named(move: Transition) -> Iterator[str]:
    yield move.service
    if move.hears:
        yield move.hears.SAID_BY


def _drawn(move: Transition) -> Iterator[str]:
    if move.hears and move.service != move.hears.SAID_BY:
        # A call that the hearer gives up or comes too late for ends in a cross.
        lost = move.doing in {Doing.GIVES_UP, Doing.SET_ASIDE, Doing.SKIPS}
        yield f"{move.hears.SAID_BY}{'-x' if lost else '->>'}{move.service}: {move.hears.TYPE}"
    note = {
        Doing.STRIKES: "deadline passed",
        Doing.REFUSES: "refuses",
        Doing.GIVES_UP: "gives up",
        Doing.SET_ASIDE: "gives up in silence",
        Doing.SKIPS: "undone already",
        Doing.WAITS: "decides nothing yet",
    }.get(move.doing)
    said = f"says {move.says.TYPE}" if move.says else ""
    if words := ", ".join(word for word in (note, said) if word):
        yield f"Note over {move.service}: {words}"


def _plain(text: str) -> str:
    """Mermaid ends a statement at a semicolon and takes # for an entity."""
    return text.replace(";", ",").replace("#", "")


def as_text(proof: Proof) -> str:
    return "\n".join(_clean(proof) if proof.clean else _broken(proof))


def _clean(proof: Proof) -> Iterator[str]:
    width = max(len(rule.slug) for rule in proof.checked)
    for rule in proof.checked:
        yield f"ok  {rule.slug:{width}}  {rule.sentence}"
    yield ""
    yield _explored(proof)
    yield "The choreography holds."


def _explored(proof: Proof) -> str:
    choreography, runs = proof.choreography, proof.runs
    return (
        f"{len(proof.checked)} rules; {len(choreography.services)} services, {len(choreography.reactions)} "
        f"reactions, {len(choreography.events)} events; {_thousands(len(runs.came_by))} states, "
        f"{_thousands(runs.moves)} moves, {_thousands(runs.orderings)} paths to {_thousands(len(runs.ends))} ends."
    )


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _broken(proof: Proof) -> Iterator[str]:
    for number, violation in enumerate(proof.violations, start=1):
        if number > 1:
            yield ""
        yield f"REFUSED  {violation.rule.slug}: {violation.rule.sentence}"
        yield f"  {violation.what}."
        yield from _shown(violation, proof)
        yield f"  To mend it: {violation.remedy}."
    yield ""
    count = len(proof.violations)
    later = (
        f"; not judged before that: {', '.join(rule.slug for rule in proof.postponed)}" if proof.postponed else ""
    )
    yield f"The choreography does not hold: {count} {'violation' if count == 1 else 'violations'}{later}."


def _shown(violation: Violation, proof: Proof) -> Iterator[str]:
    if not violation.run:
        return
    yield "  A shortest run that shows it:"
    yield from (f"    {line}" for line in numbered(violation.run, proof.choreography))
    yield "  The same as a Mermaid diagram:"
    yield from (f"    {line}" for line in mermaid(violation, proof.choreography).splitlines())


def as_data(proof: Proof) -> dict[str, Any]:
    """For programs; the field names stay."""
    runs = proof.runs
    return {
        "holds": proof.clean,
        "rules": [
            {"rule": rule.slug, "sentence": rule.sentence, "judged": rule in proof.checked}
            for rule in (*proof.checked, *proof.postponed)
        ],
        "explored": {
            "states": len(runs.came_by),
            "moves": runs.moves,
            "paths": runs.orderings,
            "ends": len(runs.ends),
        },
        "violations": [_violation(violation, proof) for violation in proof.violations],
    }


def _violation(violation: Violation, proof: Proof) -> dict[str, Any]:
    choreography = proof.choreography
    return {
        "rule": violation.rule.slug,
        "sentence": violation.rule.sentence,
        "what": violation.what,
        "service": violation.where,
        "remedy": violation.remedy,
        "run": [sentence(move, choreography) for move in violation.run],
        "mermaid": mermaid(violation, choreography) if violation.run else None,
    }
