"""An application: its sagas, the services that carry them out, and what the command line needs to run them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from choregraphie.errors import BadApplication, BadSetting
from choregraphie.saga.choreography import Choreography, EventClass
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import Retention, Topology, topology
from choregraphie.service.service import Service
from choregraphie.settings import Settings, read_settings_as


def declared_topology(sagas: SagaSet, settings: Settings) -> Topology:
    """The topology of `sagas` under `settings`."""
    return topology(sagas, settings.retry_delays, Retention(settings.history_max_age, settings.history_max_bytes))


@dataclass(frozen=True)
class Application:
    """Sagas and the services that carry them out. Raises BadApplication when they do not fit together.

    name      how messages and errors call it
    settings  the class of its settings; a subclass of `Settings` adds its own
    seed      the TOML that fills empty databases, unless SAGA_CATALOGUE names another
    scenario  `module:NAME` of what the simulator needs, imported on use; empty: no simulation
    command   how a person starts its command line
    orchestrated  `module:NAME` of the application for SAGA_COORDINATION=orchestration: the same services, which an
                  orchestrator commands; empty: there is none
    """

    name: str
    sagas: tuple[Choreography, ...]
    services: tuple[Service, ...]
    settings: type[Settings] = Settings
    seed: Path | None = None
    scenario: str = ""
    command: str = "choregraphie"
    orchestrated: str = ""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise BadApplication(f"application {self.name}: {problem}")

    @property
    def program(self) -> str:
        """The name of its command line, before an error."""
        return self.command.removeprefix("python -m ")

    @cached_property
    def saga_set(self) -> SagaSet:
        """The sagas together."""
        delays = {service.name: service.own_delays for service in self.services if service.own_delays}
        return SagaSet(self.sagas, frozenset(self.by_name.keys() - self.own.keys()), delays)

    @cached_property
    def by_name(self) -> dict[str, Service]:
        """The services by name, in the order in which they were declared."""
        return {service.name: service for service in self.services}

    @cached_property
    def own(self) -> dict[str, Service]:
        """The services that are run here, by name: all but the foreign ones."""
        return {name: service for name, service in self.by_name.items() if not service.foreign}

    def chosen(self, names: Iterable[str]) -> list[Service]:
        """The services of these names, each once; `all` stands for every service that is run here."""
        wanted = list(names)
        return [self.own[name] for name in (self.own if "all" in wanted else dict.fromkeys(wanted))]

    def topology(self, settings: Settings) -> Topology:
        """The topology of this application under `settings`."""
        return declared_topology(self.saga_set, settings)

    def read_settings(self, environ: Mapping[str, str]) -> Settings:
        """The settings in `environ`, with `seed` as the catalogue unless they name one. Raises BadSetting."""
        settings = self.with_seed(read_settings_as(self.settings, environ))
        for problem in _unfit(self, settings):
            raise BadSetting(problem)
        return settings

    def with_seed(self, settings: Settings) -> Settings:
        """`settings`, with `seed` as the catalogue unless they name one."""
        return settings.model_copy(update={"catalogue": settings.catalogue or self.seed})


def _unfit(application: Application, settings: Settings) -> Iterator[str]:
    """What keeps `settings` from being those of this application."""
    if settings.step_timeouts:
        yield from _unknown_steps(application.sagas, settings.step_timeouts)
    # As for SAGA_RETRY_DELAYS: what is tried again after it was forgotten would have its effect twice.
    for service in application.services:
        longest = max((sum(handler.retry.delays) for handler in service.reactions), default=0)
        if settings.inbox_days * 86_400 <= settings.deadline + longest:
            yield f"SAGA_INBOX_DAYS: not longer than SAGA_DEADLINE and the retries of {service.name} together"


def _unknown_steps(sagas: Iterable[Choreography], named: Iterable[str]) -> Iterator[str]:
    # This import brings storage, which takes a good part of the start of a program that needs none.
    from choregraphie.orchestration import Orchestrated

    orchestrations = [saga.orchestration for saga in sagas if isinstance(saga, Orchestrated)]
    steps = [step for orchestration in orchestrations for step in orchestration.by_name]
    for name in named if steps else ():
        if name not in steps:
            yield f"SAGA_STEP_TIMEOUTS: no step is named {name}; the steps are {', '.join(steps)}"


def _problems(application: Application) -> Iterator[str]:
    """What keeps the declarations from being one application, with the remedy; the gravest first."""
    if not application.sagas or not application.services:
        yield "it names no saga or no service; give both to Application(…)"
    events = [event for saga in application.sagas for event in saga.events]
    yield from _repeated("saga", [(saga.name, saga.starts.__module__) for saga in application.sagas])
    yield from _repeated("service", [(service.name, application.name) for service in application.services])
    yield from _repeated("key field", [(saga.key, f"saga {saga.name}") for saga in application.sagas])
    yield from _repeated("noun", [(saga.noun[1], f"saga {saga.name}") for saga in application.sagas])
    yield from _repeated("event type", [(event.TYPE, event.__name__) for event in events])
    for saga in application.sagas:
        yield from _foreign_events(saga)
    for service in application.services:
        yield from _reactions_of(service, {*events})


def _repeated(what: str, placed: list[tuple[str, str]]) -> Iterator[str]:
    """`placed`: names, each with the place where it is declared."""
    for name, times in Counter(name for name, _ in placed).items():
        if times > 1:
            places = ", ".join(dict.fromkeys(place for other, place in placed if other == name))
            yield f"the {what} {name} is there {times} times ({places}); each needs a name of its own"


def _foreign_events(saga: Choreography) -> Iterator[str]:
    for event in saga.events:
        if (saga.name, saga.key) != (event.SAGA, event.KEY):
            yield (
                f"saga {saga.name}: {event.__name__} is of the saga {event.SAGA} with the key {event.KEY};"
                " derive it from the base class of this saga's events"
            )


def _reactions_of(service: Service, known: set[EventClass]) -> Iterator[str]:
    if service.foreign and (service.reactions or service.timed):
        yield f"{service.name} is foreign and has reactions; remove foreign=True, or the reactions"
    heard = [event for handler in service.reactions for event in handler.hears]
    for event in heard:
        if event not in known:
            yield f"{service.name} reacts to {event.__name__}, which no saga declares; add it to a choreography"
    for event, times in Counter(heard).items():
        if times > 1:
            yield f"{service.name} has {times} reactions to {event.TYPE}; make one of them"
    yield from _actions_of(service)


def _actions_of(service: Service) -> Iterator[str]:
    """The journal keeps an action by its name, in the saga of what it hears or says."""
    sagas: dict[str, set[str]] = {}
    for handler in service.reactions:
        sagas.setdefault(handler.action, set()).update(event.SAGA for event in handler.hears)
    for schedule in service.timed:
        sagas.setdefault(schedule.action, set()).update(event.SAGA for event in schedule.says())
    for action, names in sagas.items():
        if len(names) > 1:
            yield f"{service.name}: {action} reacts in two sagas; give each saga a function of its own"
