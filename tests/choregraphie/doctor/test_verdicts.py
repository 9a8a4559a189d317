"""The verdicts of `doctor` on what a test cannot have for real: versions, nodes, clocks, libraries."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie.doctor import Finding, Verdict
from choregraphie.doctor.broker import clock, examine_broker, nodes
from choregraphie.doctor.installation import examine_installation, satisfies
from choregraphie.doctor.queues import service_queues
from choregraphie.doctor.rabbitmq_versions import judge
from choregraphie.messaging import QueueCount
from choregraphie.settings import Settings
from services.application import APP
from tests.support.fake_management import management_that_answers

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("version", "topology", "verdict", "remedy"),
    [
        ("3.9.29", "apply", Verdict.WRONG, "3.10"),
        ("3.10.8", "passive", Verdict.OK, ""),
        ("3.13.7", "apply", Verdict.OK, ""),
        ("4.0.2", "apply", Verdict.WRONG, "4.0.3"),
        ("4.0.5", "apply", Verdict.WARNING, "4.0.7"),
        ("4.0.7", "apply", Verdict.OK, ""),
        ("4.2.6", "passive", Verdict.WRONG, "4.2.7"),
        ("4.2.6", "apply", Verdict.OK, ""),
        ("4.3.0", "passive", Verdict.WRONG, "4.3.3"),
        ("4.3.0", "apply", Verdict.WARNING, "4.3.3"),
        ("4.3.6", "passive", Verdict.OK, ""),
        ("4.3.0-rc.1", "passive", Verdict.WRONG, "4.3.3"),
        ("4.4.0", "apply", Verdict.WARNING, "tests"),
        ("", "apply", Verdict.UNKNOWN, "tested"),
    ],
)
def test_a_version_with_known_errors_is_named_with_the_one_that_repairs_it(
    version: str, topology: Any, verdict: Verdict, remedy: str
) -> None:
    found = judge(version, Settings(topology=topology))
    assert (found.verdict, remedy in found.remedy) == (verdict, True)


@pytest.mark.parametrize(
    ("row", "verdict", "word"),
    [
        ({"running": True, "mem_alarm": False, "disk_free_alarm": False, "partitions": []}, Verdict.OK, "runs"),
        ({"running": False}, Verdict.WRONG, "does not run"),
        ({"running": True, "mem_alarm": True}, Verdict.WRONG, "memory alarm"),
        ({"running": True, "disk_free_alarm": True}, Verdict.WRONG, "disk alarm"),
        ({"running": True, "partitions": ["b@host"]}, Verdict.WRONG, "cut off"),
    ],
)
def test_a_node_with_an_alarm_or_without_the_others_is_wrong(
    row: dict[str, Any], verdict: Verdict, word: str
) -> None:
    (found,) = nodes([{"name": "a@host", **row}])
    assert (found.about, found.verdict) == ("node a@host", verdict)
    assert word in found.what


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (0, Verdict.OK),
        (-1, Verdict.OK),
        (2, Verdict.OK),
        (5, Verdict.WARNING),
        (-10, Verdict.WARNING),
        (60, Verdict.WRONG),
        (-3600, Verdict.WRONG),
    ],
)
def test_a_clock_that_differs_is_named_with_its_difference(seconds: int, verdict: Verdict) -> None:
    found = clock("broker's clock", NOW + dt.timedelta(seconds=seconds), NOW, NOW + dt.timedelta(seconds=0.1))
    assert found.verdict is verdict
    assert verdict is Verdict.OK or (("ahead of" in found.what) is (seconds > 0))


@pytest.mark.parametrize(
    ("version", "bounds", "within"),
    [
        ("10.2.1", ">=10.2,<11", True),
        ("11.0.0", ">=10.2,<11", False),
        ("10.1.9", ">=10.2,<11", False),
        ("26.1.0", ">=25", True),
        ("2.1.0b2", ">=2.1,<2.2", True),
        ("1.0", "", True),
    ],
)
def test_a_library_outside_its_bounds_is_found(version: str, bounds: str, within: bool) -> None:
    assert satisfies(version, bounds) is within


def test_of_each_service_what_waits_and_what_died_is_told() -> None:
    counts: dict[str, QueueCount | None] = {
        "stock.inbox": QueueCount(3, 1),
        "stock.dlq": QueueCount(2, 0),
        "stock.retry.5": QueueCount(1, 0),
        "paiement.inbox": QueueCount(5, 0),
        "commande.inbox": QueueCount(1_000_000, 2),
        "notification.inbox": None,
    }
    found = [(one.about, one.verdict) for one in service_queues(APP, Settings(), counts)]
    assert found == [
        ("inbox", Verdict.OK),
        ("dead letters", Verdict.WRONG),
        ("retries", Verdict.WARNING),
        ("inbox", Verdict.WRONG),
        ("inbox", Verdict.WARNING),
        ("inbox", Verdict.UNKNOWN),
    ]
    (missing, *_) = service_queues(APP, Settings(), {})
    assert (missing.verdict, missing.what) == (Verdict.WRONG, "stock.inbox does not exist")


def test_a_file_of_secrets_that_has_gone_since_the_start_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "amqp-url"
    file.write_text("amqp://u:p@broker.example/")
    settings = APP.read_settings({"SAGA_AMQP_URL_FILE": str(file)})
    file.unlink()
    (warning,) = [one for one in examine_installation(APP, settings) if one.verdict is Verdict.WARNING]
    assert warning.what == f"SAGA_AMQP_URL_FILE: {file}: No such file or directory"


def test_a_management_that_refuses_or_answers_nonsense_is_a_finding() -> None:
    async def findings(settings: Settings) -> list[Finding]:
        away = settings.model_copy(update={"amqp_url": "amqp://guest:guest@127.0.0.1:1/"})
        return [one async for one in examine_broker(away)]

    for content, status in ((b"{}", 401), (b"<html>", 200)):
        with management_that_answers(content, status) as settings:
            found = asyncio.run(findings(settings))
        assert [(one.about, one.verdict) for one in found][-1] == ("management", Verdict.WRONG)
