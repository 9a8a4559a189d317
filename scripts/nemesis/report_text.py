"""The report of a run, for a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from scripts.nemesis.invariants import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.nemesis.run import Report

MOST_SHOWN = 20


def written(report: Report, seed: int) -> str:
    lines = [
        f"orders        {report.orders}  ({_counts(report.outcomes)})",
        f"workers       {report.kills} killed, {report.starts} started, exits {_counts(report.exits) or 'none'}",
        f"connections   {report.resets} reset by the proxy; the client connected {report.sessions} times",
        f"faults        {sum(report.faults.values())}  ({_counts(report.faults)})",
        f"events        {_counts(asdict(report.figures))}",
        f"dead letters  {sum(report.letters.values())}  ({_counts(report.letters)})",
        f"quiet after   {report.quiet_seconds:.0f} s",
        *(f"note          {note}" for note in report.notes),
        *(f"{name:14}{_verdict(report, name, n)} ({MEANINGS[name]})" for name, n in report.verdicts.items()),
        *(f"  {violation}" for violation in report.violations[:MOST_SHOWN]),
    ]
    if len(report.violations) > MOST_SHOWN:
        lines.append(f"  and {len(report.violations) - MOST_SHOWN} more")
    holds = "every invariant holds" + (", some judged in part" if report.partly else "")
    verdict = "VIOLATED" if report.violations else holds
    return "\n".join([*lines, f"verdict       {verdict} (seed {seed})"])


def _verdict(report: Report, invariant: str, violations: int) -> str:
    if violations:
        return f"VIOLATED {violations} times"
    left_out = report.partly.get(invariant)
    return f"partly judged, and holds so far: {left_out}" if left_out else "holds"


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items()))
