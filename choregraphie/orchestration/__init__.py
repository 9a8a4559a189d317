"""An orchestrated saga: declared steps, a pure state machine, and the service that advances its instances."""

from choregraphie.orchestration.declaration import BadOrchestration, Notice, Orchestration, Step
from choregraphie.orchestration.derivation import Derived, derived
from choregraphie.orchestration.orchestrator import orchestrator
from choregraphie.orchestration.wiring import Orchestrated, wiring

__all__ = [
    "BadOrchestration",
    "Derived",
    "Notice",
    "Orchestrated",
    "Orchestration",
    "Step",
    "derived",
    "orchestrator",
    "wiring",
]
