"""The tutorials beside the scientist's are followed word for word: each by its shell, the teacher's on the pages."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.servers.cache import free_port
from tests.support.live import Live, environment, make_token
from tests.support.processes import ROOT
from tests.support.reader import blocks, follow

TUTORIALS = ROOT / "docs" / "tutorials"
CLASS = "py-101"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("tutorials")
    with Live(home / "data", home=home, LOG_LEVEL="WARNING") as started:
        yield started


def test_the_platform_engineers_leads_from_nothing_to_a_class(tmp_path: Path) -> None:
    port = str(free_port())
    given = environment(tmp_path / "none", {"PORT": port, "LOG_LEVEL": "WARNING"})
    printed = follow(TUTORIALS / "platform-engineer.md", f"http://127.0.0.1:{port}", given, tmp_path)
    assert f"The service at http://127.0.0.1:{port} is ready." in printed
    assert '"quiz":0.9' in printed
    assert '"cohort_id":"py-101"' in printed
    assert "There are no dead letters." in printed
    assert "service: http" in printed


def test_the_school_administrators_sets_up_a_school(live: Live, tmp_path: Path) -> None:
    given = environment(live.data_dir, live.settings)
    printed = follow(TUTORIALS / "school-administrator.md", live.url, given, tmp_path)
    assert "physics-7b: Physics, Europe/Madrid" in printed
    assert printed.count("students in classes: 1 added") == 2  # once tried, once done
    assert "secret: mes_" in printed
    assert "https://mastery.example.org/lti/register?invitation=" in printed
    assert "ada allows processing, not profiling." in printed
    assert "Erased at" in printed
    assert json.loads((tmp_path / "ada.json").read_text())["consent"]["profiling"] is False


def test_the_agent_builders_learns_who_needs_help_and_the_teachers_pages_say_the_same(
    live: Live, tmp_path: Path
) -> None:
    """Both in one test, since the class of the one is what the other looks at."""
    printed = follow(TUTORIALS / "agent-builder.md", live.url, environment(live.data_dir, live.settings), tmp_path)
    assert "'who_needs_help'" in printed
    assert "'size': 5" in printed or "'students': 5" in printed, printed
    assert '"cohort_id":"py-101"' in printed
    for sent in blocks(TUTORIALS / "agent-builder.md", "json"):
        assert json.loads(sent)["mcpServers"]["mastery"]["args"] == ["mcp"]

    text = (TUTORIALS / "teacher.md").read_text()
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", text))
    assert len(named) >= 12
    token = make_token("teacher", subject="hopper", cohorts=[CLASS])
    with live.client(token) as client:
        client.headers.pop("Authorization")
        shown = client.get("/dashboard", follow_redirects=True).text
        entered = client.post("/dashboard", data={"token": token}, headers={"Origin": live.url}, follow_redirects=True)
        assert entered.status_code == 200, entered.text
        shown += entered.text + client.get(f"/dashboard?cohort={CLASS}").text
        student, *_ = re.findall(r'href="(/dashboard/students/[^"]+)"', shown)
        shown += client.get(student.replace("&amp;", "&")).text
    missing = {one for one in named if one not in shown and one.replace("'", "&#39;") not in shown}
    assert missing <= {"Enter as teacher"}, "a door of the demo alone"
