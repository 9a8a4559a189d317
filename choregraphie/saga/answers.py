"""Which event may answer which, computed from the reactions and the deadlines of a saga."""

from functools import cached_property

from choregraphie.saga.declarations import Deadline, Reaction


class WhoAnswers:
    """The part of a choreography that tells which event may answer which."""

    reactions: tuple[Reaction, ...]
    timed: tuple[Deadline, ...]

    def reactions_saying(self, type_: str) -> tuple[Reaction, ...]:
        """The reactions that may say events of wire type `type_`."""
        return self._saying.get(type_, ())

    @cached_property
    def _saying(self) -> dict[str, tuple[Reaction, ...]]:
        types = dict.fromkeys(said.TYPE for reaction in self.reactions for said in reaction.says)
        return {type_: tuple(r for r in self.reactions if type_ in {s.TYPE for s in r.says}) for type_ in types}

    @cached_property
    def causes(self) -> dict[str, frozenset[str]]:
        """For each wire type that a reaction says, the types that it may answer; deadlines left out."""
        found: dict[str, set[str]] = {}
        for reaction in self.reactions:
            for said in reaction.says:
                found.setdefault(said.TYPE, set()).update(event.TYPE for event in reaction.awaits)
        return {type_: frozenset(causes) for type_, causes in found.items()}

    def may_answer(self, type_: str, cause: str) -> bool:
        """Whether the wire type `type_` may answer the type `cause`; a deadline answers what began it."""
        return cause in self.causes.get(type_, ()) or (type_, cause) in self._deadline_causes

    @cached_property
    def _deadline_causes(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (said.TYPE, after.TYPE) for timed in self.timed for said in timed.says for after in timed.after
        )
