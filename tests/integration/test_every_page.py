"""The pages that nobody stays on: doors, refusals, dead letters, badges, launches, own data; and the page of examples.

In three languages each, in a real browser: by geometry, contrast, keyboard, zoom, spacing, forced colours, and axe.
"""

import re
from collections.abc import Callable, Iterator
from contextvars import Context

import pytest
from playwright.sync_api import Browser, Page, Route
from starlette.requests import Request

from mastery_engine.http.dashboard.templates import page as rendered
from mastery_engine.http.dashboard.words import LANGUAGES, RIGHT_TO_LEFT, speak
from scripts.class_at_work import ClassAtWork
from scripts.words import sentences
from tests.support.browsing import check_axe, check_contrast, check_geometry, check_keyboard, chromium
from tests.support.real_servers import RealServers

pytestmark = pytest.mark.xdist_group("class at work")

ENGLISH = [one.id for one in sentences() if isinstance(one.id, str) and " " in one.id and "%" not in one.id]
OWN_WORDS = """() => {
  const main = document.querySelector("main").cloneNode(true);
  for (const one of main.querySelectorAll("[lang=en]")) one.remove();
  return main.textContent;
}"""
LETTERS = "/dashboard/dead-letters?code=VALIDATION_ERROR"
PAGES: dict[str, tuple[str, str]] = {
    "doors": ("", "/dashboard"),
    "examples": ("", "/dashboard/design"),
    "accessibility": ("stuck", "/dashboard/accessibility"),
    "own data": ("stuck", "/dashboard/my-data"),
    "dead letters": ("operator", LETTERS),
    "a question": ("operator", f"{LETTERS}&redrive=1"),
    "400": ("operator", "/dashboard/dead-letters"),
    "403": ("stuck", "/dashboard/students/student_20001"),
    "404": ("teacher", "/dashboard/nothing"),
    "no launch": ("", "/lti/launch"),
    "a badge": ("", "/badges/"),
    "no badge": ("", "/badges/default.none"),
}
LAUNCHES: dict[str, dict[str, object]] = {
    "lti_choice.html": {"choice": "c", "pages": [("progress", ""), ("class", ""), ("next", "")]},
    "lti_login.html": dict.fromkeys(("url", "target", "origin", "key", "proof"), "https://lms.example/auth"),
    "lti_proof.html": dict.fromkeys(("token", "state", "target", "origin", "key", "again"), "https://lms.example/x"),
    "lti_registered.html": {"issuer": "https://lms.example", "client_id": "mastery-engine-at-the-school-7"},
    "lti_return.html": {"url": "https://lms.example/back", "token": "t"},
    "lti_window.html": {"again": "https://school.example/lti/login"},
}


@pytest.fixture(scope="module")
def browser(class_at_work: ClassAtWork, real_servers: RealServers) -> Iterator[Browser]:
    with chromium(real_servers) as started:
        yield started


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def look(page: Page, where: str, url: str, opened: Callable[[str], None]) -> None:
    """At the page in each language; ``opened`` opens it in one."""
    for language in LANGUAGES:
        page.context.add_cookies([{"name": "mastery_language", "value": language, "url": url}])
        opened(language)
        said = f"{where} in {language}"
        html = page.locator("html")
        direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
        assert (html.get_attribute("lang"), html.get_attribute("dir")) == (language, direction), said
        assert page.locator("h1").count() == 1, said
        if language != "en":
            shown = " ".join(page.evaluate(OWN_WORDS).split())
            assert not [one for one in ENGLISH if one in shown], said
        check_geometry(page, said)
        check_contrast(page, said)
        if language == "ar":
            page.set_viewport_size({"width": 360, "height": 800})
            page.emulate_media(color_scheme="dark")
            check_axe(page, said)
        if language == "en":
            page.set_viewport_size({"width": 1_280, "height": 800})
            check_axe(page, said)
            check_keyboard(page, said)


@pytest.mark.parametrize("where", PAGES)
def test_a_page_is_whole_and_for_everybody(class_at_work: ClassAtWork, page: Page, where: str) -> None:
    door, path = PAGES[where]
    if where == "a badge":
        badges = class_at_work.call("GET", "/students/student_20001/badges").json()["data"]["badges"]
        path = badges[0]["url"].removeprefix(class_at_work.url)
    page.context.clear_cookies()
    if door:
        session = {"name": "mastery_session", "value": class_at_work.doors[door].token, "url": class_at_work.url}
        page.context.add_cookies([session])  # type: ignore[list-item]
    look(page, where, class_at_work.url, lambda _: page.goto(f"{class_at_work.url}{path}") and None)


@pytest.mark.parametrize("name", LAUNCHES)
def test_a_page_of_a_launch_is_whole_and_for_everybody(class_at_work: ClassAtWork, page: Page, name: str) -> None:
    """As its template makes it, without the script that goes on by itself."""
    address = f"{class_at_work.url}/lti/shown"

    def made(request: Request) -> bytes:
        speak(request)
        return bytes(rendered(name, None, **LAUNCHES[name]).body)

    def opened(language: str) -> None:
        headers = [(b"accept-language", language.encode()), (b"host", b"localhost")]
        asked = {"type": "http", "method": "GET", "path": "/lti/shown", "query_string": b"", "headers": headers}
        html = re.sub(rb"<script.*?</script>", b"", Context().run(made, Request(asked)))

        def answer(route: Route) -> None:
            route.fulfill(body=html, content_type="text/html")

        page.unroute_all()
        page.route("**/lti/shown", answer)
        page.goto(address)

    look(page, name, class_at_work.url, opened)
    page.unroute_all()
