"""Takes the pictures of the documents anew, from the demo's class: ``docs/img/*.png``.

    python -m scripts.pictures [NAME]…

Each picture holds, as text beside its pixels, the headings of the page at that time. A test takes all of them afresh,
and fails where a page is gone, or where its headings, its key words or the size of its picture are no longer those.
"""

import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from PIL import Image, PngImagePlugin
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.class_at_work import ClassAtWork, class_at_work
from scripts.servers.cache import command

FOLDER = Path(__file__).parents[1] / "docs" / "img"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
COLOURS = 96
HEADINGS = "Headings"
MOST_BYTES = 1_500_000


class Picture(msgspec.Struct, frozen=True):
    """A page as somebody sees it: by which door, which clicks lead to it, and what must be read on it.

    A click is the name of a link or a button. On paper it is the page as it is printed.
    """

    name: str
    door: str
    words: tuple[str, ...]
    clicks: tuple[str, ...] = ()
    size: tuple[int, int] = (1_120, 800)
    language: str = "en"
    scheme: str = "light"
    on_paper: bool = False
    to: str = ""


PICTURES = (
    Picture("doors", "", ("Enter as student", "Enter as teacher", "Enter as operator", "Mei Lin")),
    Picture(
        "student", "stuck", ("Hello, Tomás Rivera", "Your score", "Your next step", "What changed since last week")
    ),
    Picture(
        "student-history", "soars", ("History and forecast", "Skills", "Mastered"), to="#h-history", size=(1_120, 760)
    ),
    Picture("student-phone", "soars", ("درجتك", "خطوتك القادمة"), size=(360, 760), language="ar", scheme="dark"),
    Picture("teacher", "teacher", ("Who needs you today", "Stuck on", "Away for 14 days", "All students")),
    Picture("teacher-dark", "teacher", ("Quién te necesita hoy",), size=(768, 700), language="es", scheme="dark"),
    Picture("map", "teacher", ("Who knows what", "A group to teach:"), to="#h-map", size=(1_120, 620)),
    Picture(
        "group",
        "teacher",
        ("A group for", "Who, and how well they know it"),
        ("[data-heatmap] .choice button",),
        (1_120, 620),
    ),
    Picture(
        "compare", "teacher", ("Place", "The line across a bar is the class average."), ("text=Compare", "main button")
    ),
    Picture("operator", "operator", ("What the service needs", "works", "VALIDATION_ERROR"), size=(1_120, 900)),
    Picture("dead-letters", "operator", ("Put it back?", "Newest first"), ("a[href*=VALIDATION_ERROR]", "td button")),
    Picture("my-data", "stuck", ("What you allow", "Who looked at it"), ("text=My data",)),
    Picture("print-class", "teacher", ("Who needs you today", "All students"), size=(794, 1_000), on_paper=True),
    Picture("print-student", "soars", ("Your next step", "Skills"), size=(794, 1_000), on_paper=True),
)


@contextmanager
def chromium(path: Path | None = None) -> Iterator[Browser]:
    """The browser. Raises ``cache.Unavailable`` where there is none."""
    path = path or command("chromium", packages=["chromium"])
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def shown(picture: Picture, class_: ClassAtWork, browser: Browser) -> Iterator[Page]:
    """The page of a picture, as its door and its clicks lead to it."""
    width, height = picture.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        locale=picture.language,
    )
    page = context.new_page()
    page.goto(f"{class_.url}/dashboard")
    if picture.door:
        page.click(f"button[value={picture.door}]")
        page.wait_for_selector("h1")
    for click in picture.clicks:
        page.locator(click).first.click()
        page.wait_for_load_state()
    if picture.on_paper:
        page.emulate_media(media="print")
    if picture.to:
        page.locator(picture.to).evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top - 24)")
    yield page
    context.close()


def headings_of(page: Page) -> str:
    """What the page is made of, by its headings."""
    return " | ".join(page.locator("h1:visible, h2:visible").all_inner_texts())


def taken(page: Page) -> bytes:
    """The picture as a small PNG, with its headings beside it."""
    image = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    small = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    info = PngImagePlugin.PngInfo()
    info.add_itxt(HEADINGS, headings_of(page))
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True, pnginfo=info)
    return out.getvalue()


def headings_in(path: Path) -> str:
    """What the page of a picture was made of when it was taken."""
    with Image.open(path) as image:
        image.load()
        texts: Mapping[str, str] = getattr(image, "text", {})
        return str(texts.get(HEADINGS, ""))


def main(*names: str) -> None:
    with tempfile.TemporaryDirectory() as folder, class_at_work(Path(folder)) as class_, chromium() as browser:
        for picture in PICTURES:
            if names and picture.name not in names:
                continue
            with shown(picture, class_, browser) as page:
                (FOLDER / f"{picture.name}.png").write_bytes(taken(page))
    for path in sorted(FOLDER.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
