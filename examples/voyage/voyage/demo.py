"""`python -m voyage demo`: a voyage to every end on a real broker, with the monitor beside it."""

import asyncio
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, select

from choregraphie import BrokerUnavailable, Settings, UserError
from choregraphie.client import Outcome, outcome, publish
from voyage.application import APP
from voyage.events import VoyageAnnulationDemandee, VoyageDemande
from voyage.paiement.store import Paiement
from voyage.processes import ProcessEnded, Processes

SOURCE = "/clients/demo"
DEADLINE_SECONDS = 2
PATIENCE_SECONDS = 180.0
OTHERS = ("vol", "hotel", "paiement", "agence")
_PLAIN = {"client_id": "CLIENT-1", "vol_id": "AF-LISBONNE", "hotel_id": "RIVAGE", "voiture_id": "CITADINE"}


@dataclass(frozen=True)
class Case:
    """A voyage of the demonstration: what happens to it, and the state in which it ends."""

    about: str
    end: str
    changes: Mapping[str, str] = field(default_factory=dict)
    cancelled_after: bool = False

    def request(self, key: str) -> VoyageDemande:
        """The event that begins it: two travellers, three nights."""
        return VoyageDemande.model_validate(
            {"voyage_id": key, "voyageurs": 2, "nuits": 3, **_PLAIN, **self.changes}
        )


CASES = (
    Case("everything is free, the card is good", "COMPLETED"),
    Case("the flight has one seat, for two", "COMPENSATED", {"vol_id": "AF-OSLO"}),
    Case("no room is free", "COMPENSATED", {"hotel_id": "BELVEDERE"}),
    Case("no car is free", "COMPENSATED", {"voiture_id": "CABRIOLET"}),
    Case("the card is refused", "COMPENSATED", {"client_id": "CLIENT-FAUCHE"}),
    Case("cancelled after its confirmation: there is a fee", "COMPENSATED", cancelled_after=True),
)
LATE = Case("the car rental is away until after the deadline", "COMPENSATED")


@dataclass(frozen=True)
class Ended:
    """How a voyage ended, and what the card was debited and credited for it."""

    key: str
    case: Case
    outcome: Outcome
    debited: str
    credited: str


class Demonstration:
    """The workers and the monitor, in processes of their own, and a client that asks for voyages."""

    def __init__(self, folder: Path, settings: Settings, processes: Processes) -> None:
        self._folder = folder
        self._settings = settings
        self._processes = processes
        self._run = uuid.uuid4().hex[:4]
        self._monitor = ""
        self._ended: list[tuple[str, Case, Outcome]] = []

    async def run(self) -> list[Ended]:
        """Every voyage to its end. Raises ProcessEnded, TimeoutError, BrokerUnavailable or UserError."""
        await self._start()
        for number, case in enumerate(CASES, start=1):
            await self._ask(f"VOY-{self._run}-{number}", case)
        await self._past_the_deadline(f"VOY-{self._run}-{len(CASES) + 1}")
        return [Ended(key, case, found, *self._money(key)) for key, case, found in self._ended]

    async def _start(self) -> None:
        print("Starting the workers and the monitor ...", flush=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._monitor = f"http://127.0.0.1:{port}"
        await self._work(*OTHERS)
        await self._work("voiture")
        await self._processes.start("monitor", "saga_monitor", "serve", "--port", str(port))
        print(f"The monitor's page is {self._monitor}/ while this runs.\n", flush=True)

    async def _work(self, *services: str, **settings: object) -> None:
        """Start a worker of these services, and wait until it hears."""
        await self._processes.start(services[0], "voyage", "run", *services, **settings)
        await self._processes.finish("voyage", "ready", *services, "--wait", f"{PATIENCE_SECONDS:g}")

    async def _ask(self, key: str, case: Case) -> None:
        """Ask for a voyage, and wait for its end."""
        await publish(self._settings, case.request(key), source=SOURCE)
        found = await self._outcome(key)
        if case.cancelled_after:
            demand = VoyageAnnulationDemandee(voyage_id=key, raison="changement d'avis")
            await publish(self._settings, demand, source=SOURCE)
            async with asyncio.timeout(PATIENCE_SECONDS):
                # It was completed: the monitor answers so at once until it has heard of the cancellation.
                while found.state == "COMPLETED":
                    await asyncio.sleep(0.1)
                    found = await self._outcome(key)
        self._note(key, case, found)

    async def _past_the_deadline(self, key: str) -> None:
        """Nobody answers for the cars, so the deadline cancels; once back, they answer the cancellation."""
        for name in ("voiture", OTHERS[0]):
            await self._processes.stop(name)
        await self._work(*OTHERS, deadline=DEADLINE_SECONDS)
        await publish(self._settings, LATE.request(key), source=SOURCE)
        async with asyncio.timeout(DEADLINE_SECONDS + PATIENCE_SECONDS):
            while (await self._outcome(key, seconds=1.0)).state in {"NEW", "RUNNING"}:
                self._processes.check()
        await self._work("voiture")
        found = await self._outcome(key)
        self._note(key, LATE, found)

    async def _outcome(self, key: str, seconds: float = PATIENCE_SECONDS) -> Outcome:
        self._processes.check()
        token = self._settings.monitor_token
        return await outcome(self._monitor, "voyage", key, timeout=seconds, token=token)

    def _note(self, key: str, case: Case, found: Outcome) -> None:
        print(f"  {key}  {case.about:<50} {found.state:<12} {found.reason or ''}", flush=True)
        self._ended.append((key, case, found))

    def _money(self, key: str) -> tuple[str, str]:
        """What the payment service's own table says: debited, credited."""
        engine = create_engine(f"sqlite:///{self._folder}/paiement.sqlite3")
        try:
            with engine.connect() as connection:
                row = connection.execute(
                    select(Paiement.TABLE).where(Paiement.TABLE.c.voyage_id == key)
                ).one_or_none()
        finally:
            engine.dispose()
        return (f"{row.montant:.2f}", f"{row.rembourse:.2f}") if row else ("-", "-")


def _summary(ended: list[Ended]) -> str:
    lines = [f"  {'voyage':<12} {'end':<12} {'debited':>9} {'credited':>9}  reason"]
    for one in ended:
        reason = one.outcome.reason or ""
        lines.append(f"  {one.key:<12} {one.outcome.state:<12} {one.debited:>9} {one.credited:>9}  {reason}")
    return "\n".join(lines)


async def _demonstrate(folder: Path, settings: Settings) -> list[Ended]:
    environment = {
        "SAGA_DATABASE_URL": f"sqlite:///{folder}/{{service}}.sqlite3",
        "SAGA_MONITOR_DATABASE": f"{folder}/monitor.sqlite3",
        "SAGA_APP": "voyage.application:APP",
    }
    async with Processes(folder, environment) as processes:
        return await Demonstration(folder, settings, processes).run()


def main() -> int:
    """Run the demonstration. Exit code: 0 every voyage ended as it should, 1 one did not, 2 it cannot run."""
    with tempfile.TemporaryDirectory(prefix="voyage-") as folder:
        try:
            ended = asyncio.run(_demonstrate(Path(folder), APP.read_settings(os.environ)))
        except (UserError, BrokerUnavailable, TimeoutError, ProcessEnded) as error:
            print(f"voyage demo: {error or 'a voyage has not come to its end in time'}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    print(f"\n{_summary(ended)}\n")
    wrong = [one.key for one in ended if one.outcome.state != one.case.end]
    print(f"not as expected: {', '.join(wrong)}" if wrong else f"All {len(ended)} voyages ended as they should.")
    return 1 if wrong else 0
