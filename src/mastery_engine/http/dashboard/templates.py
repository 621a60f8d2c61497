"""Rendering of pages from templates, in the language of the reader."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.http.dashboard import sentences
from mastery_engine.http.dashboard.words import LANGUAGES, Sentence, Words, address, reader, spoken, words_of
from mastery_engine.http.page_headers import PAGE_HEADERS

VARIES = "Accept-Language, Cookie"
HERE = Path(__file__).parent
SAFE = {
    **PAGE_HEADERS,
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": VARIES,
}


def percent(share: float) -> str:
    """A share as all pages show it in English."""
    return words_of("en").percent(share)


def signed_points(change: float) -> str:
    """A change of a share as all pages show it in English."""
    return words_of("en").signed_points(change)


@cache
def _templates(words: Words) -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    for name in ("gettext", "ngettext", "pgettext", "npgettext"):
        made.globals[name] = _filling(getattr(words, name), words)
    made.globals["_"] = made.globals["gettext"]
    made.filters.update(
        percent=words.percent,
        percent_needed=words.percent_needed,
        exact_percent=words.exact_percent,
        signed_points=words.signed_points,
        direction=words.direction_of,
        number=words.number,
        day=words.day,
        short_day=words.short_day,
        full_day=words.full_day,
        moment=words.moment,
        ago=words.ago,
        clock=words.clock,
        when=words.when,
        figure=words.figure,
        listed=words.listed,
        level_name=sentences.level_name,
        component_name=sentences.component_name,
        what_moves=sentences.what_moves,
        trend_words=sentences.trend_words,
        state_words=sentences.state_words,
        step_title=sentences.step_title,
        step_reason=sentences.step_reason,
        step_size=sentences.step_size,
    )
    made.globals.update(words=words, languages=LANGUAGES, signs=sentences.SIGNS)
    return made


def _filling(sentence: Callable[..., Sentence], words: Words) -> Callable[..., Markup]:
    """What templates call: the sentence, with what fills it escaped and isolated.

    A plural's number is in it as ``num``, too.
    """

    def filled(*asked: Any, **values: Any) -> Markup:
        if isinstance(asked[-1], int):
            values.setdefault("num", asked[-1])
        return Markup(sentence(*asked)) % {name: words.isolated(value) for name, value in values.items()}  # nosec B704

    return filled


def page(name: str, caller: Caller | None, status: int = 200, **values: Any) -> Response:
    """The answer with a whole page."""
    return HTMLResponse(part(name, caller=caller, reader=reader(), address=address(), **values), status, SAFE)


def part(name: str, **values: Any) -> Markup:
    """A part of a page, already escaped, for another template to include."""
    return Markup(_templates(spoken()).get_template(name).render(**values))  # nosec B704
