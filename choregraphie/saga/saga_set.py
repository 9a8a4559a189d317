"""The sagas of one application together: who says and hears what in any of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from choregraphie.saga.choreography import Choreography, EventClass, Reaction


@dataclass(frozen=True)
class SagaSet:
    """Several sagas over the same services. Their event types are disjoint, so a type belongs to one saga.

    `foreign`: the services that others run. `delays`: by service, the retry delays (s) that its reactions declare.
    """

    declared: tuple[Choreography, ...]
    foreign: frozenset[str] = frozenset()
    delays: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Choreography]:
        return iter(self.declared)

    @cached_property
    def by_name(self) -> dict[str, Choreography]:
        """The sagas by their names, in the order of their declaration."""
        return {saga.name: saga for saga in self.declared}

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Every service, in the order of the steps, saga by saga."""
        return tuple(dict.fromkeys(service for saga in self.declared for service in saga.services))

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Everyone who has an exchange: the client first, then the services."""
        return tuple(dict.fromkeys(speaker for saga in self.declared for speaker in saga.speakers))

    @cached_property
    def commanded(self) -> dict[str, tuple[str, ...]]:
        """The services that each orchestrator commands; empty for choreographies."""
        found: dict[str, dict[str, None]] = {}
        for event in self.event_types.values():
            if event.SAID_TO:
                found.setdefault(event.SAID_BY, {})[event.SAID_TO] = None
        return {service: tuple(receivers) for service, receivers in found.items()}

    @cached_property
    def event_types(self) -> dict[str, EventClass]:
        """Every event class by its wire type."""
        return {type_: event for saga in self.declared for type_, event in saga.event_types.items()}

    @cached_property
    def _by_type(self) -> dict[str, Choreography]:
        return {type_: saga for saga in self.declared for type_ in saga.event_types}

    def of_type(self, type_: str | None) -> Choreography | None:
        """The saga that knows events of wire type `type_`, or None."""
        return self._by_type.get(type_ or "")

    def heard_by(self, service: str) -> Iterator[Reaction]:
        """The reactions of `service` in every saga, in the order of their declaration."""
        return (reaction for saga in self.declared for reaction in saga.heard_by(service))

    def delays_of(self, service: str, usual: Sequence[float]) -> tuple[float, ...]:
        """The delays of the retry queues of `service`: the `usual` ones, then its own."""
        return tuple(dict.fromkeys((*usual, *self.delays.get(service, ()))))

    @cached_property
    def noun(self) -> tuple[str, str]:
        """What a person calls an instance, and several of them; `instance` where there are several sagas."""
        return self.declared[0].noun if len(self.declared) == 1 else ("instance", "instances")

    def noun_of(self, saga: str | None) -> tuple[str, str]:
        """What a person calls an instance of the saga named `saga`, and several; with None, of any saga."""
        return self.by_name[saga].noun if saga in self.by_name else self.noun

    def only(self, saga: str | None) -> "SagaSet":
        """The saga named `saga` alone; all of them when it is None."""
        return self if saga is None else replace(self, declared=(self.by_name[saga],))

    @property
    def several(self) -> bool:
        """Whether a person must be told which saga an instance is of."""
        return len(self.declared) > 1

    @cached_property
    def step_names(self) -> tuple[str, ...]:
        """The names of the steps, each once, in their order, saga by saga."""
        return tuple(dict.fromkeys(step.name for saga in self.declared for step in saga.steps))

    @property
    def key(self) -> str:
        """The name of the key; `key` where there are several sagas."""
        return "key" if self.several or not self.declared else self.declared[0].key

    def key_of(self, saga: str | None) -> str:
        """The name of the key of the saga named `saga`; `key` of one that is not declared (any more)."""
        if saga is None:
            return self.key
        return self.by_name[saga].key if saga in self.by_name else "key"

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The names of the data fields that are keys, each once."""
        return tuple(dict.fromkeys(saga.key for saga in self.declared))
