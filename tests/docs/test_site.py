"""The documentation site: it can be built, its search finds all that there is, no page needs another host."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from typer.main import get_command

from mastery_engine.cli import app
from mastery_engine.settings import FIELD_OF
from scripts.servers.cache import command as program
from scripts.site.reference import reference
from tests.support.processes import ROOT
from tests.support.real_servers import RealServers

OPENAPI = ROOT / "specs" / "003-mastery-engine" / "contracts" / "openapi.json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.site", str(out)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def index(site: Path) -> dict[str, Any]:
    """The index that the search reads in a browser."""
    text = (site / "searchindex.js").read_text()
    found: dict[str, Any] = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    return found


def headings(index: dict[str, Any]) -> set[str]:
    """What the search offers by its title, in small letters as it compares them."""
    return {title.lower() for title in index["alltitles"]}


def commands(group: Any, path: str) -> set[str]:
    found: set[str] = set()
    for name, command in group.commands.items():
        words = f"{path} {name}"
        found |= commands(command, words) if hasattr(command, "commands") else {words}
    return found


def test_the_search_finds_every_command_setting_call_tool_and_metric(index: dict[str, Any]) -> None:
    calls = {
        f"{method} {address}"
        for address, operations in json.loads(OPENAPI.read_text())["paths"].items()
        for method in operations
        if method in ("get", "put", "post", "delete", "head", "patch")
    }
    pages = dict(reference(ROOT))
    tools = set(re.findall(r"^## (\w+)$", pages["mcp"], re.MULTILINE))
    metrics = set(re.findall(r"`(mastery_\w+)` \|", (ROOT / "docs" / "operations.md").read_text()))
    every = commands(get_command(app), "mastery-engine") | set(FIELD_OF) | calls | tools | metrics
    assert len(tools) >= 16
    assert "mastery-engine dlq redrive" in every
    found = headings(index)
    assert sorted(one for one in every if one.lower() not in found) == []


def test_every_tutorial_page_and_public_name_of_the_client_is_in_it(index: dict[str, Any]) -> None:
    documents = set(index["docnames"])
    pages = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= documents
    assert {"MasteryClient", "AsyncMasteryClient", "MasteryError"} <= set(index["alltitles"])


def test_no_page_needs_another_host(site: Path) -> None:
    """Links may lead elsewhere; what a page loads may not."""
    loads = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"(?:https?:)?//|<link[^>]+href=\"(?:https?:)?//")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    assert [str(page) for page in pages if loads.search(page.read_text())] == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"@import|url\([\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_a_browser_without_a_network_finds_and_shows_it_to_everybody(site: Path, real_servers: RealServers) -> None:
    """From a folder: the search as a reader uses it, and axe on a page of each kind, light and dark."""
    path = real_servers.had("Chromium", lambda: program("chromium", packages=["chromium"]))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(offline=True)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for wanted in ("GDPR_RETENTION_DAYS", "mastery-engine dlq redrive", "who_needs_help"):
            page.goto(f"{(site / 'search.html').as_uri()}?q={quote(wanted)}")
            found_here = page.locator("#search-results li:nth-child(-n + 3) a", has_text=wanted).first
            expect(found_here).to_be_visible(timeout=30_000)
        found_here.click()
        expect(page.locator("h1")).to_contain_text("Tools for agents")
        for shown in ("index", "tutorials/platform-engineer", "reference/settings", "operations"):
            page.goto((site / f"{shown}.html").as_uri())
            for theme in ("light", "dark"):
                page.evaluate("theme => { document.body.dataset.theme = theme }", theme)
                found = Axe().run(page)
                assert found.violations_count == 0, f"{shown}, {theme}: {found.generate_report()}"
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_a_link_that_leads_nowhere_fails(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text((ROOT / "docs" / "conf.py").read_text().replace('"furo"', '"basic"'))
    (tmp_path / "index.md").write_text("# Home\n\n[nowhere](nowhere.md)\n")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", str(tmp_path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
