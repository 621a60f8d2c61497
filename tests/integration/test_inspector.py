"""The official inspector of MCP as a client, over HTTP and over stdio."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.servers.npm import npm_packages
from tests.support.calls import STUDENT, event
from tests.support.live import Live, environment, make_token
from tests.support.processes import ROOT
from tests.support.real_servers import RealServers

PACKAGE, VERSION = "@modelcontextprotocol/inspector", "2.12.0"


@pytest.fixture(scope="module")
def inspector(real_servers: RealServers) -> Path:
    """Its command; where node is missing this is skipped loudly, in CI failed."""

    def fetched() -> Path:
        return npm_packages("mcp-inspector", **{PACKAGE: VERSION}) / "node_modules" / ".bin" / "mcp-inspector"

    return real_servers.had(f"MCP inspector {VERSION}", fetched)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("inspected")
    with Live(home / "data", home=home) as server:
        yield server


def inspected(inspector: Path, home: Path, *arguments: str) -> tuple[int, Any]:
    """Its exit code, and what it printed."""
    done = subprocess.run(
        ["node", str(inspector), "--cli", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env={**environment(home, {}), "HOME": str(home)},
        cwd=home,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_over_http_it_lists_the_tools_and_records_an_event(inspector: Path, live: Live, tmp_path: Path) -> None:
    bearer = f"Authorization: Bearer {make_token('service')}"
    there = [f"{live.url}/mcp", "--transport", "http", "--header", bearer]
    code, listed = inspected(inspector, tmp_path, *there, "--method", "tools/list")
    assert code == 0
    assert {"list_classes", "find_student", "next_items", "explain_change"} <= {one["name"] for one in listed["tools"]}
    sent = json.dumps([event("quiz")])
    how = ["--method", "tools/call", "--tool-name", "ingest_events", "--tool-arg", f"events={sent}"]
    code, taken = inspected(inspector, tmp_path, *there, *how)
    assert (code, taken["structuredContent"]["accepted"]) == (0, 1)


def test_over_stdio_it_reads_a_refusal(inspector: Path, tmp_path: Path) -> None:
    how = ["-e", f"MASTERY_TOKEN={make_token('student', subject=STUDENT)}"]
    how += [f"-e{name}={value}" for name, value in environment(tmp_path, {}).items()]
    ask = ["--method", "tools/call", "--tool-name", "get_mastery", "--tool-arg", "student_id=another", "course_id=null"]
    command = ["--", sys.executable, "-m", "mastery_engine", "mcp"]
    code, refused = inspected(inspector, tmp_path, *how, "--cwd", str(ROOT), *ask, *command)
    assert (code, refused["isError"]) == (5, True)
    assert "FORBIDDEN: You may not see this student." in refused["content"][0]["text"]
