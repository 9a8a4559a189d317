"""The manifests of `deploy/kubernetes` are valid, bounded, restricted, and name only what exists."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.application import APP
from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KUBERNETES = ROOT / "deploy" / "kubernetes"
PLACES = (KUBERNETES, ROOT / "deploy" / "postgres")
VERSION = "1.31"
KUSTOMIZATIONS = sorted(path for place in PLACES for path in place.rglob("kustomization.yaml"))
MANIFESTS = sorted(path for place in PLACES for path in place.rglob("*.yaml") if path.name != "kustomization.yaml")


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


RESOURCES = [
    pytest.param(one, id=f"{path.parent.name}/{path.stem}: {one['kind']} {one['metadata']['name']}")
    for path in MANIFESTS
    for one in documents(path.read_text(encoding="utf-8"))
]
# What the operator's own definition says of the fields that are used (rabbitmq/cluster-operator v2.22,
# config/crd/bases): a schema of it comes in no package.
CLUSTER_FIELDS = {
    "image": str,
    "replicas": int,
    "terminationGracePeriodSeconds": int,
    "resources": dict,
    "persistence": dict,
    "affinity": dict,
    "rabbitmq": dict,
    "override": dict,
}


def validate(resource: dict[str, Any]) -> None:
    """Against the schema of Kubernetes, and a cluster of RabbitMQ against what is known of its definition."""
    if resource["kind"] != "RabbitmqCluster":
        validate_by_schema(resource)
        return
    assert resource["apiVersion"] == "rabbitmq.com/v1beta1"
    for name, value in resource["spec"].items():
        assert isinstance(value, CLUSTER_FIELDS[name]), name
    assert resource["spec"]["persistence"].keys() <= {"storage", "storageClassName"}
    assert resource["spec"]["rabbitmq"].keys() <= {"additionalConfig", "additionalPlugins"}
    pod = copy.deepcopy(resource["spec"]["override"]["statefulSet"]["spec"])
    whole = {"selector": {"matchLabels": {}}, "serviceName": "rabbitmq", **pod}
    # An override is merged into the operator's own StatefulSet, so what it need not say is put in here.
    whole["template"]["spec"]["containers"][0].setdefault("image", "rabbitmq")
    stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x"}, "spec": whole}
    validate_by_schema(stateful)


def validate_by_schema(resource: dict[str, Any]) -> None:
    # Imported late: it takes seconds, and each process of a run reads every file of tests.
    import kubernetes_validate

    kubernetes_validate.validate(resource, VERSION, strict=True)


def pods(resources: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in resources:
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_manifest_is_valid(resource: dict[str, Any]) -> None:
    validate(resource)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_names_what_exists(path: Path) -> None:
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    missing = [name for name in declared["resources"] if not (path.parent / name).exists()]
    assert missing == []
    here = {entry.name for entry in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert here <= {*declared["resources"]}


@pytest.mark.parametrize("resource", RESOURCES)
def test_our_pods_are_restricted_and_bounded(resource: dict[str, Any]) -> None:
    """As https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted asks."""
    for _, pod in pods([resource]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            own = container["securityContext"]
            assert (own["allowPrivilegeEscalation"], own["capabilities"]) == (False, {"drop": ["ALL"]})
            assert own.get("readOnlyRootFilesystem") is True or container["name"] == "postgres"
            assert container["resources"]["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("service", APP.own)
def test_each_service_has_a_worker(service: str) -> None:
    text = (KUBERNETES / "base" / service / "kustomization.yaml").read_text(encoding="utf-8")
    declared = yaml.safe_load(text)
    assert declared["namePrefix"] == f"{service}-"
    changes = {change["path"]: change["value"] for change in yaml.safe_load(declared["patches"][0]["patch"])}
    assert [*changes.values()] == [["run", service], service]
    assert f"- {service}\n" in (KUBERNETES / "base" / "kustomization.yaml").read_text(encoding="utf-8")


def test_the_overlay_has_a_secret_of_every_file_that_is_written_for_it(secrets: Path) -> None:
    declared = yaml.safe_load(
        (KUBERNETES / "overlays" / "local" / "kustomization.yaml").read_text(encoding="utf-8")
    )
    files = [file for one in declared["secretGenerator"] for file in one["files"]]
    assert [file for file in files if not (secrets.parent / file).is_file()] == []
