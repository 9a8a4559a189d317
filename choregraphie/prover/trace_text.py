"""A run told to a person: numbered sentences, and a Mermaid sequence diagram. Pure."""

from collections.abc import Iterator

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
