"""What kustomize renders of `deploy/kubernetes` is valid, and its parts fit together."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

from choregraphie import Settings
from services.application import APP
from tests.deploy.conftest import ROOT
from tests.deploy.test_kubernetes import documents, pods, validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@cache
def rendered(secrets: Path) -> list[dict[str, Any]]:
    """The overlay `local` as kustomize renders it."""
    copy = secrets.parent / "deploy"
    shutil.copytree(ROOT / "deploy", copy, ignore=shutil.ignore_patterns("secrets"))
    shutil.copytree(secrets, copy / "kubernetes" / "overlays" / "local" / "secrets")
    done = subprocess.run(
        ["kustomize", "build", copy / "kubernetes" / "overlays" / "local"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return documents(done.stdout)


def test_the_rendered_overlay_is_valid_and_of_one_namespace(secrets: Path) -> None:
    for one in rendered(secrets):
        validate(one)
        assert one["metadata"].get("namespace", "choregraphie") == "choregraphie"


def test_each_budget_and_policy_selects_pods(secrets: Path) -> None:
    resources = rendered(secrets)
    labels = [
        one["spec"]["template"]["metadata"]["labels"] for one in resources if "template" in one.get("spec", {})
    ]
    # The operator labels the pods of a cluster with its name.
    labels += [
        {"app.kubernetes.io/name": one["metadata"]["name"]}
        for one in resources
        if one["kind"] == "RabbitmqCluster"
    ]
    selectors = {
        f"{one['kind']} {one['metadata']['name']}": one["spec"].get("podSelector") or one["spec"]["selector"]
        for one in resources
        if one["kind"] in {"PodDisruptionBudget", "NetworkPolicy"}
    }
    assert len(selectors) == 8
    chosen = {
        name: sum(selector["matchLabels"].items() <= label.items() for label in labels)
        for name, selector in selectors.items()
    }
    assert chosen == {name: 4 if name == "NetworkPolicy workers" else 1 for name in selectors}


def test_a_pod_mounts_only_secrets_that_exist_and_its_settings_are_settings(
    secrets: Path, read_environment: Callable[[dict[str, str], Path], None], tmp_path: Path
) -> None:
    resources = rendered(secrets)
    kept = {one["metadata"]["name"]: one["data"] for one in resources if one["kind"] == "Secret"}
    for name, pod in pods(resources):
        secret = next((one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one), None)
        if secret is None:
            continue
        environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
        files = {value for key, value in environment.items() if key.endswith("_FILE")}
        assert {file.rpartition("/")[2] for file in files} <= kept[secret].keys(), name
        read_environment(environment, secrets / secret)


def test_a_worker_has_more_time_to_stop_than_it_takes_and_probes_of_both_kinds(secrets: Path) -> None:
    workers = {name: pod for name, pod in pods(rendered(secrets)) if name.endswith("-worker")}
    assert sorted(workers) == sorted(f"{name}-worker" for name in APP.own)
    for pod in workers.values():
        assert pod["terminationGracePeriodSeconds"] > Settings().drain + 5
        (container,) = pod["containers"]
        probes = {
            name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
        }
        assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
        assert container["image"] == "choregraphie:local"
