"""Programs work although standard input, output or error is closed or broken."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.saga_fixture import SERVICES
from tests.support.workers import ROOT, environment, services

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture

CLOSED = [">&-", "2>&-", "<&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"]
CLOSED_OUTPUT = [">&-", "<&- >&- 2>&-"]


def command(saga: SagaFixture, arguments: str, redirections: str) -> subprocess.Popen[str]:
    line = f"exec {sys.executable} {arguments} {redirections}"
    return subprocess.Popen(
        ["/bin/sh", "-c", line],
        cwd=ROOT,
        env=environment(monitor_database=saga.folder / "monitor.sqlite3", **saga.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("redirections", CLOSED)
def test_a_worker_works(stopped_saga: SagaFixture, redirections: str) -> None:
    saga = stopped_saga
    worker = command(saga, f"-m services run {' '.join(SERVICES)}", redirections)
    try:
        assert services("ready", "all", "--wait", "90", **saga.settings).returncode == 0
        saga.subscription = saga.foreign_client.subscribe("client.events", "commande.events")
        saga.await_events(saga.order(), "commande.creee")
        worker.terminate()
        out, err = worker.communicate(timeout=90)
    finally:
        worker.kill()
    assert (worker.returncode, out) == (0, "")
    assert "Traceback" not in err


@pytest.mark.parametrize("redirections", CLOSED_OUTPUT)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("-m services ready all", 0),
        ("-m services ready all --json", 0),
        ("-m services inspect stock", 0),
        ("-m services inspect all --json", 0),
        ("-m services journal NO-SUCH-ORDER", 1),
        ("-m services outbox list", 0),
        ("-m services choreography check", 0),
        ("-m services --help", 0),
        ("-m services nonsense", 2),
        ("-m saga_monitor list", 0),
        ("-m saga_monitor report --json", 0),
        ("-m saga_monitor show NO-SUCH-ORDER", 1),
        ("-m saga_monitor history", 0),
        ("scripts/passer_commande.py", 0),
        ("scripts/passer_commande.py --quantite 0", 2),
    ],
)
def test_a_command_without_an_output_keeps_its_exit_code(
    running_saga: SagaFixture, arguments: str, code: int, redirections: str
) -> None:
    done = command(running_saga, arguments, redirections)
    out, err = done.communicate(timeout=90)
    assert (done.returncode, out) == (code, ""), err
    assert "Traceback" not in err


@pytest.mark.parametrize("redirections", [">/dev/full", ">/dev/full 2>/dev/full", ">/dev/full 2>&-"])
@pytest.mark.parametrize(
    "arguments", ["-m services inspect stock", "-m services choreography check", "-m saga_monitor list"]
)
def test_a_full_disk_under_standard_output_is_reported_in_one_line(
    running_saga: SagaFixture, arguments: str, redirections: str
) -> None:
    done = command(running_saga, arguments, redirections)
    _, err = done.communicate(timeout=90)
    assert done.returncode == 2
    assert err.count("\n") == (0 if "2>" in redirections else 1), err


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full"])
def test_lines_for_a_closed_standard_error_are_not_written_elsewhere(
    running_saga: SagaFixture, redirections: str
) -> None:
    done = command(running_saga, "-m services journal NO-SUCH-ORDER", redirections)
    out, err = done.communicate(timeout=90)
    assert (done.returncode, out, err) == (1, "", "")
    done = command(running_saga, "scripts/passer_commande.py --nonsense", redirections)
    out, err = done.communicate(timeout=90)
    assert (done.returncode, out, err) == (2, "", "")
