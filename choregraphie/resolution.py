"""Finds the application that a command is about, imports it, and checks its declarations.

In this order: the argument `--app module:NAME`, the variable SAGA_APP, `app` in `[tool.choregraphie]` of the
nearest pyproject.toml at or above the working directory. Its modules are found in the folder of that file and in
the working directory, as `python -m` finds them.
"""

import importlib
import os
import sys
import sysconfig
import tomllib
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from choregraphie.application import Application
from choregraphie.errors import BadApplication, ChoregraphieError
from choregraphie.process.working_directory import working_directory
from choregraphie.saga.choreography import Choreography
from choregraphie.settings import APP_KEY, PREFIX

if TYPE_CHECKING:
    # Its import takes ten times as long as any other command takes to start.
    from choregraphie.simulator import Scenario

# It chooses between an application and its orchestrated kind before the settings are read, whose class that gives.
COORDINATION_KEY = f"{PREFIX}COORDINATION"
_NONE = (
    "no application is named; name one with --app module:NAME, with SAGA_APP, or as app in [tool.choregraphie] of"
    " pyproject.toml"
)


_WRITE_APP = 'write app = "package.module:APP" in it'


def resolve(argument: str | None, environ: Mapping[str, str], option: str = "--app") -> Application:
    """The application. Raises BadApplication when none is named, or it cannot be imported or used.

    Raises UserError when the working directory was deleted. `option`: what a person calls `argument`, for errors.
    """
    where, named, folder = (option, argument, working_directory()) if argument else _named(environ)
    here = str(working_directory())
    for place in (here, str(folder)):
        # An empty entry stands for the working directory.
        if place not in sys.path and not (place == here and "" in sys.path):
            sys.path.insert(0, place)
    return load(named, where, environ)


def load(named: str, where: str, environ: Mapping[str, str] = os.environ) -> Application:
    """The application `module:NAME`, which `where` names, or its orchestrated kind where `environ` chooses that.

    Raises BadApplication when there is none.
    """
    application = _application(named, where)
    if environ.get(COORDINATION_KEY) != "orchestration" or _is_orchestrated(application):
        return application
    if not application.orchestrated:
        raise BadApplication(
            f"{COORDINATION_KEY}: application {application.name} has no orchestrated kind; name one with"
            " orchestrated=, or unset it"
        )
    return _application(application.orchestrated, f"application {application.name}: orchestrated")


def _is_orchestrated(application: Application) -> bool:
    return bool(application.saga_set.commanded)


def _application(named: str, where: str) -> Application:
    module, colon, attribute = named.partition(":")
    if not (module and colon and attribute.isidentifier()):
        raise BadApplication(f"{where}: {named!r} is no module:NAME, such as services.application:APP")
    imported = _imported(module, where)
    found = getattr(imported, attribute, None)
    if not isinstance(found, Application):
        problem = f"has no {attribute}" if found is None else f"has {attribute}, which is no Application"
        others = [name for name, value in vars(imported).items() if isinstance(value, Application)]
        remedy = f"it has {', '.join(others)}" if others else f"write {attribute} = Application(…) there"
        raise BadApplication(f"{where}: {module} {problem}; {remedy}")
    return found


def scenario_of(application: Application) -> "Scenario":
    """What the simulator needs of the application. Raises BadApplication when there is none to import."""
    if not application.scenario:
        raise BadApplication(f"{application.name} declares no scenario to simulate")
    module, _, name = application.scenario.partition(":")
    where = f"application {application.name}: scenario"
    scenario: Scenario | None = getattr(_imported(module, where), name, None)
    if scenario is None:
        raise BadApplication(f"{where}: {module} has no {name}")
    with_code = {service.name for service in scenario.services if not service.foreign}
    if missing := [name for name in scenario.choreography.services if name not in with_code]:
        raise BadApplication(f"{where}: {', '.join(missing)}: what has no code here cannot be simulated")
    return scenario


def _named(environ: Mapping[str, str]) -> tuple[str, str, Path]:
    """Where the application is named, as what, and the folder of the file that names it."""
    here = working_directory()
    if environ.get(APP_KEY):
        return APP_KEY, environ[APP_KEY], here
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and (named := _app_in(file)):
            return str(file), named, folder
    raise BadApplication(_NONE)


def _app_in(file: Path) -> str | None:
    try:
        found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadApplication(f"{file}: cannot be read: {error}") from None
    except RecursionError:
        raise BadApplication(f"{file}: cannot be read: nested too deeply") from None
    for name in ("tool", "choregraphie", "app"):
        if not isinstance(found, dict):
            raise BadApplication(f"{file}: [tool.choregraphie] is not a table; {_WRITE_APP}")
        found = found.get(name, {})
    if found != {} and not isinstance(found, str):
        raise BadApplication(f"{file}: app in [tool.choregraphie] is not a text; {_WRITE_APP}")
    return found or None


def _imported(module: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ChoregraphieError as error:
        raise BadApplication(f"{where}: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            remedy = f"correct the name, or work in the folder that holds it (this is {working_directory()})"
            raise BadApplication(f"{where}: there is no module {error.name}; {remedy}") from error
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BadApplication(f"{where}: {module} cannot be imported: {text}{_place(error)}") from error


def _place(error: BaseException) -> str:
    """Where the application's own code raised `error`: file and line, in brackets, and what to do."""
    if isinstance(error, SyntaxError):
        return "; correct it there"  # its text names the place
    paths = sysconfig.get_paths()
    others = (str(Path(__file__).parent), paths["stdlib"], paths["purelib"], paths["platlib"], "<")
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(others)
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno}); correct it there" if frames else ""


def check_declarations(application: Application) -> None:
    """Raises BadApplication with the first rule that a declaration breaks, and the remedy.

    Only what is told from the declarations and the services' tables is checked here; `check` explores the runs.
    """
    # Here: the monitor finds the application too, and does not check it.
    from choregraphie.prover.conformance import violations as violations_of_code
    from choregraphie.prover.model import Model
    from choregraphie.prover.state_space import StateSpace
    from choregraphie.prover.static_rules import violations as violations_of_declaration

    for saga in application.sagas:
        for unknown in _unknown_services(saga, application):
            raise BadApplication(f"application {application.name}, saga {saga.name}: {unknown}")
        unexplored = StateSpace(Model(saga))
        # An orchestration has checked its own declaration.
        declared = () if saga.command_types else violations_of_declaration(saga, unexplored)
        for violation in (*declared, *violations_of_code(saga, unexplored, application.by_name)):
            raise BadApplication(
                f"application {application.name}, saga {saga.name}: {violation.what}; {violation.remedy}"
            )


def _unknown_services(saga: Choreography, application: Application) -> Iterator[str]:
    """The services that the saga names and the application lacks."""
    named = {saga.decider: "its decider"}
    named |= {step.service: f"its step after {step.awaited}" for step in saga.steps}
    named |= {timed.service: "its deadline" for timed in saga.timed}
    named |= {reaction.service: f"its reaction to {reaction.awaited}" for reaction in saga.reactions}
    for name, place in named.items():
        if name not in application.by_name:
            yield f"no service is named {name} ({place}); correct the name, or add the service to services=(…)"
