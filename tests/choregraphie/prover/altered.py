"""Variants of the shipped choreography: a reaction changed or removed, a fifth service added. Some are sound."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from choregraphie.saga.choreography import Choreography, EventClass, Reaction, Step
from contracts.choreography import CHOREOGRAPHY
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.notification import NotificationEnvoyee
from contracts.stock import StockReservationEchouee, StockReserve


class ExpeditionPartie(NotificationEnvoyee):
    TYPE: ClassVar[str] = "expedition.partie"
    SAID_BY: ClassVar[str] = "expedition"


class ExpeditionRatee(StockReservationEchouee):
    TYPE: ClassVar[str] = "expedition.ratee"
    SAID_BY: ClassVar[str] = "expedition"


class ExpeditionRappelee(NotificationEnvoyee):
    TYPE: ClassVar[str] = "expedition.rappelee"
    SAID_BY: ClassVar[str] = "expedition"


class FactureEmise(NotificationEnvoyee):
    TYPE: ClassVar[str] = "facture.emise"
    SAID_BY: ClassVar[str] = "facturation"


REFUSED, REFUSED_PARCEL = StockReservationEchouee, ExpeditionRatee


def without(service: str, hears: EventClass, base: Choreography = CHOREOGRAPHY) -> Choreography:
    kept = tuple(r for r in base.reactions if (r.service, r.hears) != (service, hears))
    said = {event for r in kept for event in r.says}
    return replace(base, reactions=kept, final=tuple(event for event in base.final if event in said))


def changed(service: str, on: EventClass, base: Choreography = CHOREOGRAPHY, **how: Any) -> Choreography:
    """`base` with one reaction changed."""
    reactions = (replace(r, **how) if (r.service, r.hears) == (service, on) else r for r in base.reactions)
    return replace(base, reactions=tuple(reactions))


def step(service: str, base: Choreography = CHOREOGRAPHY, **how: Any) -> Choreography:
    """`base` with one step changed."""
    return replace(base, steps=tuple(replace(s, **how) if s.service == service else s for s in base.steps))


def plus(*reactions: Reaction, base: Choreography = CHOREOGRAPHY) -> Choreography:
    return replace(base, reactions=(*base.reactions, *reactions))


def delivering(*reactions: Reaction, **how: Any) -> Choreography:
    """The shipped saga with a fifth service, `expedition`. `how` sets the fields of its step."""
    base = plus(*reactions)
    described: dict[str, Any] = {"after": CommandeCreee, "success": ExpeditionPartie} | how
    said = {event for r in reactions for event in r.says}
    heard = {r.hears for r in base.reactions}
    final = (*base.final, *sorted(said - heard - set(base.final), key=lambda event: event.TYPE))
    telling = tuple(event for r in reactions if r.decision for event in r.awaits)
    timed = tuple(replace(clock, after=(*clock.after, *telling)) for clock in base.timed)
    return replace(base, steps=(*base.steps, Step("expedition", **described)), timed=timed, final=final)


RECALLED = Reaction("expedition", CommandeAnnulee, (ExpeditionRappelee,), undoing=True, undoes=(CommandeCreee,))


CANCELS = Reaction("commande", ExpeditionRatee, (CommandeAnnulee,), decision=True)


def sound() -> Iterator[tuple[str, Choreography]]:
    """Sound choreographies other than the shipped one."""
    ships = Reaction("expedition", CommandeCreee, (ExpeditionPartie,), irreversible=True)
    yield "a service after the creation", delivering(ships, RECALLED, undone=ExpeditionRappelee)
    may_refuse = replace(ships, says=(ExpeditionPartie, ExpeditionRatee), refusal=ExpeditionRatee)
    yield (
        "a service that may refuse after the creation",
        delivering(may_refuse, CANCELS, RECALLED, undone=ExpeditionRappelee, refusal=ExpeditionRatee),
    )
    early = Reaction(
        "expedition",
        StockReserve,
        (ExpeditionPartie, ExpeditionRatee),
        refusal=ExpeditionRatee,
        irreversible=True,
    )
    made_good = replace(RECALLED, undoes=(StockReserve,))
    yield (
        "what cannot be undone before the creation, and is made good",
        delivering(
            early, CANCELS, made_good, after=StockReserve, refusal=ExpeditionRatee, undone=ExpeditionRappelee
        ),
    )


def listening() -> Choreography:
    """The decider records an event that does not lead to a decision."""
    return plus(Reaction("commande", StockReserve))


SOUND = {**dict(sound()), "a decider that only records an event": listening()}
