"""The role of each event in a choreography: forward, refusal, cancellation, undoing."""

from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.choreography import Choreography, EventClass

# Each role has a glyph too, so that colour is not the only sign.
GLYPHS = {"forward": "", "good": "✓", "refusal": "✕", "cancel": "⊘", "undoing": "↺", "unknown": "?"}


@dataclass(frozen=True)
class EventRoles:
    """Answers for the events of one choreography."""

    choreography: Choreography

    @cached_property
    def _roles(self) -> dict[EventClass, str]:
        of = self.choreography
        roles = dict.fromkeys(of.events, "forward") | dict.fromkeys(of.refusals, "refusal")
        roles |= {step.undone: "undoing" for step in of.undoings if step.undone}
        roles |= {step.undo: "undoing" for step in of.undoings if step.undo}
        roles |= {of.review: "refusal"} if of.review else {}
        roles |= {of.asked_to_cancel: "cancel"} if of.asked_to_cancel else {}
        return {**roles, **dict.fromkeys((of.cancelled, of.cancel_asked), "cancel"), of.created: "good"}

    def role(self, type_: str) -> str:
        """One of the keys of `GLYPHS`."""
        known = self.choreography.event_types.get(type_)
        return self._roles.get(known, "unknown") if known else "unknown"

    def speaker(self, type_: str, source: str = "") -> str:
        """The publisher of this event type, which is its lane; unknown publishers count as clients."""
        known = self.choreography.event_types.get(type_)
        name = known.SAID_BY if known else source.rpartition("/")[2]
        return name if name in self.choreography.speakers else "client"

    def consumers(self, type_: str) -> dict[str, bool]:
        """The services that consume this event type, and whether it needs their answer.

        The decider consumes an instance's first event and could decide at once, but no one waits for that.
        """
        of = self.choreography
        known = of.event_types.get(type_)
        called = {step.service for step in of.steps if known in step.awaits} | {of.orchestrator}
        called |= {step.service for step in of.steps if step.undo is known}
        if known is of.cancelled:
            called |= set(of.services)
        elif self.role(type_) in {"refusal", "cancel"}:
            called.add(of.decider)
        found: dict[str, bool] = {}
        for reaction in of.reactions:
            if known in reaction.awaits:
                answers = bool(reaction.says) and reaction.service in called
                found[reaction.service] = found.get(reaction.service, False) or answers
        return found

    @cached_property
    def in_order(self) -> tuple[EventClass, ...]:
        """All events: forward, then cancelling, then undoing; each command before its answers."""
        of = self.choreography
        found: dict[EventClass | None, None] = {of.starts: None}
        for step in of.steps:
            refusal = step.refusal if step.refusal is not of.cancelled else None
            commands = (event for event in step.awaits if event.SAID_TO)
            found.update(dict.fromkeys((*commands, step.success, refusal)))
        found.update(dict.fromkeys((of.cancel_asked, of.asked_to_cancel, of.cancelled)))
        for step in reversed(of.undoings) if of.orchestrator else ():
            found.update(dict.fromkeys((step.undo, step.undone)))
        found.update(dict.fromkeys(of.events))
        return tuple(event for event in found if event is not None)

    def awaited_sentence(self, type_: str) -> str:
        """What is awaited, as a sentence: `paiement must publish paiement.effectue, or …`."""
        of = self.choreography
        for step in of.steps:
            if step.undone and type_ == step.undone.TYPE:
                asked = step.undo.TYPE if step.undo else "the cancellation"
                return f"{step.service} must answer {asked} with {type_}"
            if type_ == step.success.TYPE:
                refusal = f", or {step.refusal.TYPE} when it refuses" if step.refusal else ""
                return f"{step.service} must publish {type_}{refusal}"
        if type_ == of.cancelled.TYPE:
            return f"{of.decider} must cancel the {of.noun[0]} with {type_}"
        return f"{self.speaker(type_)} must publish {type_}"
