"""`python -m saga_monitor serve` as a process, with a real broker."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from choregraphie.saga.topology import events
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, KNOWN, SCENARIOS, event_bytes
from tests.saga_monitor.web.shop_history import seconds
from tests.support.http_get import get
from tests.support.topology import declare_topology_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Page

    from tests.saga_monitor.memory_stream import Line
    from tests.support.foreign_client import ForeignClient

ROOT = Path(__file__).parents[3]
NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


def environment(tmp_path: Path, amqp_url: str, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
    own = {"SAGA_AMQP_URL": amqp_url, "SAGA_MONITOR_DATABASE": str(tmp_path / "monitor.sqlite3")}
    return kept | own | more


@contextmanager
def running(env: dict[str, str], *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and the process; it must exit cleanly at the end."""
    command = [sys.executable, "-m", "saga_monitor", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+/", line)
        assert found, line + process.stderr.read()
        yield found[0], process
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=90)
        assert process.returncode == 0
        assert "Traceback" not in rest
    finally:
        process.kill()
        process.communicate()


def refused(env: dict[str, str], *arguments: str) -> str:
    """The one-line error of a start that must fail."""
    command = [sys.executable, "-m", "saga_monitor", "serve", *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    return ran.stderr


def until_ready(url: str) -> None:
    end = time.monotonic() + 90
    while get(f"{url}readyz").status_code != 200:
        assert time.monotonic() < end, "never ready"
        time.sleep(0.1)


def publish(foreign_client: ForeignClient, commande_id: str, lines: Sequence[Line]) -> None:
    at = seconds(1)
    for line in lines:
        foreign_client.publish(events(KNOWN[line.type].SAID_BY), line.type, event_bytes(commande_id, line, at))


def test_orders_on_a_real_broker_appear_in_a_real_browser(
    tmp_path: Path, amqp_url: str, foreign_client: ForeignClient, open_page: Callable[..., Page]
) -> None:
    declare_topology_at(amqp_url)
    with running(environment(tmp_path, amqp_url)) as (url, _):
        until_ready(url)
        page = open_page(url)
        expect(page.get_by_text("No order yet.")).to_be_visible()
        publish(foreign_client, "CMD-1", HELD)
        row = page.get_by_role("row").filter(has_text="CMD-1")
        expect(row).to_contain_text("RUNNING")
        publish(foreign_client, "CMD-1", CONFIRMED[len(HELD) :])
        expect(row).to_contain_text("COMPLETED")
        publish(foreign_client, "CMD-2", SCENARIOS["refused by payment"])
        page.get_by_role("link", name="CMD-2").click()
        expect(page.locator(".state")).to_have_text("COMPENSATED")
        page.get_by_text("Raw events, read again").click()
        expect(page.locator("pre")).to_have_count(len(SCENARIOS["refused by payment"]))
        scraped = get(f"{url}metrics")
        assert scraped.status_code == 200
        assert 'saga_instances{saga="commande",state="compensated"} 1.0' in scraped.text
        page.close()


def test_the_broker_away_is_said_on_the_page_and_not_fatal(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    with running(environment(tmp_path, NOWHERE)) as (url, process):
        page = open_page(url)
        expect(page.locator(".standing .pill")).to_have_text("broker away")
        assert get(f"{url}livez").status_code == 200
        assert get(f"{url}readyz").status_code == 503
        assert process.poll() is None
        page.close()


def test_a_token_from_a_file_is_asked_for(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("sesame\n")
    env = environment(tmp_path, NOWHERE, SAGA_MONITOR_TOKEN_FILE=str(secret))
    with running(env, "--host", "0.0.0.0") as (url, _):
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert get(here).status_code == 401
        assert get(here, headers={"authorization": "Bearer sesame"}).status_code == 200


def test_what_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    env = environment(tmp_path, NOWHERE)
    assert "set a token" in refused(env, "--host", "0.0.0.0")
    assert "not an address to listen at" in refused(env, "--host", "nowhere.invalid", "--token", "x")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(env, "--port", port)
    assert f"cannot listen at 127.0.0.1 port {port}" in said
    foreign = tmp_path / "foreign.sqlite3"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert "not a monitor's file" in refused(env | {"SAGA_MONITOR_DATABASE": str(foreign)}, "--port", "0")


def test_a_locked_database_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "monitor.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        assert "database is locked" in refused(environment(tmp_path, NOWHERE), "--port", "0")
    finally:
        connection.close()


@pytest.mark.parametrize("port", ["x", "70000", "-1"])
def test_a_bad_port_is_refused(tmp_path: Path, port: str) -> None:
    command = [sys.executable, "-m", "saga_monitor", "serve", f"--port={port}"]
    env = environment(tmp_path, NOWHERE)
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 2
    assert "expected a port, from 0 to 65535" in ran.stderr
