"""A real broker for the whole test session: one given by its URL, a container, or a private node."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from scripts.nemesis.management import Management, ManagementError
from scripts.nemesis.nodes import container_image
from scripts.private_node import PrivateNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CREDENTIALS = "saga"  # both name and password, in a container that only this machine reaches


class NoBrokerError(Exception):
    """There is no broker for the tests; the message is one sentence for a person."""


@dataclass(frozen=True)
class Broker:
    """The address of the broker. `authority`: the part of its URL between `amqp://` and the virtual host."""

    authority: str
    management_url: str
    kind: str

    def url(self, vhost: str) -> str:
        return f"amqp://{self.authority}/{quote(vhost, safe='')}"

    @property
    def management_login_url(self) -> str:
        """The management's URL with the user and the password in it, as a setting has it."""
        scheme, _, place = self.management_url.partition("://")
        return f"{scheme}://{self.authority.rpartition('@')[0]}@{place.rpartition('@')[2]}"

    def management(self, vhost: str = "/") -> Management:
        parts = urlsplit(f"amqp://{self.authority}")
        return Management(
            self.management_url, unquote(parts.username or "guest"), unquote(parts.password or "guest"), vhost
        )


@contextmanager
def session_broker(environ: Mapping[str, str] = os.environ) -> Iterator[Broker]:
    """Yield the broker that the environment asks for, ready; stop it afterwards if it was started here.

    Raises NoBrokerError: a missing broker is a failure, never a reason to skip.
    """
    asked = environ.get("SAGA_TEST_BROKER", "")
    if asked not in ("", "private", "container"):
        raise NoBrokerError(f"SAGA_TEST_BROKER is 'private' or 'container', not {asked!r}.")
    if url := environ.get("SAGA_TEST_AMQP_URL"):
        source = given(url, environ.get("SAGA_TEST_MANAGEMENT_URL"))
    elif asked == "container" or (not asked and engine_answers()):
        source = container()
    else:
        source = private_node()
    with source as broker:
        await_management(broker)
        yield broker


@contextmanager
def given(url: str, management_url: str | None) -> Iterator[Broker]:
    parts = urlsplit(url)
    # The virtual host of the URL is not used: each test has its own.
    yield Broker(parts.netloc, management_url or f"http://{parts.hostname}:15672", "given")


@contextmanager
def private_node() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory(prefix="choregraphie-") as folder:
        node = PrivateNode(Path(folder) / "node", f"test-{os.getpid()}")
        try:
            node.start()
        except Exception as error:
            node.stop()
            raise NoBrokerError(f"No broker for the tests: {error}") from error
        try:
            yield Broker(urlsplit(node.url()).netloc, node.management(), "private")
        finally:
            node.stop()


@contextmanager
def container() -> Iterator[Broker]:
    if not engine_answers():
        raise NoBrokerError("SAGA_TEST_BROKER=container, and no Docker engine answers (DOCKER_HOST?).")
    # Imported late: only the container needs it, and it reads the environment when it is imported.
    from testcontainers.community.rabbitmq import RabbitMqContainer

    image = container_image()
    box = RabbitMqContainer(image, username=CREDENTIALS, password=CREDENTIALS)
    # Without an address Docker listens on every interface; the package's types do not allow an address.
    ports: dict[str, Any] = box.ports
    ports |= dict.fromkeys(("5672", "15672"), ("127.0.0.1",))
    try:
        box.start()
    except Exception as error:
        box.stop()
        raise NoBrokerError(
            f"The container {image} did not start ({error}); SAGA_TEST_BROKER=private does without."
        ) from error
    try:
        host = box.get_container_host_ip()
        authority = f"{CREDENTIALS}:{CREDENTIALS}@{host}:{box.get_exposed_port(5672)}"
        yield Broker(authority, f"http://{host}:{box.get_exposed_port(15672)}", "container")
    finally:
        box.stop()


def engine_answers() -> bool:
    """Whether a Docker engine answers; without the docker package, which then leaves sockets open."""
    place = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    local = place.scheme == "unix"
    try:
        with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as link:
            link.settimeout(5)
            link.connect(place.path if local else (place.hostname, place.port or 2375))
            link.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return link.recv(12).endswith(b" 200")
    except OSError:
        return False


def await_management(broker: Broker, patience_seconds: float = 60) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            broker.management().broker_version()
            return
        except ManagementError as error:
            if time.monotonic() > deadline:
                raise NoBrokerError(
                    f"The management plugin does not answer at {broker.management_url}: {error}"
                ) from error
            time.sleep(0.3)
