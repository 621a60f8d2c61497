"""The runbooks as a page, so that a light leads to what to do where the documents are not at hand.

There is one source, ``docs/runbooks.md``, which the package brings along; in a clone it is read where it stands.
"""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from fastapi import APIRouter, Request
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from starlette.responses import Response

from mastery_engine.auth.access import Act
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of
from mastery_engine.http.dashboard.templates import HERE, page
from mastery_engine.http.incoming import engine_of

NAME = "runbooks.md"
PLACES = (HERE / NAME, Path(__file__).parents[4] / "docs" / NAME)
NOT_IN_AN_ANCHOR = re.compile(r"[^\w\- ]")

router = APIRouter(include_in_schema=False, prefix="/dashboard")


@router.get("/runbooks")
@with_error_pages
async def show(request: Request) -> Response:
    caller = await caller_of(request)
    engine_of(request).access.check_act(caller, Act.OPERATE, "runbooks")
    chapters, text = rendered()
    return page("runbooks.html", caller, chapters=chapters, text=text)


@cache
def rendered() -> tuple[list[tuple[str, str]], Markup]:
    """The chapters by their anchors, and the text; its title is the page's, so its headings begin with the second."""
    source = next(place for place in PLACES if place.is_file()).read_text(encoding="utf-8")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(source)
    tokens = tokens[next(place for place, token in enumerate(tokens) if token.type == "heading_close") + 1 :]
    chapters = []
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            anchor = anchor_of(content.content)
            opening.attrSet("id", anchor)
            chapters.append((anchor, content.content))
    for token in tokens:
        if token.children:
            token.children = _without_links_away(token.children)
    # The source is ours, and HTML in it is shown as text.
    return chapters, Markup(markdown.renderer.render(tokens, markdown.options, {}))  # nosec B704


def anchor_of(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return NOT_IN_AN_ANCHOR.sub("", heading.lower()).replace(" ", "-")


def _without_links_away(tokens: list[Token]) -> list[Token]:
    """A link to another document, which is not served here, becomes its words and where it is."""
    shown: list[Token] = []
    away = ""
    for token in tokens:
        if token.type == "link_open" and not str(token.attrGet("href")).startswith("#"):
            away = str(token.attrGet("href"))
        elif token.type == "link_close" and away:
            shown.append(Token("text", "", 0, content=f" (docs/{away.partition('#')[0]})"))
            away = ""
        else:
            shown.append(token)
    return shown
