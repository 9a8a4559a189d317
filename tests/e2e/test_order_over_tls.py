"""The whole saga with TLS to the broker, PostgreSQL and the card gateway, each side with a certificate."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Literal

import pytest

from choregraphie import BrokerRefused, Settings
from choregraphie.broker import connected
from scripts.nemesis.gateway import Gateway
from tests.support.tls import Certificates, TlsNode, tls_node
from tests.support.workers import ROOT, Worker, environment, services, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsNode]:
    certificates = Certificates.made(tmp_path_factory.mktemp("certificates"))
    with tls_node(tmp_path_factory.mktemp("node") / "tls", certificates) as running:
        yield running


@pytest.fixture(scope="module")
def bank(node: TlsNode) -> Iterator[Gateway]:
    gateway = Gateway(node.certificates.server_context("server", asks=True))
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def settings(node: TlsNode, bank: Gateway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("saga")
    return {
        "amqp_url": node.url(),
        "management_url": node.management(),
        "database_url": f"sqlite:///{folder}/{{service}}.sqlite3",
        "gateway": f"{bank.url}/?{node.certificates.query('client')}",
        "carrier": f"maildir:{folder}/courrier",
        "monitor_database": str(folder / "monitor.sqlite3"),
    }


def run(*command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("lane", ["lean", "public"])
def test_an_order_is_paid_over_tls(settings: dict[str, Any], bank: Gateway, tmp_path: Path, lane: str) -> None:
    given = settings | {"lane": lane}
    workers = Worker(("all",), tmp_path / "log", given)
    try:
        assert services("ready", "all", "--wait", "60", **given).returncode == 0
        placed = run("scripts/passer_commande.py", **given)
        assert (placed.returncode, placed.stderr) == (0, "")
        key = placed.stdout.strip()
        until(lambda: key in {charge.commande_id for charge in bank.charges()}, "the order is paid")
        until(lambda: _state(key, given) == "COMPLETED", "the order is completed")
    finally:
        workers.end()


def _state(key: str, settings: dict[str, Any]) -> str:
    shown = run("-m", "saga_monitor", "show", key, "--json", **settings)
    return str(json.loads(shown.stdout)["state"]) if shown.returncode == 0 else ""


def test_the_tools_of_operators_work_over_tls(settings: dict[str, Any]) -> None:
    assert services("topology", "apply", **settings).returncode == 0
    checked = services("topology", "check", "--json", **settings)
    assert checked.stderr == ""
    examined = json.loads(services("doctor", "--json", **settings).stdout)
    verdicts = {one["about"]: one["verdict"] for one in examined}
    assert verdicts["broker's clock"] == verdicts["topology"] == "ok"
    assert services("dlq", "list", **settings).returncode == 0


NOT_OURS = "it refuses our certificate; certfile and keyfile"
BAD = [
    ("", "ca.pem", "localhost", NOT_OURS),
    ("stranger", "ca.pem", "localhost", NOT_OURS),
    ("client", "unknown.pem", "localhost", "no authority that we know has signed it; cafile"),
    ("client", "ca.pem", "127.0.0.1", "it does not name this host"),
]


@pytest.mark.parametrize("lane", ["lean", "public"])
async def test_a_clear_text_url_of_the_tls_port_is_refused(node: TlsNode, lane: Literal["lean", "public"]) -> None:
    settings = Settings(amqp_url=f"amqp://guest:guest@localhost:{node.amqps}/", lane=lane)
    with pytest.raises(BrokerRefused, match=r"it speaks TLS there; write amqps:// in the URL$"):
        async with connected(settings, "test"):
            pass


@pytest.mark.parametrize(("own", "authority", "host", "why"), BAD)
@pytest.mark.parametrize("lane", ["lean", "public"])
async def test_a_broker_that_cannot_be_trusted_or_does_not_trust_us_is_refused(
    node: TlsNode, lane: Literal["lean", "public"], own: str, authority: str, host: str, why: str
) -> None:
    settings = Settings(amqp_url=node.url(own, authority, host), lane=lane)
    with pytest.raises(BrokerRefused, match=f"^SAGA_AMQP_URL, guest at {host}:{node.amqps}: .*{why}"):
        async with connected(settings, "test"):
            pass


@pytest.mark.parametrize(("command", "case"), [("run stock", BAD[2]), ("topology check", BAD[1])])
def test_a_command_says_it_in_one_line(
    node: TlsNode, settings: dict[str, Any], command: str, case: tuple[str, str, str, str]
) -> None:
    own, authority, host, why = case
    done = services(*command.split(), **settings | {"amqp_url": node.url(own, authority, host)})
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert f"SAGA_AMQP_URL, guest at {host}:{node.amqps}: " in last
    assert why in last
