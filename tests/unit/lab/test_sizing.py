"""What many events and students need, on paper: the plan follows the demand; document and deployment follow it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mastery_engine.errors import InvalidInput
from mastery_engine.lab.bench.document import BEGIN, END, parted
from mastery_engine.lab.bench.measures import shown
from mastery_engine.lab.bench.sizing import (
    BYTES,
    Assumptions,
    Demand,
    Measured,
    Plan,
    on_paper,
    planned,
    rows_of,
    with_plan,
)

ROOT = Path(__file__).parents[3]
_, SAID, _ = parted((ROOT / "docs" / "scale.md").read_text())
DEPLOY = ROOT / "deploy" / "kubernetes"


def measured_in_the_document() -> tuple[Measured, str]:
    worker, when = re.findall(r"^- ([\d.]+) µs of a worker's processor time .*\((.*)\);$", SAID, re.MULTILINE)[0]
    [document] = re.findall(r"have ([\d,]+) bytes", SAID)
    return Measured(worker=float(worker), document=int(document.replace(",", ""))), when


def plan_of_the_document() -> Plan:
    return planned(Demand(), measured_in_the_document()[0], Assumptions())


def test_twice_the_events_need_twice_the_workers_and_more_students_more_memory_alone() -> None:
    measured, given = Measured(worker=120.0, document=3_300), Assumptions()
    one, two = (planned(Demand(events=events), measured, given) for events in (50_000, 100_000))
    assert (one.workers, two.workers) == (10, 20)
    assert (one.partitions, two.partitions) == (20, 40)
    assert one.brokers == two.brokers == 3, "as many as there are replicas"
    assert two.disk_gib > one.disk_gib
    larger = planned(Demand(events=50_000, students=20_000_000), measured, given)
    assert (larger.workers, larger.disk_gib) == (one.workers, one.disk_gib)
    assert larger.redis_gib > 3.9 * one.redis_gib
    assert larger.shards > one.shards
    assert larger.shard_gbit_s < one.shard_gbit_s
    assert larger.dollars > one.dollars


def test_partitions_are_in_tens_so_that_a_little_more_work_needs_no_other_topic() -> None:
    plans = [planned(Demand(), Measured(worker=worker, document=3_000), Assumptions()) for worker in (127, 150, 151)]
    assert [(plan.workers, plan.partitions) for plan in plans] == [(22, 50), (25, 50), (26, 60)]


def test_the_document_has_the_plan_of_what_it_says_was_measured() -> None:
    assert on_paper(*measured_in_the_document()) == SAID, "mastery-engine bench scale --workers --into docs/scale.md"


def test_what_is_measured_anew_replaces_the_plan_alone() -> None:
    lines = [shown("class", "an event", "µs", [89.6]), shown("class", BYTES, "bytes", [2_500.0])]
    document = with_plan(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n", "Monday", lines)
    given = Measured(worker=90, document=2_500)
    assert document == f"Before.\n{BEGIN}\n{on_paper(given, 'Monday')}{END}\nAfter.\n"
    for what, value, _ in rows_of(Demand(), given, Assumptions(), planned(Demand(), given, Assumptions())):
        assert f"| {what} | {value:,} |" in document
    with pytest.raises(InvalidInput, match="needs a line"):
        with_plan("", "Monday", lines)


def patches(path: Path) -> dict[str, Any]:
    """What the manifests of a file, or a kustomization's patches, say by kind and name."""
    documents = list(yaml.safe_load_all(path.read_text()))
    if "patches" in documents[0]:
        documents = [yaml.safe_load(one["patch"]) for one in documents[0]["patches"]]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents}


def test_the_large_overlay_has_what_the_plan_needs_and_not_twice_of_it() -> None:
    plan, large = plan_of_the_document(), patches(DEPLOY / "overlays" / "large" / "kustomization.yaml")
    scaling = patches(DEPLOY / "components" / "apart" / "scaling.yaml")
    partitions = int(large["ConfigMap/mastery-engine"]["data"]["KAFKA_PARTITIONS"])
    assert plan.partitions <= partitions <= 2 * plan.partitions
    workers = large["ScaledObject/mastery-engine-worker"]["spec"]
    assert workers["minReplicaCount"] < plan.workers < workers["maxReplicaCount"] == partitions
    [container] = large["Deployment/mastery-engine-worker"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "1"
    calls = (scaling | large)["HorizontalPodAutoscaler/mastery-engine"]["spec"]
    assert calls["minReplicas"] <= plan.api <= calls["maxReplicas"]
    said = (DEPLOY / "overlays" / "large" / "kustomization.yaml").read_text().split("apiVersion")[0]
    assert re.findall(r"up to (\d+) workers of a core each on (\d+)\s", said) == [(str(partitions),) * 2]
