"""What the quickstart and the runbooks show in ``bash`` is run; what else they name is there."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import Live, environment
from tests.support.processes import ROOT

QUICKSTART = (ROOT / "specs" / "003-mastery-engine" / "quickstart.md").read_text()
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
BADGES = (ROOT / "docs" / "badges.md").read_text()
GUIDES = {"quickstart": QUICKSTART, "runbooks": RUNBOOKS, "operations": OPERATIONS, "badges": BADGES}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("guides")
    with Live(home / "data", home=home, LOG_LEVEL="WARNING", PUBLIC_URL="https://mastery.school.example") as started:
        yield started


def blocks(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(script: str, live: Live, folder: Path) -> str:
    here = script.replace("http://localhost:8005", live.url).replace("deploy/", f"{ROOT}/deploy/")
    given = environment(live.data_dir, live.settings)
    given["PATH"] = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    engine = folder / "mastery-engine"
    engine.write_text(f'#!/bin/sh\nexec {sys.executable} -m mastery_engine "$@"\n')
    engine.chmod(0o755)
    command = ["bash", "-euo", "pipefail", "-c", here]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_quickstart_leads_to_a_students_mastery(live: Live, tmp_path: Path) -> None:
    """All its blocks one after another, in one shell, as a reader would."""
    wanted = [one for one in blocks(QUICKSTART) if "kubectl" not in one]
    assert len(wanted) == 5
    printed = run("\n".join(wanted), live, tmp_path)
    assert '"status":"processed"' in printed
    assert '"mastery_score":0.862' in printed
    assert printed.count('"success":true') >= 6


def test_the_examples_of_the_runbooks_run(live: Live, tmp_path: Path) -> None:
    assert len(blocks(RUNBOOKS)) >= 3
    for block in blocks(RUNBOOKS):
        run(block, live, tmp_path)


def test_a_badge_is_had_as_its_page_says(live: Live, tmp_path: Path) -> None:
    course, ask, verify, rotate = blocks(BADGES)
    course, ask = (f"export JWT_TOKEN=$(mastery-engine token)\n{one}" for one in (course, ask))
    run(course, live, tmp_path)
    with live.client() as client:
        whole = {"completion": 1.0, "quiz": 1.0, "quality": 1.0, "consistency": 1.0}
        client.post("/mastery/calculate", json={"student_id": "student_12345", "components": whole})
        for _ in range(200):
            found = run(ask, live, tmp_path)
            if '"badges":[{' in found:
                break
            time.sleep(0.05)
        (badge,) = json.loads(found)["data"]["badges"]
        assert badge["title"] == "Python"
        (tmp_path / "badge.png").write_bytes(client.get(f"/badges/{badge['badge_id']}.png").content)
    assert "The badge is good." in run(verify, live, tmp_path)
    assert "Badges are signed by" in run(rotate, live, tmp_path)
    assert "The badge is good." in run(verify, live, tmp_path)


def test_the_overlay_of_the_quickstart_can_be_rendered(live: Live, tmp_path: Path) -> None:
    (block,) = [one for one in blocks(QUICKSTART) if "kubectl" in one]
    if subprocess.run(["which", "kubectl"], capture_output=True, check=False).returncode:
        pytest.skip("no kubectl here")
    assert int(run(block, live, tmp_path)) > 15


def test_the_commands_of_the_engine_that_guides_name_are_there() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "mastery_engine", "--help"], capture_output=True, text=True, check=True
    )
    for name, text in GUIDES.items():
        for command in re.findall(r"(?:^|`|-- |\()mastery-engine ([a-z]+)\b", text, re.MULTILINE):
            assert re.search(rf"^  {command} ", shown.stdout, re.MULTILINE), f"{name}: {command}"


def test_every_line_of_the_production_checklist_has_a_command() -> None:
    section = OPERATIONS.partition("## Production checklist\n")[2]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 9
    assert all("`" in row.split("|")[2] + row.split("|")[3] for row in rows)


def test_the_paths_of_deploy_and_k8s_that_documents_name_are_there() -> None:
    for name, text in GUIDES.items():
        for path in re.findall(r"`?\b((?:deploy|k8s)/[\w./-]*\w)", text):
            if "/NAME" not in path:
                assert (ROOT / path).exists(), f"{name}: {path}"
