"""The monitor as people run it: its own process, a real stream, a real terminal."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
import pytest

from choregraphie import read_settings
from choregraphie.saga.topology import REASON_HEADER, events
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, KNOWN, PAID, SCENARIOS, Line, event_bytes
from tests.support.topology import declare_topology, declare_topology_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_COLOUR = re.compile(rb"(^|;)(3[0-8]|4[0-8]|9[0-7]|10[0-7])(;|$)")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def environment(amqp_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAGA_")}
    return kept | {"SAGA_AMQP_URL": amqp_url, "SAGA_MONITOR_DATABASE": str(tmp_path / "monitor.sqlite3")}


@pytest.fixture
async def channel(environment: dict[str, str]) -> Any:
    """A foreign client's channel, on a broker that has its topology."""
    settings = read_settings(environment)
    await declare_topology(settings)
    connection = pika.BlockingConnection(pika.URLParameters(environment["SAGA_AMQP_URL"]))
    yield connection.channel()
    connection.close()


def publish(channel: Any, commande_id: str, lines: Sequence[Line]) -> None:
    """Publish an order of just now: a monitor that stays forgets orders that ended long ago."""
    start = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    for line in lines:
        body = event_bytes(commande_id, line, start)
        channel.basic_publish(events(KNOWN[line.type].SAID_BY), line.type, body)


def command(environment: dict[str, str], *arguments: str) -> Any:
    ran = subprocess.run(
        [sys.executable, "-m", "saga_monitor", *arguments, "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert ran.stderr == b""
    return json.loads(ran.stdout)


@contextmanager
def monitor(
    environment: dict[str, str], out: Any, err: Any, into: Any = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "saga_monitor"], cwd=ROOT, env=environment, stdin=into, stdout=out, stderr=err
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@contextmanager
def locked(environment: dict[str, str]) -> Iterator[None]:
    """Another program holds the monitor's file for itself."""
    other = sqlite3.connect(environment["SAGA_MONITOR_DATABASE"], isolation_level=None, timeout=20)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_report_right_after_a_run_is_true_without_a_live_monitor(
    environment: dict[str, str], channel: Any
) -> None:
    for number, lines in enumerate(SCENARIOS.values()):
        publish(channel, f"CMD-{number}", lines)
    channel.basic_publish("client.events", "commande.initiee", b"\xff")
    headers = {REASON_HEADER: "exhausted"}
    publish(channel, "CMD-LOST", HELD)
    channel.basic_publish(
        "paiement.dlx", "stock.reserve", event_bytes("CMD-LOST", HELD[1]), pika.BasicProperties(headers=headers)
    )
    report = command(environment, "report")
    assert report["sagas"]["total"] == len(SCENARIOS) + 1
    assert (report["sagas"]["completed"], report["sagas"]["compensated"]) == (1, len(SCENARIOS) - 1)
    assert report["sagas"]["intervention"] == 1
    assert report["ignored"] == {"unreadable": 1}
    assert "INTERVENTION" in command(environment, "show", "CMD-LOST")["flags"]


def test_a_message_thrown_out_by_the_broker_calls_for_a_person(environment: dict[str, str], channel: Any) -> None:
    """Rejected until the delivery limit, as a worker that crashes on it would."""
    publish(channel, "CMD-1", HELD)

    def is_thrown_out() -> bool:
        for method, _properties, _body in channel.consume("paiement.inbox", inactivity_timeout=0.2):
            if method is None:
                break
            channel.basic_reject(method.delivery_tag, requeue=True)
        return bool(channel.queue_declare("paiement.dlq", passive=True).method.message_count)

    until(is_thrown_out)
    shown = command(environment, "show", "CMD-1")
    assert [letter["reason"] for letter in shown["dead_letters_set_aside"]] == ["delivery_limit"]
    assert "INTERVENTION" in shown["flags"]


def test_killed_in_the_middle_it_goes_on_exactly_where_it_stopped(
    environment: dict[str, str], channel: Any, tmp_path: Path
) -> None:
    out = tmp_path / "lines"
    for number in range(200):
        publish(channel, f"CMD-{number}", CONFIRMED)
    with out.open("wb") as lines, monitor(environment, lines, subprocess.DEVNULL) as process:
        until(lambda: out.stat().st_size > 0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    publish(channel, "CMD-LAST", CONFIRMED)
    resumed = command(environment, "report")
    assert resumed["events"] == 201 * len(CONFIRMED)
    assert resumed["duplicates"] == 0
    Path(environment["SAGA_MONITOR_DATABASE"]).unlink()
    assert command(environment, "report") == resumed


def test_a_stream_deleted_under_it_is_noticed(environment: dict[str, str], channel: Any, tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    publish(channel, "CMD-OLD", CONFIRMED)
    with out.open("wb") as lines, err.open("wb") as errors, monitor(environment, lines, errors) as process:
        until(lambda: b"CMD-OLD" in out.read_bytes() and b"live" in err.read_bytes())
        channel.queue_delete("saga.history")
        until(lambda: b"no history" in err.read_bytes())
        declare_topology_at(environment["SAGA_AMQP_URL"])
        until(lambda: err.read_bytes().count(b"live") > 1)
        publish(channel, "CMD-NEW", PAID)
        until(lambda: b"CMD-NEW" in out.read_bytes())
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    assert b"starting again from its first entry" in err.read_bytes()
    assert command(environment, "report")["sagas"]["total"] == 2


def test_ctrl_c_leaves_the_terminal_as_it_was(environment: dict[str, str], channel: Any) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    publish(channel, "CMD-1", PAID)
    shown = bytearray()

    def sees(text: bytes) -> bool:
        while select.select([ours], [], [], 0.05)[0]:
            shown.extend(os.read(ours, 65536))
        return text in shown

    with monitor(environment | {"TERM": "xterm", "NO_COLOR": "1"}, theirs, theirs, theirs) as process:
        until(lambda: sees(b"CMD-1"))
        process.send_signal(signal.SIGINT)
        until(lambda: sees(b"\x1b[?1049l") and process.poll() is not None)
    assert process.returncode == 0
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert "✓✓…·".encode() in re.sub(rb"\x1b\[[0-9;]*m", b"", shown)
    assert b"Traceback" not in shown
    # The terminal's own colours may be asked for again (39, 49), and no other.
    assert not [code for code in re.findall(rb"\x1b\[([0-9;]*)m", shown) if _COLOUR.search(code)]
    os.close(ours)
    os.close(theirs)


def test_without_a_broker_it_waits_and_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    """No fixture of a broker: a port where nobody listens."""
    nowhere = environment | {"SAGA_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/"}
    err = tmp_path / "err"
    with err.open("wb") as errors, monitor(nowhere, subprocess.DEVNULL, errors) as process:
        until(lambda: err.read_bytes().count(b"broker away") >= 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
    assert b"Traceback" not in err.read_bytes()


def test_a_file_locked_for_long_does_not_end_the_lines(
    environment: dict[str, str], channel: Any, tmp_path: Path
) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as lines, err.open("wb") as errors, monitor(environment, lines, errors) as process:
        until(lambda: b"live" in err.read_bytes())
        with locked(environment):
            publish(channel, "CMD-1", PAID)
            until(lambda: b"database trouble" in err.read_bytes())
        until(lambda: b"CMD-1" in out.read_bytes())
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    assert b"Traceback" not in err.read_bytes()


def test_a_full_disk_is_one_line(environment: dict[str, str], channel: Any, tmp_path: Path) -> None:
    """On a file system too small for the file, made where an ordinary user may make one."""
    for number in range(300):
        publish(channel, f"CMD-{number}", CONFIRMED)
    full = tmp_path / "full"
    full.mkdir()
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=400k tmpfs {full}"
    if subprocess.run([*mounted, mount], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace is allowed here")
    ran = subprocess.run(
        [*mounted, f"{mount} && exec {sys.executable} -m saga_monitor report"],
        cwd=ROOT,
        env=environment | {"SAGA_MONITOR_DATABASE": str(full / "monitor.sqlite3")},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert len(ran.stderr.splitlines()) == 1
    assert b"full" in ran.stderr
