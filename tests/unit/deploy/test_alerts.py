"""The alert rules and dashboards: promtool's word on them, and that they ask for metrics that are there."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mastery_engine.telemetry.metrics import Metrics
from scripts.servers.cache import Unavailable
from scripts.servers.prometheus import promtool
from tests.support.calls import event, serving

ROOT = Path(__file__).parents[3]
RULES_FILE = ROOT / "deploy" / "prometheus" / "rules.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES_FILE.read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
DASHBOARDS = {file.stem: json.loads(file.read_text()) for file in (ROOT / "deploy" / "grafana").glob("*.json")}
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
KEY_FIGURES = {"MasterySlowAnswers", "MasterySlowCalculations", "MasteryLag", "MasteryUnavailable"}


def expressions() -> list[str]:
    asked = [
        target["expr"] for board in DASHBOARDS.values() for panel in board["panels"] for target in panel["targets"]
    ]
    return [*[rule["expr"] for rule in RULES], *asked]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("arguments", [["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]])
def test_promtool_approves(arguments: list[str]) -> None:
    try:
        program = promtool()
    except Unavailable as unavailable:
        pytest.skip(f"no promtool: {unavailable}")
    done = subprocess.run([program, *arguments], cwd=RULES_FILE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_tests_of_the_rules_leave_no_alert_out() -> None:
    tested = yaml.safe_load((RULES_FILE.parent / "rules_test.yaml").read_text())["tests"]
    fired = {one["alertname"] for test in tested for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == ALERTS.keys()


def test_each_alert_has_its_chapter_and_each_chapter_its_alert() -> None:
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        chapter = RUNBOOKS.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\*\*(Means|Look|Do)\*\*", chapter, re.MULTILINE) == ["Means", "Look", "Do"], name
        assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(re.findall(r"^## (Mastery\w+)$", RUNBOOKS, re.MULTILINE)) == ALERTS.keys()


def test_the_four_key_figures_are_alerts_with_objectives() -> None:
    assert {name for name, rule in ALERTS.items() if "objective" in rule["labels"]} == KEY_FIGURES


def test_dashboards_are_whole() -> None:
    assert len(DASHBOARDS) == 2
    for board in DASHBOARDS.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"])
    assert len({board["uid"] for board in DASHBOARDS.values()}) == 2


async def test_every_metric_that_is_asked_for_is_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        await api.learn(event("quiz"))
        await api.query()
        shown = (await api.get("/metrics", token="")).text
    there = set(re.findall(r"^# TYPE (\S+) ", shown, re.MULTILINE))
    there |= {f"{name}_{end}" for name in there for end in ("bucket", "sum", "count")}
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    for expression in expressions():
        for name in re.findall(r"\bmastery:[a-z0-9_:]+", expression):
            assert name in recorded, expression
        asked = re.findall(r"\bmastery_\w+", expression)
        assert asked or "mastery:" in expression
        assert set(asked) <= there, expression


async def test_the_labels_that_are_asked_for_are_there() -> None:
    known = {label for metric in Metrics().registry._collector_to_names for label in getattr(metric, "_labelnames", ())}
    for expression in expressions():
        for label in re.findall(r"[{,]\s*(\w+)\s*[=!]~?=?\"", expression):
            assert label in known, expression
