"""An application: one saga, its services, and what the command line needs to run them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from choregraphie.saga.choreography import Choreography
from choregraphie.saga.topology import Retention, Topology, topology
from choregraphie.service.service import Service
from choregraphie.settings import Settings


def declared_topology(choreography: Choreography, settings: Settings) -> Topology:
    """The topology of `choreography` under `settings`."""
    retention = Retention(settings.history_max_age, settings.history_max_bytes)
    return topology(choreography, settings.retry_delays, retention)


@dataclass(frozen=True)
class Application:
    """A choreography and the services that carry it out, for the command line.

    package   the package in which each service is a module of its name; its docstring is the service's canvas
    scenario  `module:NAME` of what the simulator needs, imported on use; empty: no simulation
    """

    name: str
    package: str
    choreography: Choreography
    declared: tuple[Service, ...]
    scenario: str = ""

    @cached_property
    def services(self) -> dict[str, Service]:
        """The services by name, in the order in which they were declared."""
        return {service.name: service for service in self.declared}

    def chosen(self, names: Iterable[str]) -> list[Service]:
        """The services of these names, each once; `all` stands for every service."""
        wanted = list(names)
        return [self.services[name] for name in (self.services if "all" in wanted else dict.fromkeys(wanted))]

    def topology(self, settings: Settings) -> Topology:
        """The topology of this application under `settings`."""
        return declared_topology(self.choreography, settings)
