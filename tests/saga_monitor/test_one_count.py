"""The number of anomalies is one on every screen, in every command and in every answer to a program."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

from tests.saga_monitor.console.test_terminal import terminal
from tests.saga_monitor.memory_stream import CONFIRMED, HELD
from tests.saga_monitor.test_not_known import Watched, asked, serving, watched
from tests.support.workers import environment, until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["watched"]


def test_every_screen_command_and_answer_has_the_same_number_of_anomalies(
    watched: Watched, tmp_path: Path
) -> None:
    for number in range(7):
        watched.publish(f"CMD-{number}", HELD)
    watched.publish("CMD-CREATED", CONFIRMED)
    watched.set_aside("stock", 30)
    # No worker is there: seven orders are stuck, thirty dead letters lie in a queue, and inboxes have no consumer.
    wanted = int(watched.run("anomalies").stdout.splitlines()[-1].removesuffix(" anomalies"))
    assert wanted > 37
    found = json.loads(watched.run("anomalies", "--json").stdout)
    assert {one["total"] for one in found} == {sum(one["count"] for one in found)} == {wanted}
    assert json.loads(watched.run("report", "--json").stdout)["anomalies"] == wanted
    assert re.search(rf"^anomalies +{wanted} *$", watched.run("report").stdout, re.MULTILINE)
    rows = dict(csv.reader(io.StringIO(watched.run("report", "--csv").stdout)))
    assert rows["anomalies"] == f"{wanted}"
    with serving(watched, tmp_path / "log") as url:
        until(lambda: f"{wanted} anomalies in" in asked(f"{url}/anomalies")[1], "the page to have looked")
        assert f">{wanted}</span>" in asked(f"{url}/")[1]
        answer = json.loads(asked(f"{url}/api/anomalies")[1])
        assert answer["total"] == sum(one["count"] for one in answer["anomalies"]) == wanted
        assert json.loads(asked(f"{url}/api/report")[1])["anomalies"] == wanted
        metrics = re.findall(r"^saga_anomalies{.*} (.*)$", asked(f"{url}/metrics")[1], re.MULTILINE)
        assert sum(map(float, metrics)) == wanted
        with terminal(environment(**watched.settings)) as window:
            window.run()
            # Three of them have a line of their own.
            window.awaits(f"… and {wanted - 3} more: press a")
            window.press("a")
            window.awaits(f"{wanted} anomalies")


def test_an_earlier_time_has_no_number_of_anomalies(watched: Watched) -> None:
    watched.publish("CMD-1", HELD)
    assert json.loads(watched.run("report", "--at", "1s", "--json").stdout)["anomalies"] is None
