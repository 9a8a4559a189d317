"""`compose.yaml` fits the application, and every container in it is bounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from choregraphie import Settings
from services.application import APP
from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "choregraphie"}
WORKERS = {name: one for name, one in OURS.items() if str(one.get("command", "")).startswith("run ")}


def settings_of(name: str) -> Any:
    return yaml.safe_load((ROOT / "deploy" / "compose" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_limits_and_gains_no_privilege(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory", "pids"}
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_nowhere_but_on_their_volumes(name: str) -> None:
    assert (OURS[name]["read_only"], OURS[name]["cap_drop"]) == (True, ["ALL"])


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_more_time_to_stop_than_it_takes(name: str) -> None:
    closing_seconds = 5
    assert int(WORKERS[name]["stop_grace_period"].rstrip("s")) > Settings().drain + closing_seconds


def test_each_service_has_a_worker_and_in_a_cluster_two() -> None:
    plain = [one["command"] for one in WORKERS.values() if "profiles" not in one]
    cluster = [one["command"] for one in WORKERS.values() if one.get("profiles") == ["cluster"]]
    assert sorted(plain) == sorted(cluster) == sorted(f"run {name}" for name in APP.own)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_container_are_settings_and_its_secrets_files(
    name: str, secrets: Path, read_environment: Callable[[dict[str, str], Path], None]
) -> None:
    (secret,) = OURS[name]["secrets"]
    assert secret["target"] == "saga"
    given = {key: value for key, value in OURS[name]["environment"].items() if value is not None}
    environment = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in given.items()}
    environment.pop("SAGA_MONITOR_NAMES", "")  # put together of two variables
    read_environment(environment, secrets / secret["source"])
    assert {key for key in environment if key.endswith(("URL", "TOKEN"))} == set()


def test_every_folder_of_secrets_is_written(secrets: Path) -> None:
    places = {one["file"].rpartition("/")[2] for one in COMPOSE["secrets"].values()}
    used = {
        one["source"] if isinstance(one, dict) else one
        for service in SERVICES.values()
        for one in service.get("secrets", [])
    }
    assert places == used == {path.name for path in secrets.iterdir()}


def test_every_file_that_is_mounted_exists() -> None:
    mounted = [
        entry.partition(":")[0]
        for service in SERVICES.values()
        for entry in service.get("volumes", [])
        if entry.startswith("./")
    ]
    assert mounted
    assert [path for path in mounted if not (ROOT / path).exists()] == []


def test_each_service_has_a_database_and_its_password(secrets: Path) -> None:
    script = (ROOT / "deploy" / "postgres" / "databases.sh").read_text(encoding="utf-8")
    (named,) = re.findall(r"for service in (.*); do", script)
    assert sorted(named.split()) == sorted(APP.own)
    assert all((secrets / "postgres" / name).exists() for name in APP.own)


def test_prometheus_scrapes_every_worker_and_the_monitor() -> None:
    jobs = {job["job_name"]: job for job in settings_of("prometheus.yml")["scrape_configs"]}
    assert sorted(jobs["workers"]["dns_sd_configs"][0]["names"]) == sorted(WORKERS)
    assert jobs["monitor"]["static_configs"] == [{"targets": ["monitor:8787"]}]


def test_the_joining_nodes_know_every_node_by_its_host_name() -> None:
    text = (ROOT / "deploy" / "compose" / "join.conf").read_text(encoding="utf-8")
    hosts = [one["hostname"] for one in SERVICES.values() if "hostname" in one]
    assert re.findall(r"= rabbit@(\S+)", text) == hosts


def test_the_image_asks_whether_the_process_lives_and_not_whether_it_is_ready() -> None:
    (check,) = re.findall(r"HEALTHCHECK(?:.*\\\n)*.*", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert "/livez" in check
    assert "/readyz" not in check
    assert all("test" not in one.get("healthcheck", {}) for one in OURS.values())
