"""A RabbitMQ for tests: the one that the environment names, else a container of this session."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from choregraphie.amqp_url import broker_address
from choregraphie.errors import BrokerRefused, BrokerUnavailable
from choregraphie.settings import Settings
from choregraphie.testing.running import check_connection

URL_KEY = "SAGA_TEST_AMQP_URL"
IMAGE = "rabbitmq:4-management"
CREDENTIALS = "saga"  # name and password, in a container that only this machine reaches
PORT = 5672
START_SECONDS = 90.0
POLL_SECONDS = 0.3


class NoBroker(Exception):
    """There is no broker for the tests. The text is one line, without a full stop."""


@contextlib.contextmanager
def broker_for_tests(environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of a broker that answers. Raises NoBroker."""
    if url := environ.get(URL_KEY):
        _check_answers(url)
        yield url
    else:
        with _container() as started:
            yield started


def _check_answers(url: str) -> None:
    """Raises NoBroker when no broker lets anybody in at `url`, or it cannot be used."""
    try:
        broker_address(url)
        check_connection(Settings(amqp_url=url))
    except (ValueError, BrokerRefused, BrokerUnavailable) as error:
        raise NoBroker(f"{URL_KEY}: {error}") from None


@contextlib.contextmanager
def _container() -> Iterator[str]:
    """A RabbitMQ in a container, which only this machine reaches. Raises NoBroker."""
    container = _started_container()
    try:
        place = f"{container.get_container_host_ip()}:{container.get_exposed_port(PORT)}"
        url = f"amqp://{CREDENTIALS}:{CREDENTIALS}@{place}/"
        _await_answer(url)
        yield url
    finally:
        container.stop()


def _started_container() -> Any:
    try:
        from testcontainers.core.container import DockerContainer
    except ModuleNotFoundError:
        raise NoBroker(
            f"no RabbitMQ for the tests: {URL_KEY} is not set, and choregraphie[testing], which starts one in a"
            " container, is not installed"
        ) from None
    container: Any = None
    try:
        container = DockerContainer(IMAGE).with_env("RABBITMQ_DEFAULT_USER", CREDENTIALS)
        container.with_env("RABBITMQ_DEFAULT_PASS", CREDENTIALS).with_exposed_ports(PORT)
        # Without an address Docker listens on every interface.
        container.ports = {f"{PORT}/tcp": ("127.0.0.1",)}
        container.start()
    except Exception as error:  # noqa: BLE001 - Docker's errors, and those of its client, have no common base
        if container is not None:
            container.stop()
        why = " ".join(str(error).split())[:200]
        raise NoBroker(
            f"no RabbitMQ for the tests: {URL_KEY} is not set, and no container starts ({why})"
        ) from None
    return container


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            check_connection(Settings(amqp_url=url))
            return
        except (BrokerRefused, BrokerUnavailable) as error:
            # While it starts, it answers late, not at all, or knows no user yet.
            if time.monotonic() > deadline:
                raise NoBroker(f"{IMAGE} started, and lets nobody in after {START_SECONDS:g} s: {error}") from None
            time.sleep(POLL_SECONDS)
