"""The dashboard in a real browser."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from tests.support.browsing import chromium
from tests.support.calls import STUDENT, event
from tests.support.live import Live, bearer, make_token
from tests.support.real_servers import RealServers

OTHER = "student_2"
STUDENT_TOKEN = make_token("student", subject=STUDENT)
CLASS = ["student_4", "student_5", "student_6"]
CLASS_TOKEN = make_token("teacher", subject="ada", cohorts=["py-101", "py-102", "nobody-named-it"])
TEACHER_TOKEN = make_token("teacher", subject="ada", students=[STUDENT, OTHER, "student_3"])
NOTE_THE_CHANGE = """() => {
  const score = document.getElementById("score").textContent;
  window.changedAt = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
      if (document.getElementById("score").textContent === score) return;
      observer.disconnect();
      resolve(Date.now());
    }).observe(document.querySelector("main"), {childList: true});
    setTimeout(() => resolve(Infinity), 10000);
  });
}"""


@pytest.fixture(scope="module")
def browser(real_servers: RealServers) -> Iterator[Browser]:
    with chromium(real_servers) as started:
        yield started


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("dashboard")
    with Live(home / "data", home=home, PUBLIC_URL="https://mastery.school.example") as server:
        with server.client() as client:
            events = [event("quiz", days_ago=day, correct_answers=10 - day // 3) for day in range(20, 0, -1)]
            events += [event("completion", days_ago=1), event("answer"), event("answer", skills=["functions"])]
            events += [event("quiz", student_id=OTHER, correct_answers=1, days_ago=12)]
            events += [event("quiz", student_id=one, correct_answers=8) for one in CLASS]
            ids = [receipt["event_id"] for receipt in _sent(client, events)]
            _wait_for(client, CLASS[-1], ids[-1])
            client.put("/cohorts/py-101", json={"name": "Python 101", "members": [STUDENT, OTHER, *CLASS]})
            client.put("/cohorts/py-102", json={"name": "Python 102", "members": CLASS[1:]})
        yield server


def _sent(client: httpx.Client, events: list[dict[str, object]]) -> list[dict[str, str]]:
    answer = client.post("/mastery/ingest/batch", json={"events": events}).json()["data"]
    assert answer["refused"] == 0, answer
    results: list[dict[str, str]] = answer["results"]
    return results


def _wait_for(client: httpx.Client, student_id: str, event_id: str) -> None:
    for _ in range(500):
        if client.get(f"/students/{student_id}/events/{event_id}").json()["data"]["status"] == "processed":
            return
    raise AssertionError("the event was not processed")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert not [text for text in said if "Content Security Policy" in text or "Permissions-Policy" in text], said


def sign_in(page: Page, live: Live, token: str) -> None:
    """With the keyboard alone."""
    page.goto(f"{live.url}/dashboard")
    page.keyboard.press("Tab")
    for _ in range(9):
        if page.evaluate("document.activeElement.id") == "token":
            break
        page.keyboard.press("Tab")
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    page.wait_for_selector("button:has-text('Sign out')")


CLIPPED = (Path(__file__).parents[1] / "support" / "clipped.js").read_text()
SIZES = ((360, "dark"), (768, "light"), (1280, "light"))


def choose(page: Page, language: str) -> None:
    """By the page's own buttons; a badge's page has none, and goes by what the browser asks for."""
    if page.locator("footer").count():
        page.locator(f"footer button[value={language}]").press("Enter")
    else:
        page.set_extra_http_headers({"Accept-Language": language})
        page.reload()
    expect(page.locator("html")).to_have_attribute("lang", language)


def check_without_loading(page: Page, name: str) -> None:
    """As ``check``, in the page's own language alone, so that what was typed stays."""
    for width, scheme in SIZES:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        assert page.evaluate(CLIPPED) == [], (name, width)
        if pictures := os.environ.get("PICTURES"):
            page.screenshot(path=Path(pictures) / f"{name}-{width}.png", full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def check(page: Page, name: str) -> None:
    """In three languages and sizes nothing is clipped and nothing overlaps; axe finds nothing; under 100 KB.

    ``PICTURES`` keeps what it looks like.
    """
    pictures = os.environ.get("PICTURES")
    for language in ("ar", "es", "en"):
        choose(page, language)
        for width, scheme in SIZES:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, language, width)
            assert page.evaluate(CLIPPED) == [], (name, language, width)
            if (language, width) in (("ar", 360), ("en", 1280)):
                found = Axe().run(page)
                assert found.violations_count == 0, found.generate_report()
            if pictures:
                page.screenshot(path=Path(pictures) / f"{name}-{language}-{width}.png", full_page=True)
    assert len(page.content()) < 100_000


def test_a_student_sees_an_event_within_two_seconds(live: Live, page: Page) -> None:
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    sign_in(page, live, STUDENT_TOKEN)
    assert page.locator("h1").inner_text() == "Hello!"
    check(page, "student")
    page.locator("#t-history summary").press("Enter")
    with live.client() as client:
        for share in (1.0, 0.0, 1.0):  # the mean of them moves each time
            page.evaluate(NOTE_THE_CHANGE)
            data = dict.fromkeys(("code_quality_score", "correctness_score", "efficiency_score"), share)
            _sent(client, [event("quality", **data)])
            answered = time.time()
            assert page.evaluate("() => window.changedAt") / 1_000 - answered < 2.0
    assert page.locator("#t-history").get_attribute("open") is not None
    expect(page.locator("#t-history summary")).to_be_focused()
    assert page.locator("#told").inner_text().startswith("The page has changed: ")
    assert not faults


def test_a_page_that_is_refused_because_too_many_ask_is_asked_for_again(live: Live, page: Page) -> None:
    sign_in(page, live, STUDENT_TOKEN)
    address = page.url
    asked: list[str] = []

    def busy_once(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503) if len(asked) == 1 else route.continue_()

    page.route(address, busy_once)
    with live.client() as client:
        _sent(client, [event("execution")])
    expect(page.locator("#told")).to_contain_text("The page has changed", timeout=10_000)
    assert asked == [address, address]


def test_the_map_opens_by_module_on_a_phone_and_the_history_is_read_by_keys(live: Live, page: Page) -> None:
    sign_in(page, live, STUDENT_TOKEN)
    skill = page.locator("[data-skill=loops]")
    expect(skill).to_be_visible()
    assert "Loops with for and while" in skill.inner_text()
    assert skill.get_attribute("data-state") == "begun"
    page.set_viewport_size({"width": 360, "height": 900})
    expect(skill).to_be_hidden()
    page.locator("details.module", has=page.locator("[data-skill=loops]")).locator("summary").press("Enter")
    expect(skill).to_be_visible()
    chart = page.get_by_role("slider")
    chart.press("Home")
    first = chart.get_attribute("aria-valuetext")
    expect(page.locator(".reading")).to_have_text(first or "")
    chart.press("ArrowRight")
    assert chart.get_attribute("aria-valuetext") != first
    chart.press("End")
    assert "between" in page.locator(".reading").inner_text(), "the forecast has its band"
    assert page.locator(".band").count() == 1
    page.locator("#t-history summary").press("Enter")
    ahead = page.locator("#t-history tr[data-ahead]")
    assert ahead.count() == 7
    assert re.search(r"\d+% \(\d+% to \d+%\)", ahead.first.inner_text())
    assert page.locator(".next a.button").get_attribute("href"), "the next step is one click away"
    page.emulate_media(media="print")
    expect(page.locator("[data-skill=variables]")).to_be_visible()


OLD_BROWSER = """() => {
  const known = CSS.supports.bind(CSS);
  CSS.supports = (asked, ...more) => !String(asked).includes("details-content") && known(asked, ...more);
}"""


def test_older_browsers_open_the_modules_by_script(live: Live, page: Page) -> None:
    """As one that cannot show a closed part by style: so the styles for those that can are taken out, too."""
    page.add_init_script(f"({OLD_BROWSER})()")
    styled = httpx.get(f"{live.url}/dashboard/assets/style.css").text
    older, count = re.subn(r"@supports selector[(]::details-content[)]", "@supports (none:none)", styled)
    assert count == 1
    older = older.replace(".module::details-content{content-visibility:visible;block-size:auto}", "")
    page.route("**/assets/style.css", lambda route: route.fulfill(body=older, content_type="text/css"))
    sign_in(page, live, STUDENT_TOKEN)
    skill = page.locator("[data-skill=loops]")
    expect(skill).to_be_visible()
    assert page.evaluate(CLIPPED) == []
    page.set_viewport_size({"width": 360, "height": 900})
    expect(skill).to_be_hidden()
    page.locator("details.module summary").first.press("Enter")
    expect(page.locator("[data-skill=variables]")).to_be_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(skill).to_be_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(skill).to_be_hidden()
    expect(page.locator("[data-skill=variables]")).to_be_visible()


def test_a_teacher_chooses_the_days_without_a_script_and_by_keyboard(live: Live, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{live.url}/dashboard")
    page.fill("#token", TEACHER_TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("button:has-text('Sign out')")
    first, last = (str(datetime.now(UTC).date() - timedelta(days=back)) for back in (15, 3))
    page.get_by_label("From").fill(first)
    page.get_by_label("To", exact=True).fill(last)
    page.get_by_label("To", exact=True).press("Enter")
    expect(page.locator(f"[data-from='{first}'][data-to='{last}']")).to_be_visible()
    assert page.get_by_label("From").input_value() == first
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").press("Enter")
    assert download.value.suggested_filename == f"class-{first}-{last}.csv"
    page.emulate_media(media="print")
    expect(page.locator(f"[data-from='{first}'][data-to='{last}']")).to_be_visible()
    expect(page.locator("#from")).to_be_hidden()
    page.emulate_media(media="screen")
    page.locator("table.class tbody th a").first.press("Enter")
    expect(page.locator("#h-changes")).to_contain_text("What changed from")
    page.locator(".crumbs a").press("Enter")
    expect(page.locator(f"[data-from='{first}']")).to_be_visible()
    page.goto(f"{live.url}/dashboard?from=2020-01-01")
    expect(page.get_by_role("alert")).to_contain_text("Only the days from")
    context.close()


def test_the_page_of_chosen_days_in_all_sizes(live: Live, page: Page) -> None:
    sign_in(page, live, TEACHER_TOKEN)
    first, last = (str(datetime.now(UTC).date() - timedelta(days=back)) for back in (15, 3))
    page.goto(f"{live.url}/dashboard?from={first}&to={last}")
    check(page, "teacher-days")
    page.goto(f"{live.url}/dashboard?from={last}&to={first}")
    check_without_loading(page, "teacher-bad-days")
    page.goto(f"{live.url}/dashboard/students/{STUDENT}?from={first}&to={last}")
    check_without_loading(page, "student-days")


def test_a_teacher_finds_who_needs_help_and_a_group_to_teach(live: Live, page: Page) -> None:
    sign_in(page, live, TEACHER_TOKEN)
    assert page.locator("[data-needs-help] h3 a").first.inner_text() == OTHER
    check(page, "teacher")
    page.get_by_role("link", name="Score").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Score")
    page.get_by_role("link", name="Score").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Score")
    assert page.locator("table.class tbody th a").first.inner_text() == OTHER
    page.get_by_label("Search").fill("12345")
    page.keyboard.press("Enter")
    expect(page.locator("table.class tbody tr")).to_have_count(1)
    page.goto(f"{live.url}/dashboard?level=beginner")
    assert page.locator("select[name=level]").input_value() == "beginner"
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text("utf-8-sig").splitlines()
    assert rows[0].startswith("student_id,name,")
    assert [row.split(",")[0] for row in rows[1:]] == [OTHER]
    page.goto(f"{live.url}/dashboard")
    page.locator("[data-heatmap] thead button").first.click()
    page.wait_for_selector("h1:has-text('A group for')")
    check(page, "group")
    page.goto(f"{live.url}/dashboard/students/somebody_else")
    assert "cannot be shown" in page.locator("h1").inner_text()
    check(page, "sorry")
    page.goto(f"{live.url}/dashboard")
    page.locator("[data-needs-help] h3 a").first.click()
    assert page.locator("h1").inner_text() == OTHER
    check(page, "student-for-teacher")


def test_a_teacher_writes_notes_by_keyboard_and_a_change_of_the_page_leaves_what_is_typed(
    live: Live, page: Page
) -> None:
    sign_in(page, live, make_token("teacher", subject="grace", students=["student_5"]))
    place = f"{live.url}/dashboard/students/student_5"
    page.goto(place)
    page.get_by_role("link", name="Teachers' notes").press("Enter")
    box = page.get_by_label("A new note")
    box.fill("Ask about home.\nقبل العطلة")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".written .text")).to_have_text("Ask about home.\nقبل العطلة")
    page.get_by_role("link", name="Change the note").press("Enter")
    changed = page.get_by_label("Change the note")
    changed.press("ControlOrMeta+End")
    changed.press_sequentially(" Soon")
    with live.client() as client:
        page.evaluate(NOTE_THE_CHANGE)
        _sent(client, [event("quality", student_id="student_5", code_quality_score=0.1)])
        assert page.evaluate("() => window.changedAt") < float("inf")
    expect(changed).to_be_focused()
    changed.press_sequentially(".")
    check_without_loading(page, "notes")
    page.get_by_role("button", name="Keep the note").first.press("Enter")
    expect(page.locator(".written .text")).to_contain_text("قبل العطلة Soon.")
    page.get_by_role("link", name="Remove the note").press("Enter")
    check(page, "note-removal")
    page.emulate_media(media="print")
    expect(page.locator("#notes")).to_be_hidden()
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Remove it").press("Enter")
    expect(page.get_by_text("No note yet.")).to_be_visible()


def test_a_student_decides_what_is_allowed_and_sees_who_looked(live: Live, page: Page) -> None:
    sign_in(page, live, make_token("student", subject="student_6"))
    page.get_by_role("link", name="My data").click()
    check(page, "my-data")
    page.get_by_role("button", name="Withdraw it").last.click()
    expect(page.get_by_text("You do not allow it.")).to_be_visible()
    page.get_by_role("button", name="Allow it").click()
    expect(page.get_by_text("You do not allow it.")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert '"student_id":"student_6"' in download.value.path().read_text()


def test_a_teacher_compares_a_student_with_the_class_and_the_classes(live: Live, page: Page) -> None:
    sign_in(page, live, CLASS_TOKEN)
    page.get_by_role("link", name="Compare").click()
    assert page.locator(".classes h3").all_inner_texts() == ["Python 101", "Python 102"]
    check(page, "compare")
    page.select_option("#student", OTHER)
    page.select_option("#cohort", "py-101")
    page.get_by_role("button", name="Compare").press("Enter")
    page.wait_for_selector("#h-one")
    assert page.locator("#h-one").inner_text() == f"{OTHER} in Python 101"
    assert "Place 5 of 5. Ahead of 0% of the others." in page.locator("main").inner_text()
    row = page.locator("tr[data-what=quiz]")
    assert row.locator("td").all_inner_texts()[0] == "10%"
    assert page.locator("#student").input_value() == OTHER
    check(page, "compare-one")
    page.click(f"text=All of {OTHER}")
    page.click("text=Python 101")
    assert page.locator("#h-one").inner_text() == f"{OTHER} in Python 101"


def test_an_operator_sees_figures_and_signs_out(live: Live, page: Page) -> None:
    page.goto(f"{live.url}/dashboard")
    check(page, "sign-in")
    sign_in(page, live, make_token())
    assert "works" in page.locator(".light").first.inner_text()
    assert page.locator("[data-graph]").count() == 7
    assert page.locator("[data-graph=calls] polyline, [data-graph=calls] line.line").count() == 1
    assert "at most, at" in page.locator("[data-graph=calls]").inner_text()
    for name in ("figures", "processes", "since-start"):
        page.locator(f"#{name} summary").press("Enter")
    assert page.locator("#figures tbody tr").count() == 60
    assert "answers calls, works the log" in page.locator("#processes tbody").inner_text()
    assert "events" in page.locator("#since-start tbody").inner_text()
    expect(page.get_by_role("region", name="Calibrations of the forecast")).to_be_visible()
    check(page, "operator")
    page.locator("[data-light=worker] a").press("Enter")
    expect(page.locator("#masteryworkerstopped")).to_be_in_viewport()
    check(page, "runbooks")
    page.get_by_role("link", name="Operations", exact=True).first.click()
    page.fill("#student", STUDENT)
    page.keyboard.press("Enter")
    page.wait_for_selector("#score")
    page.click("text=Sign out")
    page.wait_for_selector("#token")


class Stranger:
    """Somebody who was not told how the pages work: presses what they read, one thing after the other, and is timed."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0
        self.began = time.perf_counter()

    def press(self, name: str | re.Pattern[str]) -> None:
        """The first link or button of this name that they see."""
        found = self.page.get_by_role("link", name=name, exact=True).or_(
            self.page.get_by_role("button", name=name, exact=True)
        )
        found.first.click()
        self.clicks += 1

    def reads(self, text: str) -> None:
        """Sees it, at most five seconds after they began."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=5_000)
        assert time.perf_counter() - self.began < 5


def test_a_teacher_who_was_not_told_how_finds_who_is_stuck_on_lists(live: Live, page: Page) -> None:
    error = {"outcome": "error", "error_type": "IndexError", "exercise_id": "lists-1", "topic": "lists"}
    with live.client() as client:
        tried = _sent(client, [event("execution", **error, student_id=OTHER) for _ in range(5)])
        _wait_for(client, OTHER, tried[-1]["event_id"])
    sign_in(page, live, TEACHER_TOKEN)
    stranger = Stranger(page)
    stranger.press("Lists")
    stranger.reads("Stuck on it now")
    assert page.locator("[data-stuck] a").all_inner_texts() == [OTHER]
    assert stranger.clicks <= 2

    page.go_back()
    page.get_by_label("Search").fill("lists")
    page.keyboard.press("Enter")
    expect(page.locator("table.class tbody tr")).to_have_count(1)
    expect(page.locator("table.class tbody th a")).to_have_text(OTHER)


def test_a_student_begins_the_advised_exercise_with_one_click(live: Live, page: Page) -> None:
    done = [event("quality", student_id="student_7", correctness_score=1.0), event("quiz", student_id="student_7")]
    with live.client() as client:
        sent = _sent(client, [*done, event("answer", student_id="student_7", correct=False)])
        _wait_for(client, "student_7", sent[-1]["event_id"])
    sign_in(page, live, make_token("student", subject="student_7"))
    asked: list[str] = []
    page.context.route(lambda url: not url.startswith(live.url), lambda route: _note(route, asked))
    stranger = Stranger(page)
    leads = page.locator(".step-big a").get_attribute("href")
    stranger.press("Start now")
    page.wait_for_url(lambda url: url == leads)
    assert (asked, stranger.clicks) == ([leads], 1)


def _note(route: Route, asked: list[str]) -> None:
    asked.append(route.request.url)
    route.fulfill(body="the exercise", content_type="text/plain")


def test_an_operator_redrives_a_letter_with_three_clicks(live: Live, page: Page) -> None:
    with ThreadPoolExecutor(1) as beside:  # the browser's own loop runs in this thread
        beside.submit(asyncio.run, _no_event_at_all(live.data_dir / FILE_NAME)).result()
    sign_in(page, live, make_token())
    reason = re.compile("VALIDATION_ERROR")
    for _ in range(50):
        if page.get_by_role("link", name=reason).count():
            break
        page.reload()
    stranger = Stranger(page)
    for name in (reason, "Redrive", "Redrive"):
        stranger.press(name)
    stranger.reads("redriven")
    assert stranger.clicks == 3
    check(page, "dead-letters")


def test_all_letters_of_a_reason_go_back_without_a_script_by_keyboard(live: Live, browser: Browser) -> None:
    with ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, _no_event_at_all(live.data_dir / FILE_NAME)).result()
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "mastery_session", "value": make_token(), "url": live.url}])
    page = context.new_page()
    page.goto(f"{live.url}/dashboard")
    for _ in range(50):
        if page.locator("button[value=VALIDATION_ERROR]").count():
            break
        page.reload()
    page.locator("button[value=VALIDATION_ERROR]").press("Enter")
    page.get_by_role("button", name="Redrive").press("Enter")
    expect(page.locator("[data-redriven]")).to_be_visible()
    assert "failed again" in page.locator("[data-redriven]").inner_text()
    page.context.close()


def test_a_page_that_waits_for_an_outcome_asks_no_more_once_it_is_there(live: Live, page: Page) -> None:
    """Nor while it waits for an answer, however long that takes."""
    asked = []
    main = '<main id="main" {}><h1>Redrive</h1><p>{}</p></main><p id="told"></p>'
    script = '<script type="module" src="/dashboard/assets/pages.js"></script>'

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        waits = len(asked) < 3
        time.sleep(0.5)
        body = main.format('data-refresh="0.2"' if waits else "", "waits" if waits else "done")
        route.fulfill(content_type="text/html", body=f"<!doctype html><title>x</title>{body}{script}")

    page.route("**/dashboard/dead-letters/redriven/some", answer)
    page.goto(f"{live.url}/dashboard/dead-letters/redriven/some")
    expect(page.locator("main p")).to_have_text("done")
    page.wait_for_timeout(1_000)
    assert len(asked) == 3


async def _no_event_at_all(path: Path) -> None:
    """Puts into the log what no event is."""
    database = Database(path)
    put = "INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, 'default', ?, NULL, ?)"
    await database.put(put, [(time.time_ns() // 1_000, "e-none", b"no event")])
    await database.close()


def test_a_badge_is_shown_to_whoever_has_its_link(live: Live, page: Page) -> None:
    whole = {"completion": 1.0, "quiz": 1.0, "quality": 1.0, "consistency": 1.0}
    with live.client() as client:
        client.put("/courses/default", json={"title": "Python", "badges": "developing"}).raise_for_status()
        client.post("/mastery/calculate", json={"student_id": OTHER, "components": whole}).raise_for_status()
        for _ in range(200):
            badges = client.get(f"/students/{OTHER}/badges").json()["data"]["badges"]
            if badges:
                break
            time.sleep(0.05)
        (badge,) = badges
    sign_in(page, live, make_token("student", subject=OTHER))
    page.get_by_role("link", name="Python: developing").scroll_into_view_if_needed()
    check_without_loading(page, "student-badge")
    page.goto(f"{live.url}/badges/{badge['badge_id']}")
    assert page.locator("h1").inner_text() == "Python: developing"
    expect(page.get_by_role("img", name="Python: developing")).to_be_visible()
    check(page, "badge")
    page.emulate_media(media="print")
    expect(page.get_by_role("img", name="Python: developing")).to_be_visible()
    page.goto(f"{live.url}/badges/{badge['badge_id']}.svg")
    assert page.locator("polygon").count() == 3
    page.emulate_media(media="screen")
    with live.client() as client:
        client.delete(f"/badges/{badge['badge_id']}").raise_for_status()
    page.goto(f"{live.url}/dashboard/students/{OTHER}")
    expect(page.get_by_text("Taken back")).to_be_visible()
    check_without_loading(page, "student-badge-gone")


def test_the_page_of_the_calls_tries_one_under_its_policy(live: Live, page: Page) -> None:
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"{live.url}/docs")
    page.locator("button.authorize").first.click()
    page.locator(".modal-ux input").first.fill(make_token())
    page.locator(".modal-ux button.authorize").first.click()
    page.locator(".modal-ux button.btn-done").first.click()
    page.locator(".opblock-summary-control", has_text="/mastery/query").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("textarea.body-param__text").fill(f'{{"student_id": "{STUDENT}"}}')
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect(page.locator(".live-responses-table")).to_contain_text("current_mastery")
    assert not failed


def test_a_script_that_somebody_puts_into_a_page_does_not_run(live: Live, browser: Browser) -> None:
    page = browser.new_context().new_page()
    for path in ("/docs", "/dashboard"):
        page.goto(f"{live.url}{path}")
        page.evaluate("""() => {
          const script = document.createElement("script");
          script.text = "window.ran = true";
          document.body.append(script);
        }""")
        assert page.evaluate("() => window.ran") is None
    page.context.close()


def test_it_works_without_javascript_and_in_the_dark(live: Live, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{live.url}/dashboard")
    page.fill("#token", STUDENT_TOKEN)
    page.click("button")
    assert page.locator("#score").inner_text().endswith("%")
    if pictures := os.environ.get("PICTURES"):
        page.screenshot(path=Path(pictures) / "student-dark.png")
    context.close()


def test_the_cookie_and_the_headers_are_strict(live: Live) -> None:
    with httpx.Client(base_url=live.url) as client:
        answer = client.post("/dashboard", data={"token": STUDENT_TOKEN})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        shown = client.get(f"/dashboard/students/{STUDENT}")
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert client.get(f"/dashboard/students/{OTHER}").status_code == 403
        assert client.get("/dashboard/find", params={"student": "//evil.test"}).status_code == 400
        assert client.get("/dashboard/assets/pages.py").status_code == 404
        own = {"student": STUDENT, "cohort": "py-101"}
        assert f"{STUDENT} in Python 101" in client.get("/dashboard/compare", params=own).text
        for others, status in (({"student": OTHER}, 403), ({"student": "//"}, 400), ({"cohort": "py-102"}, 403)):
            assert client.get("/dashboard/compare", params=own | others).status_code == status
        for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post("/dashboard", data={"token": "x"}, headers=headers).status_code == 403
            assert client.post("/dashboard/sign-out", headers=headers).status_code == 403
        assert client.post("/dashboard", data={"token": "x"}).status_code == 401
        assert client.post("/dashboard", json={"token": "x"}).status_code == 400
        assert client.post("/dashboard/sign-out").status_code == 303
    no_cookie = httpx.get(f"{live.url}/dashboard/students/{STUDENT}", headers=bearer(STUDENT_TOKEN))
    assert no_cookie.status_code == 401
