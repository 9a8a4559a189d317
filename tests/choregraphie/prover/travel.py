"""A journey: flight, hotel and car are booked in parallel, and paid when all three are. And broken variants."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from choregraphie.prover import Rule
from choregraphie.saga.choreography import Awaited, Choreography, Deadline, EventClass, Reaction, Step
from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Identifier
from scripts.benchmarks.choreographies import event
from tests.choregraphie.prover.declared import Broken


class TravelEvent(Event):
    """A fact about one journey."""

    SAGA: ClassVar[str] = "voyage"
    KEY: ClassVar[str] = "voyage_id"

    voyage_id: Identifier


def said(type_: str, by: str) -> EventClass:
    return event(type_, by, TravelEvent)


DEMANDE, ANNULATION = said("voyage.demande", "client"), said("voyage.annulation_demandee", "client")
CONFIRME, ANNULE = said("voyage.confirme", "agence"), said("voyage.annule", "agence")
PAYE, NON_PAYE, REMBOURSE = (said(f"paiement.{word}", "paiement") for word in ("effectue", "echoue", "rembourse"))
PARTS = ("vol", "hotel", "voiture")
RESERVE, REFUSE, LIBERE = (
    tuple(said(f"{part}.{word}", part) for part in PARTS) for word in ("reserve", "refuse", "libere")
)
COACH = said("car.reserve", "car")


def _part(number: int) -> tuple[Reaction, Reaction]:
    part, held, refused, released = PARTS[number], RESERVE[number], REFUSE[number], LIBERE[number]
    return (
        Reaction(part, DEMANDE, (held, refused), refusal=refused),
        Reaction(part, ANNULE, (released,), undoing=True, undoes=(DEMANDE,)),
    )


def _cancels(*heard: EventClass) -> tuple[Reaction, ...]:
    return tuple(Reaction("agence", one, (ANNULE,), decision=True) for one in heard)


TRAVEL = Choreography(
    name="voyage",
    noun=("journey", "journeys"),
    starts=DEMANDE,
    created=CONFIRME,
    cancelled=ANNULE,
    cancel_asked=ANNULATION,
    decider="agence",
    steps=(
        *(Step(PARTS[n], DEMANDE, RESERVE[n], REFUSE[n], LIBERE[n]) for n in range(3)),
        Step("paiement", RESERVE, PAYE, NON_PAYE, REMBOURSE),
        Step("agence", PAYE, CONFIRME, ANNULE),
    ),
    reactions=(
        *(reaction for number in range(3) for reaction in _part(number)),
        Reaction("paiement", RESERVE, (PAYE, NON_PAYE), refusal=NON_PAYE),
        Reaction("paiement", ANNULE, (REMBOURSE,), undoing=True, undoes=RESERVE),
        Reaction("agence", DEMANDE, (CONFIRME, ANNULE), decision=True),
        Reaction("agence", PAYE, (CONFIRME, ANNULE), decision=True),
        *_cancels(*REFUSE, NON_PAYE, ANNULATION),
    ),
    timed=(Deadline("agence", (ANNULE,), after=(DEMANDE, PAYE, NON_PAYE, *REFUSE)),),
    final=(CONFIRME, *LIBERE, REMBOURSE),
)


def changed(service: str, on: object, base: Choreography = TRAVEL, **how: Any) -> Choreography:
    reactions = (replace(r, **how) if (r.service, r.hears) == (service, on) else r for r in base.reactions)
    return replace(base, reactions=tuple(reactions))


def step(service: str, base: Choreography = TRAVEL, **how: Any) -> Choreography:
    return replace(base, steps=tuple(replace(s, **how) if s.service == service else s for s in base.steps))


def without(service: str, hears: object, base: Choreography = TRAVEL) -> Choreography:
    kept = tuple(r for r in base.reactions if (r.service, r.hears) != (service, hears))
    left = {event for reaction in kept for event in reaction.says}
    return replace(base, reactions=kept, final=tuple(event for event in base.final if event in left))


def by_train(base: Choreography) -> Choreography:
    """`base` without the car, so that every state can be explored."""
    gone = {RESERVE[2], REFUSE[2], LIBERE[2]}

    def kept(events: Awaited) -> Any:
        left = tuple(event for event in events if event not in gone) if isinstance(events, tuple) else (events,)
        return left if isinstance(events, tuple) and len(left) != 1 else left[0]

    reactions = (r for r in base.reactions if r.service != PARTS[2] and r.hears is not REFUSE[2])
    return replace(
        base,
        steps=tuple(replace(s, after=kept(s.after)) for s in base.steps if s.service != PARTS[2]),
        reactions=tuple(
            replace(r, hears=kept(r.hears), undoes=tuple(e for e in r.undoes if e not in gone)) for r in reactions
        ),
        timed=tuple(replace(t, after=tuple(e for e in t.after if e not in gone)) for t in base.timed),
        final=tuple(event for event in base.final if event not in gone),
    )


def decided_together() -> Choreography:
    """Nobody is paid: the agency itself waits for all three."""
    base = replace(TRAVEL, steps=(*TRAVEL.steps[:3], Step("agence", RESERVE, CONFIRME, ANNULE)))
    kept = tuple(r for r in base.reactions if r.service != "paiement" and r.hears not in {PAYE, NON_PAYE})
    decides = Reaction("agence", RESERVE, (CONFIRME, ANNULE), decision=True)
    timed = (Deadline("agence", (ANNULE,), after=(DEMANDE, *REFUSE, *RESERVE)),)
    return replace(base, reactions=(*kept, decides), timed=timed, final=(CONFIRME, *LIBERE))


def ticketed() -> Choreography:
    """The airline has a second step, which begins when the journey is confirmed, and undoes both in one answer."""
    issued = said("vol.emis", "vol")
    base = changed("vol", ANNULE, undoes=(DEMANDE, CONFIRME))
    return replace(
        base,
        steps=(*base.steps, Step("vol", CONFIRME, issued, undone=LIBERE[0], name="billet")),
        reactions=(*base.reactions, Reaction("vol", CONFIRME, (issued,))),
        final=(*LIBERE, REMBOURSE, issued),
    )


SOUND = {"a journey": TRAVEL, "a decider that joins": decided_together(), "a second step of a service": ticketed()}


def _broken() -> Iterator[Broken]:
    joined = (*RESERVE, COACH)
    yield Broken(
        "a join with an event that nobody says",
        Rule.SAID,
        changed("paiement", RESERVE, step("paiement", after=joined), hears=joined),
        "paiement hears car.reserve, and nobody says it",
        0,
    )
    yield Broken(
        "a branch that is not undone",
        Rule.UNDONE,
        step("hotel", without("hotel", ANNULE), undone=None),
        "hotel does not hear voyage.annule, and what hotel does on voyage.demande is never undone",
        4,
    )
    yield Broken(
        "a decider that creates on one branch alone",
        Rule.HEARD,
        _created_on_one_branch(),
        "hotel.reserve is said by hotel, and nobody hears it",
        2,
    )
    yield Broken(
        "a joined step that no tombstone stops",
        Rule.UNDONE,
        changed("paiement", ANNULE, undoes=()),
        "what paiement does on vol.reserve + hotel.reserve + voiture.reserve is not among what that undoes",
        8,
    )
    yield Broken(
        "a refusal that has to wait for a success",
        Rule.DECIDES,
        _refusal_in_a_join(),
        "vol.refuse, a refusal, has to wait",
        3,
    )
    yield Broken(
        "a step that joins other events than its reaction",
        Rule.STEPS,
        step("paiement", after=RESERVE[:2]),
        "paiement's step comes after vol.reserve + hotel.reserve, which it does not hear together",
        0,
    )
    yield Broken(
        "an event that is heard alone and in a join",
        Rule.STEPS,
        replace(TRAVEL, reactions=(*TRAVEL.reactions, Reaction("paiement", RESERVE[0]))),
        "paiement is declared 2 times to hear vol.reserve",
        3,
    )
    yield Broken(
        "two steps of one name",
        Rule.STEPS,
        replace(ticketed(), steps=tuple(replace(s, name=s.service) for s in ticketed().steps)),
        "2 steps are named vol",
        0,
    )
    yield Broken(
        "a second step that is not undone",
        Rule.UNDONE,
        changed("vol", ANNULE, ticketed(), undoes=(DEMANDE,)),
        "what vol does on voyage.confirme is not among what that undoes",
        None,
    )
    yield Broken("two deciders", Rule.DECIDES, _two_deciders(), "agence decides", 3)


def _created_on_one_branch() -> Choreography:
    base = step("agence", decided_together(), after=RESERVE[0])
    return changed("agence", RESERVE, base, hears=RESERVE[0])


def _refusal_in_a_join() -> Choreography:
    alone = without("agence", REFUSE[0], without("agence", REFUSE[1]))
    both = Reaction("agence", REFUSE[:2], (ANNULE,), decision=True)
    return replace(alone, reactions=(*alone.reactions, both), final=TRAVEL.final)


def _two_deciders() -> Choreography:
    return changed("paiement", RESERVE, says=(PAYE, NON_PAYE, ANNULE))


BROKEN = tuple(_broken())
