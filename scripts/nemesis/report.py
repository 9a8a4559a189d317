"""The report of a run, as data and as text."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from scripts.nemesis.figures import Figures
from scripts.nemesis.invariants import CHECKERS, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.nemesis.violation import Violation

MOST_SHOWN = 20


@dataclass
class Report:
    """The result of a run. `partly`: the invariants that were checked only in part, and what was left out."""

    orders: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    starts: int = 0
    exits: dict[str, int] = field(default_factory=dict)
    resets: int = 0
    sessions: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    letters: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    partly: dict[str, str] = field(default_factory=dict)
    quiet_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def verdicts(self) -> dict[str, int]:
        """The number of violations of each invariant."""
        found = Counter(violation.invariant for violation in self.violations)
        return {invariant: found[invariant] for invariant in CHECKERS}


def report_text(report: Report, seed: int) -> str:
    lines = [
        f"orders        {report.orders}  ({_counts(report.outcomes)})",
        f"workers       {report.kills} killed, {report.starts} started, exits {_counts(report.exits) or 'none'}",
        f"connections   {report.resets} reset by the proxy; the client connected {report.sessions} times",
        f"faults        {sum(report.faults.values())}  ({_counts(report.faults)})",
        f"events        {_counts(asdict(report.figures))}",
        f"dead letters  {sum(report.letters.values())}  ({_counts(report.letters)})",
        f"quiet after   {report.quiet_seconds:.0f} s",
        *(f"note          {note}" for note in report.notes),
        *(f"{name:14}{_result(report, name, n)} ({MEANINGS[name]})" for name, n in report.verdicts.items()),
        *(f"  {violation}" for violation in report.violations[:MOST_SHOWN]),
    ]
    if len(report.violations) > MOST_SHOWN:
        lines.append(f"  and {len(report.violations) - MOST_SHOWN} more")
    holds = "every invariant holds" + (", some checked in part" if report.partly else "")
    verdict = "VIOLATED" if report.violations else holds
    return "\n".join([*lines, f"verdict       {verdict} (seed {seed})"])


def wrapped(text: str, width: int) -> str:
    """The lines of a report wrapped between words for a terminal, below the column where their values begin."""
    wrap = textwrap.TextWrapper(
        width, subsequent_indent=" " * 14, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )
    return "\n".join(wrap.fill(line) for line in text.splitlines())


def _result(report: Report, invariant: str, violations: int) -> str:
    if violations:
        return f"VIOLATED {violations} times"
    left_out = report.partly.get(invariant)
    return f"checked in part, holds so far: {left_out}" if left_out else "holds"


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items()))
