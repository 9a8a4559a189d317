"""Programs that are started without their standard streams, or with broken ones, do what they are there for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.saga_fixture import SERVICES
from tests.support.workers import ROOT, environment, services

if TYPE_CHECKING:
    from tests.support.saga_fixture import Shop

CLOSED = [">&-", "2>&-", "<&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"]
CLOSED_OUTPUT = [">&-", "<&- >&- 2>&-"]


def command(shop: Shop, arguments: str, redirections: str) -> subprocess.Popen[str]:
    line = f"exec {sys.executable} {arguments} {redirections}"
    return subprocess.Popen(
        ["/bin/sh", "-c", line],
        cwd=ROOT,
        env=environment(monitor_database=shop.folder / "monitor.sqlite3", **shop.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("redirections", CLOSED)
def test_a_worker_works(closed_shop: Shop, redirections: str) -> None:
    shop = closed_shop
    worker = command(shop, f"-m services run {' '.join(SERVICES)}", redirections)
    try:
        assert services("ready", "all", "--wait", "40", **shop.settings).returncode == 0
        shop.ear = shop.outsider.listen("client.events", "commande.events")
        shop.told(shop.order(), "commande.creee")
        worker.terminate()
        out, err = worker.communicate(timeout=40)
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
    open_shop: Shop, arguments: str, code: int, redirections: str
) -> None:
    done = command(open_shop, arguments, redirections)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out) == (code, ""), err
    assert "Traceback" not in err


@pytest.mark.parametrize("redirections", [">/dev/full", ">/dev/full 2>/dev/full", ">/dev/full 2>&-"])
@pytest.mark.parametrize(
    "arguments", ["-m services inspect stock", "-m services choreography check", "-m saga_monitor list"]
)
def test_an_output_on_a_full_disk_is_one_line(open_shop: Shop, arguments: str, redirections: str) -> None:
    done = command(open_shop, arguments, redirections)
    _, err = done.communicate(timeout=60)
    assert done.returncode == 2
    assert err.count("\n") == (0 if "2>" in redirections else 1), err


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full"])
def test_what_is_said_on_standard_error_does_not_go_elsewhere(open_shop: Shop, redirections: str) -> None:
    done = command(open_shop, "-m services journal NO-SUCH-ORDER", redirections)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out, err) == (1, "", "")
    done = command(open_shop, "scripts/passer_commande.py --nonsense", redirections)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out, err) == (2, "", "")
