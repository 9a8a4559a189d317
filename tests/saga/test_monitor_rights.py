"""A monitor needs no right but to read the history: it can say nothing, and take nothing from a service."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.workers import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.brokers import Broker
    from tests.support.shop import Shop


def test_with_the_right_to_read_the_history_alone_it_knows_everything(
    open_shop: Shop, broker: Broker, tmp_path: Path
) -> None:
    order = open_shop.order()
    open_shop.told(order, "commande.creee", "notification.envoyee")
    with open_shop.operator.identity(read=r"^saga\.history$") as login:
        place = broker.authority.rpartition("@")[2]
        settings = {
            "amqp_url": f"amqp://{login}@{place}/{open_shop.operator.vhost}",
            "topology": "passive",
            "retry_delays": open_shop.settings["retry_delays"],
            "monitor_database": str(tmp_path / "monitor.sqlite3"),
        }
        command = [sys.executable, "-m", "saga_monitor", "show", order, "--json"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert order in json.dumps(shown)
    assert {"commande.creee", "notification.envoyee"} <= set(json.dumps(shown).replace('"', " ").split())
