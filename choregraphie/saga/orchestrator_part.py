"""What an orchestrator adds to a saga, for those who read its declaration: empty where nobody leads."""

from functools import cached_property

from choregraphie.saga.declarations import EventClass, Reaction, Step

# In the event that asks for a person: the data field that names what is awaited, and what stands between two types
# in it.
AWAITED, SEPARATOR = "attendu", ", "


class OrchestratorPart:
    """The part of a choreography that is empty without an orchestrator."""

    steps: tuple[Step, ...]

    @property
    def command_types(self) -> frozenset[str]:
        """The wire types of what an orchestrator tells its services to do; none without one."""
        return frozenset()

    @property
    def orchestrator(self) -> str:
        """The service that leads the others; empty: nobody does."""
        return ""

    @cached_property
    def asked_back(self) -> dict[str, str]:
        """The wire types of the commands that ask for undoings, each with that of its answer."""
        return {step.undo.TYPE: step.undone.TYPE for step in self.steps if step.undo and step.undone}

    @property
    def asked_to_cancel(self) -> EventClass | None:
        """The command that asks for the cancellation; None where no service is asked for it."""
        return None

    @property
    def review(self) -> EventClass | None:
        """The event with which an orchestrator asks for a person; None without one."""
        return None

    @property
    def notices(self) -> tuple[Reaction, ...]:
        """The reactions to commands that are of no step; none without an orchestrator."""
        return ()


def awaited_types(named: str | None) -> tuple[str, ...]:
    """The wire types that the field AWAITED names."""
    return tuple(named.split(SEPARATOR)) if named else ()
