"""The role of each event in the choreography: forward, refusal, cancellation, undoing."""

from choregraphie.saga.choreography import EventClass
from choregraphie.saga.envelope import Event
from contracts.choreography import CHOREOGRAPHY

# Each role has a glyph too, so that colour is not the only sign.
GLYPHS = {"forward": "", "good": "✓", "refusal": "✕", "cancel": "⊘", "undoing": "↺", "unknown": "?"}


def _roles() -> dict[EventClass, str]:
    roles = dict.fromkeys(CHOREOGRAPHY.events, "forward") | dict.fromkeys(CHOREOGRAPHY.refusals, "refusal")
    roles |= {step.undone: "undoing" for step in CHOREOGRAPHY.undoings if step.undone}
    cancels = dict.fromkeys((CHOREOGRAPHY.cancelled, CHOREOGRAPHY.cancel_asked), "cancel")
    return {**roles, **cancels, CHOREOGRAPHY.created: "good"}


_ROLES = {said.TYPE: role for said, role in _roles().items()}


def role(type_: str) -> str:
    """One of the keys of `GLYPHS`."""
    return _ROLES.get(type_, "unknown")


def speaker(type_: str, source: str = "") -> str:
    """The publisher of this event type, which is its lane; unknown publishers count as clients."""
    known = CHOREOGRAPHY.event_types.get(type_)
    name = known.SAID_BY if known else source.rpartition("/")[2]
    return name if name in CHOREOGRAPHY.speakers else "client"


def consumers(type_: str) -> dict[str, bool]:
    """The services that consume this event type, and whether it needs their answer.

    The decider consumes an order's first event and could decide at once, but no one waits for that.
    """
    known = CHOREOGRAPHY.event_types.get(type_)
    called = {step.service for step in CHOREOGRAPHY.steps if step.after is known}
    if known is CHOREOGRAPHY.cancelled:
        called |= set(CHOREOGRAPHY.services)
    elif role(type_) in {"refusal", "cancel"}:
        called.add(CHOREOGRAPHY.decider)
    return {r.service: bool(r.says) and r.service in called for r in CHOREOGRAPHY.reactions if r.hears is known}


def in_order() -> list[type[Event]]:
    """All events: forward, then cancelling, then undoing."""
    found: dict[EventClass, None] = {CHOREOGRAPHY.starts: None}
    for step in CHOREOGRAPHY.steps:
        refusal = step.refusal if step.refusal is not CHOREOGRAPHY.cancelled else None
        found.update(dict.fromkeys(said for said in (step.success, refusal) if said))
    found.update(dict.fromkeys((CHOREOGRAPHY.cancel_asked, CHOREOGRAPHY.cancelled)))
    return list({**found, **dict.fromkeys(CHOREOGRAPHY.events)})


def awaited_sentence(type_: str) -> str:
    """What is awaited, as a sentence: `paiement must publish paiement.effectue, or …`."""
    for step in CHOREOGRAPHY.steps:
        if step.undone and type_ == step.undone.TYPE:
            return f"{step.service} must answer the cancellation with {type_}"
        if type_ == step.success.TYPE:
            refusal = f", or {step.refusal.TYPE} when it refuses" if step.refusal else ""
            return f"{step.service} must publish {type_}{refusal}"
    if type_ == CHOREOGRAPHY.cancelled.TYPE:
        return f"{CHOREOGRAPHY.decider} must cancel the order with {type_}"
    return f"{speaker(type_)} must publish {type_}"
