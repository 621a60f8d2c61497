"""What is looked at in every page that a browser shows: by geometry, by contrast, by keyboard, enlarged, and by axe."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.pictures import ARGUMENTS
from scripts.servers.cache import command
from tests.support.real_servers import RealServers

HERE = Path(__file__).parent
CLIPPED, CONTRAST = ((HERE / f"{name}.js").read_text() for name in ("clipped", "contrast"))
WIDTHS = (360, 768, 1_280)
ZOOMED = 320  # 1,280 px at 400 per cent (WCAG 2.2, 1.4.10)
MOST_STOPS = 30
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SPACED = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important}p{margin-block-end:2em!important}");
  document.adoptedStyleSheets = [sheet];
}"""
PLAIN = "() => { document.adoptedStyleSheets = []; }"
MOVING = """() => [...document.querySelectorAll("*")].filter((one) => {
  const {transitionDuration, animationName} = getComputedStyle(one);
  return animationName !== "none" || parseFloat(transitionDuration) > 0;
}).length + document.getAnimations().length"""
STOPS = """() => {
  const found = document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']");
  window.stops = [...found].filter((one) => one.checkVisibility() && !one.matches(".skip"));
  return window.stops.length;
}"""
FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const place = one.matches(".skip") ? "skip" : window.stops.indexOf(one);
  return [place, inside && seen, `${one.tagName} ${one.textContent.trim().slice(0, 30)}`];
}"""


@contextmanager
def chromium(real_servers: RealServers) -> Iterator[Browser]:
    """The browser, or the test is passed over and the run says so."""
    path = real_servers.had("Chromium", lambda: command("chromium", packages=["chromium"]))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        real_servers.used.add(f"Chromium {started.version}")
        yield started
        started.close()


def check_geometry(page: Page, where: str) -> None:
    """Nothing is cut off, overlaps or is broken at three widths, at 400 per cent, and with spaced letters and lines."""
    for width in (*WIDTHS, ZOOMED):
        page.set_viewport_size({"width": width, "height": 800})
        may = ("broken",) if width == ZOOMED else ()  # a word that is as wide as the screen
        faults = faults_of(page, may)
        assert not faults, (where, width, faults)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (where, width)
    page.evaluate(SPACED)
    for width in (360, 1_280):
        page.set_viewport_size({"width": width, "height": 800})
        faults = faults_of(page, ("broken", "outside"))  # what is wider can be scrolled to
        assert not faults, (where, "spaced", width, faults)
    page.evaluate(PLAIN)


def faults_of(page: Page, may: tuple[str, ...]) -> list[str]:
    """What a reader cannot see whole, but for faults of a kind that may be."""
    return [one for one in page.evaluate(CLIPPED) if not (may and one.startswith(may))]


def check_contrast(page: Page, where: str) -> None:
    """In light, in dark, and in the high-contrast colours of a system."""
    for look in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}):
        page.emulate_media(**look)  # type: ignore[arg-type]
        pale = page.evaluate(CONTRAST)
        assert not pale, (where, look, pale)
    page.emulate_media(forced_colors="none", reduced_motion="reduce", color_scheme="light")
    assert page.evaluate(MOVING) == 0, f"{where} moves"


def check_keyboard(page: Page, where: str) -> None:
    """Tab goes through all that can be chosen, in the page's order, and the focus is seen; the first stop skips."""
    page.set_viewport_size({"width": 1_280, "height": 800})
    count = page.evaluate(STOPS)
    page.evaluate("() => { document.activeElement.blur(); window.getSelection().removeAllRanges(); scrollTo(0, 0); }")
    has_skip = page.locator(".skip").count() > 0
    if has_skip:
        page.locator(".skip").evaluate("one => one.focus()")
        assert page.evaluate(FOCUSED)[:2] == ["skip", True], where
        assert page.locator(".skip").bounding_box()["x"] >= 0, where  # type: ignore[index]
    for place in range(min(count, MOST_STOPS)):
        if place == 0 and not has_skip:
            page.evaluate("() => window.stops[0].focus({focusVisible: true})")
        else:
            page.keyboard.press("Tab")
        at, seen, what = page.evaluate(FOCUSED)
        assert (at, seen) == (place, True), f"{where}: stop {place} is {what}"
    if has_skip:
        page.locator(".skip").press("Enter")
        expect(page.locator("main")).to_be_focused()


@functools.cache
def _axe() -> Axe:
    return Axe()


def check_axe(page: Page, where: str) -> None:
    found: Any = _axe().run(page, options=RULES)
    assert found.violations_count == 0, f"{where}: {found.generate_report()}"
