"""Launches of a foreign platform in a real browser: in a frame on another site, without third-party cookies."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, Route, expect, sync_playwright

from scripts.pictures import ARGUMENTS
from scripts.servers import openedx
from scripts.servers.cache import command, free_port
from scripts.servers.openedx import OpenEdx
from tests.support.live import COMMAND, Live, environment
from tests.support.lti_platform import (
    ADMINISTRATOR,
    CLIENT,
    DEPLOYMENT,
    INSTRUCTOR,
    LEARNER,
    ForeignPlatform,
    Visitor,
    platform_at,
)
from tests.support.real_servers import RealServers

NO_THIRD_PARTIES = {"profile": {"cookie_controls_mode": 1, "block_third_party_cookies": True}}
WAIT_MS = 20_000
NO_COOKIES = {"profile": {"default_content_setting_values": {"cookies": 2}}}
# A frame that leaves its page's process, comes back into it and leaves again within one round trip, as a launch's does,
# is lost to Playwright 1.65: it forgets the new process with the old one, and sees no heading on a page that is there.
ONE_PROCESS = "--disable-site-isolation-trials"


@pytest.fixture(scope="module")
def foreign() -> Iterator[ForeignPlatform]:
    """The platform is at 127.0.0.1, the tool at localhost: two sites for a browser."""
    with platform_at("127.0.0.1") as platform:
        platform.people = {
            "ada": Visitor("42", "Ada Lovelace", LEARNER),
            "eve": Visitor("7", "Eve Example", INSTRUCTOR),
            "root": Visitor("1", "Ruth Root", ADMINISTRATOR),
        }
        yield platform


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, foreign: ForeignPlatform) -> Iterator[Live]:
    home, port = tmp_path_factory.mktemp("lti"), str(free_port())
    foreign.tool_url = f"http://localhost:{port}"
    with Live(home / "data", home=home, PORT=port, PUBLIC_URL=foreign.tool_url, LTI_ALLOW_PRIVATE="true") as server:
        connect(server, foreign.url, CLIENT, DEPLOYMENT, "auth")
        yield server


def connect(server: Live, url: str, client_id: str, deployment_id: str, auth: str) -> None:
    """As an operator does it, beside the running service."""
    words = ["--issuer", url, "--client-id", client_id, "--deployment-id", deployment_id]
    for option, path in (("--auth-url", auth), ("--token-url", "token"), ("--jwks-url", "keys")):
        words += [option, f"{url}/{path}"]
    given = environment(server.data_dir, server.settings)
    added = [*COMMAND, "lti", "add", *words, "--json"]
    done = subprocess.run(added, env=given, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["deployment_ids"] == [deployment_id]


@contextmanager
def browsing(real_servers: RealServers, home: Path, preferences: object) -> Iterator[BrowserContext]:
    """A browser of its own with these preferences."""
    path = real_servers.had("Chromium", lambda: command("chromium", packages=["chromium"]))
    (home / "Default").mkdir(parents=True)
    (home / "Default" / "Preferences").write_text(json.dumps(preferences))
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(home), executable_path=path, args=[*ARGUMENTS, ONE_PROCESS]
        )
        yield context
        context.close()


def course(page: Page, foreign: ForeignPlatform, who: str) -> None:
    page.goto(f"{foreign.url}/course?who={who}")


def check_heading(where: Page | FrameLocator, text: str) -> None:
    expect(where.get_by_role("heading", level=1)).to_have_text(text, timeout=WAIT_MS)


def test_everybody_sees_their_page_in_a_frame_without_third_party_cookies(
    real_servers: RealServers, live: Live, foreign: ForeignPlatform, tmp_path: Path
) -> None:
    with browsing(real_servers, tmp_path / "browser", NO_THIRD_PARTIES) as context:
        page = context.new_page()
        refused: list[str] = []
        page.on("console", lambda said: refused.append(said.text) if "Content Security" in said.text else None)
        for foreign.stores in (False, True):
            for who, heading in (("ada", "Welcome"), ("eve", "Your students"), ("root", "Your students")):
                course(page, foreign, who)
                frame = page.frame_locator("iframe")
                check_heading(frame, heading)
                expect(frame.get_by_role("link", name="Mastery Engine")).to_be_visible()
        frame.get_by_role("link", name="Ada Lovelace").or_(frame.get_by_text("Nothing is known yet")).first.wait_for()
        frame.get_by_role("link", name="Mastery Engine").click()
        check_heading(frame, "Your students")
        frame.get_by_role("button", name="Español").click()
        check_heading(frame, "Tus estudiantes")
        frame.get_by_role("link", name="Mastery Engine").click()
        check_heading(frame, "Tus estudiantes")
        course(page, foreign, "eve")
        check_heading(page.frame_locator("iframe"), "Tus estudiantes")
        frame.get_by_role("link", name="Accesibilidad").click()
        check_heading(frame, "Accesibilidad")
        tool = next(one for one in page.frames if one.url.startswith(foreign.tool_url))
        kept = tool.evaluate("() => { document.cookie = 'probe=1; SameSite=None; Secure'; return document.cookie; }")
        assert kept == "", "this browser takes third-party cookies, so that the test shows nothing"
        (cookie,) = [one for one in context.cookies() if one["name"] == "mastery_launch"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "None")
        assert not refused
        targets = context.new_cdp_session(page).send("Target.getTargets")["targetInfos"]
        assert "iframe" not in [target["type"] for target in targets], f"{ONE_PROCESS} means nothing to this browser"


def test_open_edx_launches_into_the_right_pages(
    real_servers: RealServers, live: Live, foreign: ForeignPlatform, tmp_path: Path
) -> None:
    """By the code of its own block."""
    with (
        real_servers.started("Open edX LTI Consumer", lambda: OpenEdx(foreign.tool_url)) as edx,
        browsing(real_servers, tmp_path / "browser", NO_THIRD_PARTIES) as context,
    ):
        connect(live, edx.url, openedx.CLIENT, openedx.DEPLOYMENT, "launch")
        page = context.new_page()
        for who, heading in (("student", "Welcome"), ("instructor", "Your students"), ("staff", "Your students")):
            page.goto(f"{edx.url}/course?who={who}")
            check_heading(page.frame_locator("iframe"), heading)


def test_the_platforms_storage_proves_a_sign_in_where_its_cookie_is_lost(
    real_servers: RealServers, live: Live, foreign: ForeignPlatform, tmp_path: Path
) -> None:
    foreign.stores = True
    with browsing(real_servers, tmp_path / "browser", NO_THIRD_PARTIES) as context:
        page = context.new_page()

        def lost(route: Route) -> None:
            context.clear_cookies()
            route.continue_()

        page.route("**/auth?*", lost)
        course(page, foreign, "ada")
        check_heading(page.frame_locator("iframe"), "Welcome")


def test_a_browser_without_any_cookies_comes_to_an_end(
    real_servers: RealServers, live: Live, foreign: ForeignPlatform, tmp_path: Path
) -> None:
    with browsing(real_servers, tmp_path / "browser", NO_COOKIES) as context:
        page = context.new_page()
        for foreign.stores in (True, False):
            course(page, foreign, "ada")
            frame = page.frame_locator("iframe")
            check_heading(frame, "Open in a new window")
        begun = len(foreign.asked)
        with context.expect_page() as opened:
            frame.get_by_role("link", name="Open it in a new window").click()
        check_heading(opened.value, "Cookies are needed")
        assert foreign.asked[begun:].count("auth") == 1, "nothing went round"
