"""Rendering of pages from templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.http.page_headers import PAGE_HEADERS

HERE = Path(__file__).parent
SAFE = {**PAGE_HEADERS, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}

_templates = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_templates.filters["percent"] = lambda value: f"{100 * value:.0f}%"


def page(name: str, caller: Caller | None, status: int = 200, **values: Any) -> Response:
    """The answer with a whole page."""
    return HTMLResponse(part(name, caller=caller, **values), status, SAFE)


def part(name: str, **values: Any) -> Markup:
    """A part of a page, already escaped, for another template to include."""
    return Markup(_templates.get_template(name).render(**values))  # nosec B704
