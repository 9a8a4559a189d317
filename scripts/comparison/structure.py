"""What the declarations tell: how many others each service must know, and how much there is to read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from choregraphie.prover.check import prove
from scripts.benchmarks.system.contenders import ROOT
from scripts.comparison.wirings import CHOREOGRAPHY, ORCHESTRATION
from services.application import APP
from services.orchestration import ORCHESTRATED

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where the order of the steps is declared.
_DECLARED = {
    CHOREOGRAPHY: ("contracts/choreography.py",),
    ORCHESTRATION: ("contracts/commands.py", "services/orchestrateur/saga.py"),
}


def measure() -> dict[str, dict[str, Any]]:
    """The structure of each wiring."""
    found = {}
    for wiring, application in ((CHOREOGRAPHY, APP), (ORCHESTRATION, ORCHESTRATED)):
        (saga,) = application.sagas
        pairs = ((one.service, event.SAID_BY) for one in saga.reactions for event in one.awaits)
        found[wiring] = {
            "others_known": known(pairs),
            "message_types": len(saga.events),
            "reactions": len(saga.reactions),
            "declaration_lines": sum(_lines(path) for path in _DECLARED[wiring]),
            "holds": prove(saga, application.by_name).holds,
        }
    return found


def known(hears: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many other programs each service hears, from pairs of hearer and speaker."""
    speakers: dict[str, set[str]] = defaultdict(set)
    for service, speaker in hears:
        speakers[service] |= {speaker} - {service}
    return {service: len(others) for service, others in speakers.items()}


def _lines(path: str) -> int:
    return sum(bool(line.strip()) for line in (ROOT / path).read_text().splitlines())
