"""What is applied to Kubernetes keeps to the house's rules, before any cluster sees it."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from mastery_engine.errors import StartRefused
from mastery_engine.http.proxies import Proxies
from mastery_engine.http.serve import STOP_S
from mastery_engine.ports.event_log import REQUESTS_TOPIC
from mastery_engine.service import LONGEST_STOP_S
from mastery_engine.settings import FIELD_OF, settings_from
from scripts.servers.cache import Unavailable
from scripts.servers.kafka import VERSION as KAFKA
from tests.support.kustomize import OVERLAYS, ROOT, rendered

PLAIN = ROOT / "k8s"
SETS = ["k8s", *OVERLAYS]
SECRET_SETTINGS = {
    "JWT_SECRET",
    "PSEUDONYM_KEY",
    "APP_API_TOKEN",
    "DAPR_API_TOKEN",
    "KAFKA_USERNAME",
    "KAFKA_PASSWORD",
}
PRODUCTION_SECRET = {
    "JWT_SECRET": "0123456789-0123456789-0123456789-01",
    "PSEUDONYM_KEY": "0123456789-0123456789-0123456789-02",
    "KAFKA_USERNAME": "u",
    "KAFKA_PASSWORD": "p",
}

Json = dict[str, Any]


def plain() -> list[Json]:
    """The objects in the order in which `kubectl apply -f k8s/` takes them."""
    return [one for file in sorted(PLAIN.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]


@cache
def objects(name: str) -> list[Json]:
    if name == "k8s":
        return plain()
    try:
        return rendered(name)
    except Unavailable as unavailable:
        pytest.skip(f"no kubectl: {unavailable}")


def pods(found: list[Json]) -> Iterator[tuple[str, Json]]:
    """Each pod template, with the name of what makes pods of it."""
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one["metadata"]["name"], one["spec"]["template"]
        elif one["kind"] == "CronJob":
            yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]


def by_kind(found: list[Json], kind: str, name: str | None = None) -> list[Json]:
    return [one for one in found if one["kind"] == kind and name in (None, one["metadata"]["name"])]


def settings_given(found: list[Json], deployment: str) -> dict[str, str]:
    """The environment of a deployment's container, without what is in Secrets."""
    (config,) = by_kind(found, "ConfigMap", "mastery-engine")
    (made,) = by_kind(found, "Deployment", deployment)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    return config["data"] | {one["name"]: one["value"] for one in container.get("env", [])}


def test_the_namespace_comes_first_and_nothing_in_the_folder_is_no_manifest() -> None:
    assert plain()[0]["kind"] == "Namespace"
    assert plain()[0]["metadata"]["name"] == "learnflow"
    assert not [one for one in PLAIN.iterdir() if one.suffix in (".yml", ".json")]
    assert all("apiVersion" in one and one["kind"] != "Kustomization" for one in plain())
    listed = yaml.safe_load((PLAIN / "Kustomization").read_text())["resources"]
    assert listed == sorted(file.name for file in PLAIN.glob("*.yaml"))


@pytest.mark.parametrize("name", SETS)
def test_every_object_is_in_the_namespace_and_wears_the_label(name: str) -> None:
    found = objects(name)
    places = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in found]
    assert len(set(places)) == len(places)
    for one in found:
        assert one["metadata"]["labels"]["app"] == "mastery-engine", one["metadata"]["name"]
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == "learnflow", one["metadata"]["name"]
    for owner, template in pods(found):
        assert template["metadata"]["labels"]["app"] == "mastery-engine", owner


@pytest.mark.parametrize("name", SETS)
def test_a_selector_takes_the_pods_of_one_component(name: str) -> None:
    found = objects(name)
    templates = {owner: template["metadata"]["labels"] for owner, template in pods(found)}
    for one in [*by_kind(found, "Service"), *by_kind(found, "Deployment"), *by_kind(found, "StatefulSet")]:
        selector = one["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert wanted.keys() == {"app", "app.kubernetes.io/component"}
        taken = {owner for owner, labels in templates.items() if wanted.items() <= labels.items()}
        assert taken == {one["metadata"]["name"]}
    assert len({json.dumps(labels, sort_keys=True) for labels in templates.values()}) == len(templates)


@pytest.mark.parametrize("name", SETS)
def test_no_container_is_root_and_each_has_probes_and_limits(name: str) -> None:
    seen = 0
    for owner, template in pods(objects(name)):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, owner
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
        for container in pod["containers"]:
            seen += 1
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, owner
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context.get("readOnlyRootFilesystem", False) or owner == "kafka"
            for bound in ("requests", "limits"):
                assert container["resources"][bound].keys() == {"cpu", "memory"}, owner
            if pod.get("restartPolicy") != "Never":
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), owner
            assert ":" in container["image"]
    assert seen >= 1


@pytest.mark.parametrize("name", SETS)
def test_the_settings_are_the_codes_and_the_code_accepts_them(name: str) -> None:
    found = objects(name)
    (config,) = by_kind(found, "ConfigMap", "mastery-engine")
    assert config["data"].keys() == FIELD_OF.keys() - SECRET_SETTINGS
    for secret in by_kind(found, "Secret"):
        assert secret["data"].keys() <= FIELD_OF.keys() & SECRET_SETTINGS
    for deployment in by_kind(found, "Deployment"):
        given = settings_given(found, deployment["metadata"]["name"])
        assert given.keys() <= FIELD_OF.keys()
        real = settings_from(given | PRODUCTION_SECRET)
        assert (real.host, str(real.data_dir), real.log) == ("0.0.0.0", "/data", "kafka")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert [port["containerPort"] for port in container["ports"]] == [real.port]


def test_the_plain_installation_starts_in_development_with_a_secret_that_says_it_must_be_changed() -> None:
    (secret,) = by_kind(plain(), "Secret")
    assert "learnflow.io/must-be-changed" in secret["metadata"]["annotations"]
    assert "stringData" not in secret, "kubectl would change it at each apply"
    given = settings_given(plain(), "mastery-engine")
    assert settings_from(given).environment == "development"
    (service,) = by_kind(plain(), "Service", "mastery-engine")
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    images = {container["image"] for _, one in pods(plain()) for container in one["spec"]["containers"]}
    tags = {image.partition("@")[0] for image in images}
    assert tags == {"learnflow/mastery-engine:latest", f"apache/kafka:{KAFKA}", "redis:7.4-alpine"}


def test_production_brings_no_secret_and_refuses_the_public_one() -> None:
    found = objects("production")
    assert not by_kind(found, "Secret")
    assert not by_kind(found, "StatefulSet")
    given = settings_given(found, "mastery-engine")
    assert given["ENVIRONMENT"] == "production"
    (public,) = by_kind(plain(), "Secret")
    with pytest.raises(StartRefused):
        settings_from(given | {"JWT_SECRET": base64.b64decode(public["data"]["JWT_SECRET"]).decode()})


@pytest.mark.parametrize("name", ["scaled", "large", "production"])
def test_apart_the_api_serves_and_the_workers_work(name: str) -> None:
    found = objects(name)
    assert settings_given(found, "mastery-engine")["WORKER_ENABLED"] == "false"
    worker = settings_given(found, "mastery-engine-worker")
    assert worker["WORKER_ENABLED"] == "true"
    (scaled,) = by_kind(found, "ScaledObject")
    assert scaled["spec"]["maxReplicaCount"] <= int(worker["KAFKA_PARTITIONS"])
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["bootstrapServers"] == worker["KAFKA_BROKER"]
    assert trigger["metadata"]["topic"] == REQUESTS_TOPIC
    (grown,) = by_kind(found, "HorizontalPodAutoscaler")
    assert grown["spec"]["scaleTargetRef"]["name"] == "mastery-engine"
    for deployment in by_kind(found, "Deployment"):
        assert "replicas" not in deployment["spec"], "the autoscalers say how many"
    (api,), (work,) = (by_kind(found, "Deployment", one) for one in ("mastery-engine", "mastery-engine-worker"))
    assert api["spec"]["template"]["spec"]["securityContext"] == work["spec"]["template"]["spec"]["securityContext"]
    kept = [one["spec"]["selector"]["matchLabels"] for one in by_kind(found, "PodDisruptionBudget")]
    budgets = {labels["app.kubernetes.io/component"] for labels in kept}
    assert budgets == {"api", "worker"}


@pytest.mark.parametrize("name", SETS)
def test_where_calls_come_through_a_proxy_it_is_named(name: str) -> None:
    """Else limits and the audit trail would take all callers for one."""
    found = objects(name)
    allowed = settings_from(settings_given(found, "mastery-engine") | PRODUCTION_SECRET).forwarded_allow_ips
    proxies = Proxies(allowed)
    assert all(network.prefixlen > 0 for network in allowed), "nobody outside is a proxy"
    pod_networks = ("10.244.1.7", "10.0.3.9", "172.17.0.2", "192.168.7.7", "100.64.9.1", "fd00:10:244::5")
    if by_kind(found, "Ingress"):
        assert all(address in proxies for address in pod_networks)
    elif "dapr" in name:
        assert "127.0.0.1" in proxies
        assert not [address for address in pod_networks if address in proxies]
    else:
        assert not allowed


def test_redis_keeps_all_that_it_is_given_within_its_memory() -> None:
    (redis,) = by_kind(plain(), "StatefulSet", "redis")
    (container,) = redis["spec"]["template"]["spec"]["containers"]
    given = dict(pairwise(container["args"]))
    assert given["--maxmemory-policy"] == "noeviction"
    assert given["--appendonly"] == "yes"
    assert given["--dir"] == container["volumeMounts"][0]["mountPath"]
    most = int(given["--maxmemory"].removesuffix("mb"))
    assert container["resources"]["limits"]["memory"] == f"{2 * most // 1024}Gi", "twice, while it rewrites its file"


def test_each_topic_has_three_copies_where_kafka_has_the_brokers() -> None:
    for name in SETS:
        (config,) = by_kind(objects(name), "ConfigMap", "mastery-engine")
        brokers = sum(one["spec"]["replicas"] for one in by_kind(objects(name), "StatefulSet", "kafka"))
        assert config["data"]["KAFKA_REPLICATION"] == ("3" if brokers == 0 else ""), name


@pytest.mark.parametrize("name", ["scaled", "large", "production"])
def test_what_is_not_allowed_on_the_network_is_denied(name: str) -> None:
    (deny,) = by_kind(objects(name), "NetworkPolicy", "deny-by-default")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert len(by_kind(objects(name), "NetworkPolicy")) >= 5


def test_the_grace_is_long_enough_for_what_is_under_way() -> None:
    (deployment,) = by_kind(plain(), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause + STOP_S + LONGEST_STOP_S


def test_the_alerts_of_the_operator_are_those_that_promtool_checks() -> None:
    (rule,) = by_kind(objects("monitored"), "PrometheusRule")
    assert rule["spec"]["groups"] == yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]


def test_dapr_knows_the_app_and_its_components() -> None:
    found = objects("dapr")
    (deployment,) = by_kind(found, "Deployment")
    noted = deployment["spec"]["template"]["metadata"]["annotations"]
    given = settings_given(found, "mastery-engine")
    assert noted["dapr.io/app-id"] == "mastery-engine"
    assert noted["dapr.io/app-port"] == given["PORT"]
    components = {one["metadata"]["name"]: one["spec"]["type"] for one in by_kind(found, "Component")}
    assert components == {
        given["DAPR_STATE_STORE"]: "state.redis",
        given["DAPR_PUBSUB"]: "pubsub.kafka",
        "secrets": "secretstores.kubernetes",
    }
    local = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "deploy/dapr").glob("*.yaml"))]
    assert {one["metadata"]["name"] for one in local} == components.keys()


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_is_whole(name: str) -> None:
    kinds = {one["kind"] for one in objects(name)}
    assert {"Namespace", "ConfigMap", "Service", "Deployment", "ServiceAccount"} <= kinds
    wanted = {
        "external": set(),
        "scaled": {"StatefulSet", "Secret", "HorizontalPodAutoscaler", "ScaledObject", "NetworkPolicy"},
        "large": {"StatefulSet", "Secret", "HorizontalPodAutoscaler", "ScaledObject", "NetworkPolicy"},
        "monitored": {"ServiceMonitor", "PrometheusRule", "StatefulSet"},
        "dapr": {"Component", "StatefulSet"},
        "production": {
            "HorizontalPodAutoscaler",
            "ScaledObject",
            "TriggerAuthentication",
            "PodDisruptionBudget",
            "NetworkPolicy",
            "ServiceMonitor",
            "PrometheusRule",
            "Ingress",
            "CronJob",
            "PersistentVolumeClaim",
        },
    }
    assert wanted[name] <= kinds


def test_the_backup_is_given_redis_and_no_other_secret() -> None:
    (job,) = by_kind(objects("production"), "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "mastery-engine"}}]
    secret = {"name": "mastery-engine", "key": "REDIS_HOST", "optional": True}
    assert container["env"] == [{"name": "REDIS_HOST", "valueFrom": {"secretKeyRef": secret}}]


def test_the_backup_script_takes_addresses_and_urls(tmp_path: Path) -> None:
    (job,) = by_kind(objects("production"), "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    *shell, script = container["command"]
    assert shell == ["sh", "-euc"]
    fake = tmp_path / "redis-cli"
    fake.write_text('#!/bin/sh\necho "$@" >> "$CALLS"\nfor last; do :; done\necho dump > "$last"\n')
    fake.chmod(0o755)
    old = tmp_path / "mastery-2020-01-01T000000Z.rdb"
    old.write_text("old")
    os.utime(old, (0, 0))
    for address in ("redis:6379", "rediss://:word@redis:6380"):
        given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "REDIS_HOST": address, "CALLS": str(tmp_path / "calls")}
        here = script.replace("/backup", str(tmp_path))
        subprocess.run([*shell, here], env=given, check=True, capture_output=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("-h redis -p 6379 --rdb ")
    assert calls[1].startswith("-u rediss://:word@redis:6380 --rdb ")
    assert list(tmp_path.glob("mastery-*.rdb"))
    assert not old.exists()
