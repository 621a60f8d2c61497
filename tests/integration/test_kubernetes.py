"""A real API server takes everything under k8s/ and every overlay, and finds nothing to change the second time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.servers import dapr
from scripts.servers.kubernetes import Kubernetes, definitions
from scripts.servers.packages import package
from tests.support.kustomize import OVERLAYS, PLACE, ROOT, rendered
from tests.support.real_servers import RealServers

# The first run of all builds the API server.
pytestmark = [pytest.mark.xdist_group("kubernetes"), pytest.mark.timeout(2_400)]

K8S = str(ROOT / "k8s")
SCHEMAS = ("1.33", "1.35", "1.37")
VALIDATE = "1.37.0"


@pytest.fixture(scope="module")
def cluster(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """With the custom resources of Dapr, KEDA and the Prometheus operator."""
    home = tmp_path_factory.mktemp("kubernetes")

    folders = real_servers.had("custom resource definitions", lambda: [dapr.definitions(), *definitions()])
    with real_servers.started("Kubernetes API server", lambda: Kubernetes(home=home)) as running:
        for folder in folders:
            files = [file for file in sorted(folder.glob("*.yaml")) if "kustomization" not in file.name]
            applied(running, "--server-side", *[part for file in files for part in ("-f", str(file))])
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield running


def applied(cluster: Kubernetes, *what: str) -> list[str]:
    """What an apply says, line by line; it must succeed, without a warning."""
    done = cluster.kubectl("apply", *what)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def versions(cluster: Kubernetes, said: list[str]) -> dict[str, str]:
    """The version of each object that an apply named: the server moves it with every change.

    "configured" alone says little: kubectl says it where the server has filled in a list that is compared as a whole.
    """
    names = [line.split()[0] for line in said]
    shown = cluster.kubectl("get", *names, "-n", "learnflow", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    items = json.loads(shown.stdout)["items"]
    return {name: one["metadata"]["resourceVersion"] for name, one in zip(names, items, strict=True)}


def test_a_bare_cluster_takes_the_folder_twice_by_either_command(cluster: Kubernetes) -> None:
    first = applied(cluster, "-f", K8S)
    assert first[0] == "namespace/learnflow created"
    assert len(first) == 10
    for again in (["-f", K8S], ["-f", K8S, "-n", "learnflow"]):
        before = versions(cluster, first)
        assert len(before) == len(first)
        assert versions(cluster, applied(cluster, *again)) == before


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_is_taken_and_the_second_time_nothing_changes(cluster: Kubernetes, name: str) -> None:
    before = versions(cluster, applied(cluster, "-k", str(PLACE / name)))
    assert len(before) > 5
    assert versions(cluster, applied(cluster, "-k", str(PLACE / name))) == before


@pytest.mark.parametrize("name", ["k8s", *OVERLAYS])
def test_the_pods_are_admitted_where_the_restricted_standard_is_enforced(cluster: Kubernetes, name: str) -> None:
    applied(cluster, "-f", K8S)
    made = []
    for owner, template in pods(name):
        metadata = {**template["metadata"], "name": owner, "namespace": "learnflow"}
        made.append({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    done = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=given)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(made) > 0
    root = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": "learnflow"}}
    root["spec"] = {"containers": [{"name": "one", "image": "busybox"}]}  # type: ignore[assignment]
    refused = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(root))
    assert "violates PodSecurity" in refused.stderr


def test_the_selectors_serve_the_api_alone(cluster: Kubernetes) -> None:
    applied(cluster, "-f", K8S)
    shown = cluster.kubectl("get", "all", "-n", "learnflow", "-l", "app=mastery-engine", "-o", "name").stdout
    assert "deployment.apps/mastery-engine" in shown
    assert {"statefulset.apps/kafka", "statefulset.apps/redis", "service/mastery-engine"} <= set(shown.split())
    service = json.loads(cluster.kubectl("get", "svc", "mastery-engine", "-n", "learnflow", "-o", "json").stdout)
    assert service["spec"]["ports"][0]["port"] == 80


def everything(name: str) -> list[dict[str, Any]]:
    if name == "k8s":
        return [one for file in sorted(Path(K8S).glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]
    return rendered(name)


def pods(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in everything(name):
        if one["kind"] in ("Deployment", "StatefulSet"):
            template = json.loads(json.dumps(one["spec"]["template"]))
            claims = one["spec"].get("volumeClaimTemplates", ())
            volumes = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
            template["spec"]["volumes"] = [*template["spec"].get("volumes", ()), *volumes]
            yield one["metadata"]["name"], template
        elif one["kind"] == "CronJob":
            yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]


@pytest.mark.parametrize("version", SCHEMAS)
def test_the_manifests_fit_the_schemas_of_several_versions(real_servers: RealServers, version: str) -> None:
    folder = real_servers.had("kubernetes-validate", lambda: package("kubernetes-validate", VALIDATE))
    found = [one for name in ("k8s", *OVERLAYS) for one in everything(name) if is_core(one)]
    own = list({json.dumps(one, sort_keys=True): one for one in found}.values())  # overlays share most
    script = """
import json, sys, kubernetes_validate
found = json.load(sys.stdin)
for one in found:
    kubernetes_validate.validate(one, sys.argv[1], strict=True)
print(len(found))
"""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", script, version],
        input=json.dumps(own),
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(own)
    assert len(found) > 40


def is_core(one: dict[str, Any]) -> bool:
    group = one["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")
