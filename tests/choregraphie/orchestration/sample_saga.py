"""A small orchestrated saga for the tests: two bookings in parallel, a payment, a confirmation, a letter."""

from typing import Any, ClassVar

from choregraphie.orchestration import Notice, Orchestration, Step
from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Identifier, Reason


class SejourEvent(Event):
    """What is said of one stay."""

    SAGA: ClassVar[str] = "sejour"
    KEY: ClassVar[str] = "sejour_id"

    sejour_id: Identifier


def event(type_: str, said_by: str, said_to: str = "", **fields: Any) -> Any:
    """An event class of that wire type, with these fields."""
    name = "".join(word.title() for word in type_.replace("_", ".").split("."))
    attributes = {"TYPE": type_, "SAID_BY": said_by, "SAID_TO": said_to, "__annotations__": fields}
    return type(name, (SejourEvent,), {"__module__": __name__, "__doc__": type_, **attributes})


def command(type_: str, **fields: Any) -> Any:
    """A command of the orchestrator, for the service that its type begins with."""
    return event(type_, "guide", type_.partition(".")[0], **fields)


DEMANDE = event("sejour.demande", "client", client_id=Identifier)
ANNULATION = event("sejour.annulation_demandee", "client", raison=Reason)


def booking(name: str, **more: Any) -> Step:
    """The step that books with the service `name`."""
    return Step(
        name,
        command(f"{name}.reserver", client_id=Identifier),
        event(f"{name}.reserve", name),
        event(f"{name}.refuse", name, raison=Reason),
        command(f"{name}.annuler"),
        event(f"{name}.annule", name),
        **more,
    )


TRAIN: Any
CHAMBRE: Any
PAIEMENT: Any
TRAIN, CHAMBRE, PAIEMENT = booking("train", timeout=5.0), booking("chambre"), booking("paiement", tries=3)
CONFIRME, ANNULE = event("dossier.confirme", "dossier"), event("dossier.annule", "dossier", raison=Reason)
DOSSIER: Any = Step(
    "dossier",
    command("dossier.confirmer"),
    CONFIRME,
    ANNULE,
    command("dossier.annuler", raison=Reason),
    ANNULE,
    pivot=True,
)
LETTRE: Any = Step("lettre", command("lettre.envoyer"), event("lettre.envoyee", "lettre"), timeout=60.0)
STEPS = ((TRAIN, CHAMBRE), PAIEMENT, DOSSIER, LETTRE)


def sejours(**changes: Any) -> Orchestration:
    """The saga, with these changes of its declaration."""
    declared: dict[str, Any] = {
        "name": "sejour",
        "noun": ("stay", "stays"),
        "service": "guide",
        "starts": DEMANDE,
        "cancel_asked": ANNULATION,
        "steps": STEPS,
        "on_cancelled": (Notice(command("lettre.prevenir", raison=Reason), (LETTRE.success,)),),
    }
    return Orchestration(**declared | changes)


SEJOURS = sejours()
