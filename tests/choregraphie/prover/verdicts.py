"""The verdicts of the prover and SPIN side by side; `python -m tests.choregraphie.prover.verdicts` records them.

The table is in docs/proofs.md; a test compares each line with what both say.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from choregraphie.prover import Rule, promela, prove
from choregraphie.saga.choreography import Choreography
from contracts.choreography import CHOREOGRAPHY
from tests.choregraphie.prover.altered import SOUND
from tests.choregraphie.prover.broken import BROKEN
from tests.choregraphie.prover.spin import Verdict, check

DOCUMENT = Path(__file__).parents[3] / "docs" / "proofs.md"
TABLE = re.compile(r"(?<=<!-- spin -->\n).*?(?=<!-- /spin -->)", re.DOTALL)
HEAD = ["| choreography | prover | SPIN |", "|---|---|---|"]


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


def recorded() -> list[str]:
    """The lines of the table in the document."""
    found = TABLE.search(DOCUMENT.read_text(encoding="utf-8"))
    return found[0].splitlines()[len(HEAD) :] if found else []


def main() -> None:
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(case, check(promela(case.choreography), Path(folder))))
    table = "\n".join([*HEAD, *rows, ""])
    DOCUMENT.write_text(TABLE.sub(lambda _: table, DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
