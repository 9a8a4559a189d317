"""The two kinds of the order saga: a run is of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from services.orchestration import WIRING

if TYPE_CHECKING:
    from choregraphie.saga.choreography import Choreography

CHOREOGRAPHED, ORCHESTRATED = "choreography", "orchestration"
# By the values of SAGA_COORDINATION.
SAGAS: dict[str, Choreography] = {CHOREOGRAPHED: CHOREOGRAPHY, ORCHESTRATED: WIRING}
