"""The demonstration's web page takes another port when its own is taken, also at the last moment."""

import contextlib
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from choregraphie import Settings
from scripts.demonstration import steps
from scripts.demonstration.broker import Broker
from scripts.demonstration.processes import DemoError, Processes
from scripts.demonstration.steps import ScenarioContext, serve_page
from tests.support.free_port import free_port
from tests.support.workers import environment


class LosesThePort(Processes):
    """Another program takes the port just before the page is started."""

    other: socket.socket | None = None

    def start_in_background(self, name: str, *module: str) -> Path:
        self.other = self.other or socket.create_server(("127.0.0.1", steps.WEB_PORT))
        return super().start_in_background(name, *module)


@contextlib.contextmanager
def demonstration(processes: Processes) -> Iterator[ScenarioContext]:
    broker = Broker("of nobody", f"amqp://127.0.0.1:{free_port()}")
    try:
        yield ScenarioContext(processes, Settings(), {}, print, print, broker)
    finally:
        processes.end()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(steps, "WEB_PORT", free_port())
    return environment(
        amqp_url=f"amqp://127.0.0.1:{free_port()}",
        monitor_database=tmp_path / "monitor.sqlite3",
        app="services.application:APP",
    )


def test_the_page_has_its_usual_port(tmp_path: Path, settings: dict[str, str]) -> None:
    with demonstration(Processes(tmp_path, settings)) as context:
        assert serve_page(context) == f"http://127.0.0.1:{steps.WEB_PORT}/"


def test_a_port_that_is_taken_at_the_last_moment_is_replaced(tmp_path: Path, settings: dict[str, str]) -> None:
    processes = LosesThePort(tmp_path, settings)
    with demonstration(processes) as context:
        page = serve_page(context)
        assert page.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{page}metrics") as answer:
            assert answer.status == 200
        processes.check()
    assert processes.other is not None
    processes.other.close()


def test_a_page_that_cannot_be_served_ends_the_demonstration(tmp_path: Path, settings: dict[str, str]) -> None:
    with (
        demonstration(Processes(tmp_path, settings | {"SAGA_MONITOR_HOST": "nowhere.invalid"})) as context,
        pytest.raises(
            DemoError,
            match=r"^web page has ended \(2\): saga_monitor: listening at nowhere.invalid lets others in",
        ),
    ):
        serve_page(context)
