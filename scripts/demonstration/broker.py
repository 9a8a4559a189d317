"""Obtains the demonstration's broker: a given one, a private node or a container."""

import asyncio
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from choregraphie import BrokerUnavailable, Settings, UserError
from choregraphie.broker import connected, count_queues, remove_topology
from choregraphie.saga.topology import inbox
from scripts.demonstration.processes import ROOT
from scripts.demonstration.saga import application, saga
from scripts.installed_server import SERVERS, NodeError
from scripts.private_node import PrivateNode
from scripts.probes import answers

IMAGE = "rabbitmq:4-management"
CREDENTIALS = "saga"  # user and password, in a container that only this machine reaches
START_SECONDS = 120
# A Docker engine may exist and not answer; an image may have to be pulled first.
ANSWER_SECONDS = 10
PULL_SECONDS = 300


class NoBrokerError(Exception):
    """No broker can be obtained. The text is one line that says what would help."""


@dataclass(frozen=True)
class Broker:
    """A broker in use. `kind`: given, private or container; `place`: its folder or container, to end it later."""

    kind: str
    url: str
    place: str = ""


def obtain(folder: Path, environ: Mapping[str, str]) -> Broker:
    """Obtain a broker that is ready for the demonstration. Raises NoBrokerError.

    Must not be interrupted: a half-started broker would be left running.
    """
    if environ.get("SAGA_AMQP_URL") or environ.get("SAGA_AMQP_URL_FILE"):
        return _given(environ)
    if not _server_installed():
        refused = None
        if _engine_answers():
            try:
                return _container()
            except NoBrokerError as error:
                refused = error
        _install(refused)
    return _private(folder / "rabbitmq")


def may_be_killed(broker: Broker) -> bool:
    """Whether it is the demonstration's own process; a given broker is left alone."""
    return broker.kind == "private"


def kill(broker: Broker) -> None:
    """SIGKILL the private node."""
    PrivateNode(Path(broker.place), "demo").kill()


def restart(broker: Broker) -> None:
    """Start the killed node on its data and its port. Raises NoBrokerError."""
    try:
        url = PrivateNode(Path(broker.place), "demo").start(START_SECONDS)
    except NodeError as error:
        raise NoBrokerError(str(error)) from error
    if url != broker.url:
        raise NoBrokerError("Another program has taken the port of the demonstration's broker: run it again.")


def release(broker: Broker) -> None:
    """Stop the broker, or delete what the demonstration declared on a given one."""
    if broker.kind == "private":
        PrivateNode(Path(broker.place), "demo").stop(wipe=True)
    elif broker.kind == "container":
        _docker("rm", "--force", "--volumes", broker.place)
    else:
        settings = Settings(amqp_url=broker.url)
        try:
            asyncio.run(remove_topology(settings, application().topology(settings)))
        except (UserError, BrokerUnavailable) as error:
            print(f"The demonstration's queues and exchanges could not be deleted: {error}", file=sys.stderr)


def _given(environ: Mapping[str, str]) -> Broker:
    url = {key: value for key, value in environ.items() if key.startswith("SAGA_AMQP_URL")}
    try:
        settings = application().read_settings(url)
        taken = asyncio.run(_queues(settings))
    except (UserError, BrokerUnavailable) as error:
        raise NoBrokerError(f"The broker of SAGA_AMQP_URL cannot be used: {error}") from error
    if taken:
        raise NoBrokerError(
            f"The virtual host of SAGA_AMQP_URL has a saga in it already ({taken[0]}): give an empty one, or unset"
            " SAGA_AMQP_URL, and the demonstration starts its own broker."
        )
    return Broker("given", settings.amqp_url)


async def _queues(settings: Settings) -> list[str]:
    async with connected(settings, "demo looks for queues") as connection:
        return list(await count_queues(connection, [inbox(service) for service in saga().services]))


def _server_installed() -> bool:
    return any(list(Path(place).glob("rabbitmq_server-*")) for place in SERVERS)


def _install(refused: NoBrokerError | None) -> None:
    """Install a server from Debian where that is allowed. Raises NoBrokerError."""
    if not environment_step("can_install"):
        raise refused or NoBrokerError("No broker: set SAGA_AMQP_URL, or install rabbitmq-server or Docker.")
    if refused:
        print(f"{refused} A server is installed on this machine instead.", file=sys.stderr)
    if not environment_step("install_packages rabbitmq-server") or not _server_installed():
        raise NoBrokerError("No broker: rabbitmq-server could not be installed (see above).")


def environment_step(step: str) -> bool:
    """Run a step of `scripts/environment`. Returns whether it succeeded."""
    command = ["bash", "-c", f". scripts/environment; {step}"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0  # noqa: S603 - our own steps


def _private(folder: Path) -> Broker:
    node = PrivateNode(folder, "demo")
    try:
        return Broker("private", node.start(START_SECONDS), str(folder))
    except NodeError as error:
        node.stop()
        raise NoBrokerError(str(error)) from error


def _container() -> Broker:
    name = f"choregraphie-demo-{uuid.uuid4().hex[:8]}"
    login = [f"--env=RABBITMQ_DEFAULT_{what}={CREDENTIALS}" for what in ("USER", "PASS")]
    begun = _docker("run", "--detach", "--rm", "--name", name, "--publish", "127.0.0.1::5672", *login, IMAGE)
    if begun.returncode != 0:
        _docker("rm", "--force", "--volumes", name)
        raise NoBrokerError(f"No container of {IMAGE} can be run: {_last_line(begun.stderr)}.")
    try:
        port = int(_docker("port", name, "5672").stdout.split()[0].rpartition(":")[2])
        _await(port)
    except (TimeoutError, ValueError, IndexError) as error:
        _docker("rm", "--force", "--volumes", name)
        raise NoBrokerError(f"The container of {IMAGE} does not answer.") from error
    return Broker("container", f"amqp://{CREDENTIALS}:{CREDENTIALS}@127.0.0.1:{port}/", name)


def _await(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while not answers(port, amqp=True):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.3)


def _engine_answers() -> bool:
    return bool(shutil.which("docker")) and _docker("info", patience_seconds=ANSWER_SECONDS).returncode == 0


def _docker(*arguments: str, patience_seconds: float = PULL_SECONDS) -> "subprocess.CompletedProcess[str]":
    command = ["docker", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, check=False, timeout=patience_seconds
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {patience_seconds:.0f} s")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["docker said nothing"])[-1][:300].rstrip(".")
