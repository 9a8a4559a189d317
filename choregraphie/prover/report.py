"""The outcome of a check, for a person or for a program. Pure."""

from collections.abc import Iterator
from typing import Any

from choregraphie.prover import trace_text as telling
from choregraphie.prover.check import Proof
from choregraphie.prover.rules import Violation


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
    yield from (f"    {line}" for line in telling.numbered(violation.run, proof.choreography))
    yield "  The same as a Mermaid diagram:"
    yield from (f"    {line}" for line in telling.mermaid(violation, proof.choreography).splitlines())


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
        "run": [telling.sentence(move, choreography) for move in violation.run],
        "mermaid": telling.mermaid(violation, choreography) if violation.run else None,
    }
