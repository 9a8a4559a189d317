"""What currently keeps a worker from working, by stage. Logs when it begins and when it ends."""

import structlog

from choregraphie.errors import ResourceShortage
from choregraphie.telemetry.metrics import Telemetry

log = structlog.get_logger()


class Shortages:
    """The stages of one service that wait for a resource of the worker. While there is one, it is not ready."""

    def __init__(self) -> None:
        self._lacking: dict[str, str] = {}

    def begin(self, stage: str, telemetry: Telemetry, shortage: ResourceShortage | None = None) -> None:
        """`stage` waits. A `shortage` is logged once, and again when it changes."""
        telemetry.blocked(stage)
        lacking = shortage.lacking if shortage else ""
        if lacking and self._lacking.get(stage) != lacking:
            log.error("worker.short_of_resources", stage=stage, lacking=lacking, error=str(shortage))
        self._lacking[stage] = lacking

    def end(self, stage: str, telemetry: Telemetry) -> None:
        """`stage` continues."""
        telemetry.unblocked(stage)
        if lacked := self._lacking.pop(stage, ""):
            log.info("worker.had_resources_again", stage=stage, lacked=lacked)

    def end_all(self, telemetry: Telemetry) -> None:
        """Every stage continues."""
        for stage in [*self._lacking]:
            self.end(stage, telemetry)
