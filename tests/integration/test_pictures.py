"""The pictures of the documents, taken afresh; the page of examples, photographed; and what is printed, as PDF."""

import io
import re
import unicodedata
from collections.abc import Iterator

import pypdfium2 as pdfium
import pytest
from jinja2 import Environment
from PIL import Image
from playwright.sync_api import Browser, Page

from mastery_engine.http.dashboard.templates import HERE
from scripts.class_at_work import ClassAtWork
from scripts.pictures import FOLDER, MOST_BYTES, PICTURES, Picture, headings_in, headings_of, shown
from tests.support.browsing import chromium
from tests.support.processes import ROOT
from tests.support.real_servers import RealServers

pytestmark = pytest.mark.xdist_group("class at work")

SCALE = 0.75
MARGIN = int(11 * 72 / 25.4 * SCALE)  # of a printed page, less a hair, in pixels
PRINTED = {
    ("teacher", "en"): (range(3, 6), ("Your students", "Who needs you today", "All students", "Virtual environments")),
    ("teacher", "ar"): (range(3, 6), ("طلابك", "Virtual environments")),
    ("stuck", "en"): (range(2, 5), ("Hello, Tomás Rivera", "Your next step", "History and forecast", "Debugging")),
    ("stuck", "ar"): (range(2, 5), ("Tomás Rivera", "Debugging")),
    ("operator", "en"): (range(2, 4), ("Operations", "Calls per second", "Retention and erasures", "Webhooks")),
    ("operator", "ar"): (range(2, 4), ("sqlite", "default")),
}


@pytest.fixture(scope="module")
def browser(class_at_work: ClassAtWork, real_servers: RealServers) -> Iterator[Browser]:
    with chromium(real_servers) as started:
        yield started


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_the_page_as_it_is(class_at_work: ClassAtWork, browser: Browser, picture: Picture) -> None:
    path = FOLDER / f"{picture.name}.png"
    with Image.open(path) as kept:
        assert kept.size == picture.size
    with shown(picture, class_at_work, browser) as page:
        assert headings_of(page) == headings_in(path), "the page has changed: make pictures"
        said = page.locator("main").inner_text()
        for word in picture.words:
            assert word.lower() in said.lower(), word
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= picture.size[0]


def test_every_picture_is_made_shown_and_small() -> None:
    ours = {f"{picture.name}.png" for picture in PICTURES}
    kept = {path.name for path in FOLDER.glob("*.png")}
    told = (ROOT / "docs" / "dashboard.md").read_text()
    assert set(re.findall(r"\]\(img/([\w-]+\.png)\)", told)) == ours, "each is made by make pictures"
    assert ours <= kept
    assert sum((FOLDER / name).stat().st_size for name in kept) < MOST_BYTES
    assert re.search(r"!\[[^\]]+\]\(docs/img/\w+\.png\)", (ROOT / "README.md").read_text())


@pytest.fixture(scope="module")
def examples(class_at_work: ClassAtWork, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1_280, "height": 900})
    page = context.new_page()
    page.goto(f"{class_at_work.url}/dashboard/design")
    yield page
    context.close()


def test_every_component_and_icon_is_among_the_examples(examples: Page) -> None:
    """The macros as they are called, and the classes of the components as they stand on the page."""
    parts, source = ((HERE / "design" / name).read_text() for name in ("parts.html", "examples.html"))
    for macro in re.findall(r"{% macro (\w+)\(", parts):
        assert re.search(rf"{{{{ ?{macro}\(", source), f"{macro} is on no page of examples"
        assert examples.locator(f"[data-part={macro}]").count() == 1, macro
    styled = re.sub(r"\[.*?\]", "", (HERE / "design" / "parts.css").read_text())
    names = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"{.*?}", "", styled)))
    there = set(
        examples.evaluate("() => [...document.querySelectorAll('[class]')].flatMap((one) => [...one.classList])")
    )
    assert not names - there, "a component without an example: design/examples.html"
    module = Environment(autoescape=True).from_string((HERE / "design" / "icons.html").read_text()).module
    drawings = module.drawings  # type: ignore[attr-defined]
    assert examples.locator("[data-part=icon] .icon").count() == len(drawings) + 1


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("en", "dark"), ("ar", "light"), ("ar", "dark")])
def test_a_photograph_shows_each_example(examples: Page, language: str, scheme: str) -> None:
    """Each has something drawn in it that differs from its ground; a component in the colour of its card would not."""
    examples.locator(f"footer button[value={language}]").click()
    examples.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    photograph = Image.open(io.BytesIO(examples.screenshot(full_page=True))).convert("L")
    for part in examples.locator("[data-part]").all():
        name = part.get_attribute("data-part")
        for drawn in part.locator(":scope > :not(h2)").all():  # an empty bar is its track alone, which is pale
            box = drawn.bounding_box()
            assert box, name
            assert box["width"] > 4, name
            area = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
            low, high = photograph.crop(tuple(map(round, area))).getextrema()  # type: ignore[arg-type]
            assert float(high) - float(low) > 15, (name, language, scheme, "nothing is seen")  # type: ignore[arg-type]


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize(("door", "language"), PRINTED)
def test_what_is_printed_is_whole(
    class_at_work: ClassAtWork, browser: Browser, door: str, language: str, paper: str
) -> None:
    """All of it, on few pages, none blank, nothing outside the margins."""
    pages, words = PRINTED[door, language]
    with shown(Picture("", door, (), language=language), class_at_work, browser) as page:
        document = pdfium.PdfDocument(page.pdf(format=paper))
        names = page.locator("table.class tbody th a, .heat thead button").all_inner_texts()
    try:
        assert len(document) in pages
        text = ""
        for number, sheet in enumerate(document, 1):
            said = bare(sheet.get_textpage().get_text_range())
            assert len(said) > 60, f"page {number} is nearly blank"
            text += said
            image = sheet.render(scale=SCALE, grayscale=True).to_pil()
            assert sum(image.histogram()[:128]) > 300, f"page {number} has no ink"
            for edge in (0, image.width - MARGIN):
                strip = image.crop((edge, 0, edge + MARGIN, image.height))
                assert strip.getextrema()[0] > 200, f"page {number} reaches out of its paper"
    finally:
        document.close()
    either = (text, text[::-1])  # Arabic stands in some PDFs as it is seen, from the left
    assert [word for word in (*words, *names) if not any(bare(word) in way for way in either)] == []
    if door == "teacher":
        assert len(names) == 36 + 37, "students and skills"


def bare(text: str) -> str:
    """A text without its spaces, its marks of direction and its ligatures, which a PDF has at other places."""
    return re.sub(r"[\s\u00ad\u200b-\u200f\u2066-\u2069]", "", unicodedata.normalize("NFKC", text))
