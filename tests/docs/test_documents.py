"""The documents beside the README: settings and metrics both ways, links, the index of decisions, the backup."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import FieldInfo, fields
from prometheus_client import Counter

from mastery_engine.backends.sqlite.database import FILE_NAME
from mastery_engine.domain.courses.course import NO_COURSE, check_badges, setup_of
from mastery_engine.domain.courses.course_file import course_change_from
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.courses.curriculum import NO_CURRICULUM
from mastery_engine.domain.events.event import decode
from mastery_engine.domain.events.kinds import ALIASES, KINDS, Data
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, with_event
from mastery_engine.domain.moments import moment_of
from mastery_engine.domain.rules import Rules
from mastery_engine.settings import FIELD_OF, Settings
from mastery_engine.telemetry.metrics import Metrics
from tests.support.live import Live
from tests.support.processes import ROOT

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    section = OPERATIONS.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def settings_documented() -> dict[str, str]:
    """Each name with its default, as the table has them."""
    found: dict[str, str] = {}
    for names, defaults, *_ in table("Settings"):
        listed = re.findall(r"`([A-Z_]+)`", names)
        given = [one.strip() for one in defaults.split(",", len(listed) - 1)] if defaults else []
        found |= dict(zip(listed, [*given, *[""] * len(listed)], strict=False))
    return found


def test_every_setting_is_documented_and_every_documented_one_is_there() -> None:
    assert settings_documented().keys() == FIELD_OF.keys()


def test_the_documented_defaults_are_the_real_ones() -> None:
    for name, said in settings_documented().items():
        real = Settings.model_fields[FIELD_OF[name]].default
        if real in (None, ()) or name == "DATA_DIR":
            assert said not in ("true", "false"), name
            assert not said.isdigit(), name
        else:
            assert said == str(real).lower() if isinstance(real, bool) else said == str(real), name


def test_the_course_that_is_shown_can_be_put() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "courses.md").read_text(), re.MULTILINE | re.DOTALL)
    change = course_change_from(shown.encode())
    assert UNSET not in msgspec.structs.astuple(change), "the example shows every field"
    course = NO_COURSE.changed(change)
    check_badges(setup_of(CourseKey("default", "physics-7b"), 1, course, Rules(), NO_CURRICULUM))


def test_every_metric_is_documented_with_its_labels_and_every_documented_one_is_there() -> None:
    documented = {}
    for name, labels, *_ in table("Metrics"):
        documented[name.strip("`")] = tuple(label.strip() for label in labels.split(",") if label.strip())
    registered: list[Any] = list(Metrics().registry._collector_to_names)
    real = {
        f"{metric._name}_total" if isinstance(metric, Counter) else metric._name: tuple(metric._labelnames)
        for metric in registered
    }
    assert documented == real


def test_every_kind_of_event_is_documented_with_its_names_and_fields() -> None:
    text = (ROOT / "docs" / "events.md").read_text()
    documented = {}
    for line in text.partition("## Kinds\n")[2].partition("\n## ")[0].splitlines():
        if line.startswith("| `"):
            names, fields, _ = line.strip("|").split("|")
            kind, *others = re.findall(r"`([a-z._]+)`", names)
            documented[kind] = (others, re.findall(r"`([a-z_]+)`(\??)", fields))
    assert documented == {
        kind: (
            [alias for alias, of in ALIASES.items() if of == kind],
            [(field.name, "" if field.required else "?") for field in sorted_as(documented[kind][1], data)],
        )
        for kind, data in KINDS.items()
    }
    received = moment_of(datetime(2026, 1, 17, tzinfo=UTC))
    marked, corrected = (
        decode(sent.encode(), received=received) for sent in re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    )
    for order in ((marked, corrected), (corrected, marked)):
        evidence = NO_EVIDENCE
        for one in order:
            evidence = with_event(evidence, one, Rules())
        assert evidence.quiz.mean(0) == pytest.approx(0.9)


def sorted_as(said: list[tuple[str, str]], data: type[Data]) -> list[FieldInfo]:
    """The fields of a kind in the order in which they are documented; those that are not, after them."""
    places = {name: place for place, (name, _) in enumerate(said)}
    return sorted(fields(data), key=lambda field: places.get(field.name, len(places)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(document: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_index_lists_every_decision() -> None:
    index = (ROOT / "docs" / "architecture-decisions.md").read_text()
    for record in (ROOT / "docs" / "decisions").glob("*.md"):
        assert f"(decisions/{record.name})" in index
        text = record.read_text().lower()
        for part in ("decision", "cost"):
            assert part in text, f"{record.name} says nothing of its {part}"


def test_the_paths_that_documents_name_are_there() -> None:
    pattern = r"`((?:src|tests|scripts|docs|specs)/[\w./-]+)`"
    for document in DOCUMENTS:
        if document.name == "CHANGELOG.md":
            continue
        for named in re.findall(pattern, document.read_text()):
            assert (ROOT / named).exists(), f"{document.name}: {named}"


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "keepachangelog.com" in text
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0].strip("[]").startswith("Unreleased")
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_data_flow_is_drawn() -> None:
    assert (ROOT / "docs" / "data-flow-diagrams.md").read_text().count("```mermaid") >= 2


def test_the_backup_of_a_running_service_can_be_restored(tmp_path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3 program here")
    (command,) = re.findall(r'^(sqlite3 "\$DATA_DIR.*)$', OPERATIONS, re.MULTILINE)
    body = {"student_id": "student_12345", "components": {"quiz": 0.5}}
    with Live(tmp_path / "data", home=tmp_path) as live, live.client() as client:
        assert client.post("/mastery/calculate", json=body).status_code == 200
        given = {**os.environ, "DATA_DIR": str(live.data_dir)}
        subprocess.run(["bash", "-c", command], cwd=tmp_path, env=given, check=True)
    (tmp_path / "restored").mkdir()
    (tmp_path / "mastery-backup.db").rename(tmp_path / "restored" / FILE_NAME)
    with Live(tmp_path / "restored", home=tmp_path) as live, live.client() as client:
        answer = client.post("/mastery/query", json={"student_id": "student_12345"})
        assert answer.json()["data"]["current_mastery"]["components"]["quiz"] == 0.5
