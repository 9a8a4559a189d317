"""The verdicts of the prover and SPIN side by side.

`PYTHONPATH=examples/voyage python -m tests.choregraphie.prover.verdicts` records them.

The table is in docs/proofs.md; a test compares each line with what both say.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from choregraphie.orchestration import wiring
from choregraphie.prover import Rule, promela, prove
from choregraphie.prover.promela_orchestrated import orchestrated_promela
from choregraphie.saga.choreography import Choreography
from contracts.choreography import CHOREOGRAPHY
from services.orchestration import WIRING
from tests.choregraphie.orchestration.broken import BAD, NO_MODEL, UNSEEN, unchecked
from tests.choregraphie.orchestration.sample_saga import SEJOURS
from tests.choregraphie.prover.altered import SOUND
from tests.choregraphie.prover.broken import BROKEN
from tests.choregraphie.prover.spin import Verdict, check
from voyage.orchestrated import WIRING as VOYAGES

DOCUMENT = Path(__file__).parents[3] / "docs" / "proofs.md"
HEAD = ["| choreography | prover | SPIN |", "|---|---|---|"]
ORCHESTRATED_HEAD = ["| orchestration | prover | SPIN |", "|---|---|---|"]
# The orchestrations that are sound, and the choreographies that they are carried out as.
ORCHESTRATED = {
    "the shipped saga": WIRING,
    "steps in parallel, and a pivot that may refuse": wiring(SEJOURS),
    "the voyage, derived from its choreography": VOYAGES,
}


@dataclass(frozen=True)
class Case:
    """A choreography that both judge. `rule`: the one that it breaks. `unseen`: why SPIN cannot see that."""

    name: str
    choreography: Choreography
    rule: Rule | None = None
    unseen: str = ""


def _cases() -> Iterator[Case]:
    yield Case("the shipped saga", CHOREOGRAPHY)
    yield from (Case(name, choreography) for name, choreography in SOUND.items())
    yield from (Case(broken.name, broken.choreography, broken.rule, broken.unseen) for broken in BROKEN)


CASES = tuple(_cases())


def row(case: Case, verdict: Verdict) -> str:
    """The line of the table: the rules that each finds broken."""
    by_prover = {violation.rule for violation in prove(case.choreography).violations}
    by_spin = f"not visible: {case.unseen}" if case.unseen else _rules(verdict.broken)
    return f"| {case.name} | {_rules(by_prover)} | {by_spin} |"


def _rules(broken: Iterable[Rule]) -> str:
    found = set(broken)
    return ", ".join(f"`{rule.slug}`" for rule in Rule if rule in found) or "holds"


def orchestrated_row(name: str, verdict: Verdict | None) -> str:
    """The line of the table of orchestrations. `verdict`: None, when there is no model."""
    sound = name in ORCHESTRATED
    holds = "holds" if sound and prove(ORCHESTRATED[name]).holds else "refused when it is declared"
    by_spin = f"not visible: {UNSEEN[name]}" if name in UNSEEN else _rules(verdict.broken if verdict else ())
    return f"| {name} | {holds} | {by_spin} |"


def model_of(name: str) -> str | None:
    """The model of that orchestration; None when there is none."""
    if name in NO_MODEL:
        return None
    return promela(ORCHESTRATED[name]) if name in ORCHESTRATED else orchestrated_promela(unchecked(name))


def recorded(table: str = "spin") -> list[str]:
    """The lines of the table in the document."""
    found = _place(table).search(DOCUMENT.read_text(encoding="utf-8"))
    return found[0].splitlines()[len(HEAD) :] if found else []


def _place(table: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {table} -->\n).*?(?=<!-- /{table} -->)", re.DOTALL)


def _judged(model: str | None) -> Verdict | None:
    if model is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return check(model, Path(folder))


def main() -> None:
    rows = [row(case, verdict) for case in CASES if (verdict := _judged(promela(case.choreography)))]
    orchestrated = [orchestrated_row(name, _judged(model_of(name))) for name in (*ORCHESTRATED, *BAD)]
    for table, lines in (("spin", [*HEAD, *rows]), ("spin-orchestrated", [*ORCHESTRATED_HEAD, *orchestrated])):
        text = "\n".join([*lines, ""]).replace("\\", r"\\")
        written = _place(table).sub(text, DOCUMENT.read_text(encoding="utf-8"))
        DOCUMENT.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
