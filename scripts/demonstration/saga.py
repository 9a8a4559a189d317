"""The application that is demonstrated: the order saga choreographed or, with --orchestration, orchestrated."""

import os
from collections.abc import MutableMapping

from choregraphie import Application
from choregraphie.resolution import COORDINATION_KEY, load
from choregraphie.saga.choreography import Choreography

NAME = "services.application:APP"


def choose(*, orchestration: bool, environ: MutableMapping[str, str] = os.environ) -> None:
    """Choose the kind; a person's own setting does not apply to the demonstration."""
    environ[COORDINATION_KEY] = "orchestration" if orchestration else "choreography"


def application() -> Application:
    """The application of the chosen kind."""
    return load(NAME, "demo", os.environ)


def saga() -> Choreography:
    """The order saga of the chosen kind."""
    return application().sagas[0]


def timekeeper() -> str:
    """The service whose deadline cancels an order."""
    return saga().timed[0].service
