"""The tables of `docs/comparison.md`, from the figures that are published beside it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.contenders import ROOT
from scripts.comparison import claims, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIGURES = ROOT / "docs" / "comparison" / "figures.json"


def write(figures: dict[str, Any]) -> None:
    """Publish these figures; `scripts/generate_readme.py` then writes the tables."""
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def published() -> dict[str, Any]:
    """The published figures."""
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def markdown(rows: Iterable[list[str]]) -> str:
    """Rows, the first of which is the head, as a Markdown table."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def _run() -> str:
    """When, where and how the figures were taken."""
    figures = published()
    it = figures["machine"]
    turns = 1 + max(one["turn"] for one in figures["rounds"])
    changed = ", with changes that are not committed" if it["changed"] else ""
    busy = " The machine was busy with other work, so times and rates are worse than it can." if _busy(it) else ""
    return (
        f"`{it['command']}` at {it['at']}, commit {it['commit']}{changed}: {it['cores']} cores, {it['system']},\n"
        f"Python {it['python']}, RabbitMQ {it['rabbitmq']}; load before the run {it['load']:.1f};"
        f" rounds of each wiring: {turns}.{busy}"
    )


def _busy(it: dict[str, Any]) -> bool:
    return bool(it["load"] > it["cores"] / 2)


def _table(rows: Callable[[dict[str, Any]], Iterable[list[str]]]) -> str:
    return markdown(rows(published()))


PARTS: dict[str, Callable[[], str]] = {
    "run": _run,
    "claims": partial(_table, claims.rows),
    **{name: partial(_table, rows) for name, rows in tables.PARTS.items()},
}
