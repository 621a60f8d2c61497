"""Rendering of pages from templates."""

from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.evidence.shown import whole_per_cent
from mastery_engine.http.page_headers import PAGE_HEADERS

HERE = Path(__file__).parent
SAFE = {**PAGE_HEADERS, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}


def _points(share: float) -> float:
    """A share as points of 100, without the errors of floating point: they would decide where it is rounded."""
    return round(100 * share, 6)


def percent(share: float) -> str:
    """A share as all pages show it."""
    return f"{whole_per_cent(share)}%"


def signed_points(change: float) -> str:
    """A change of a share in points of 100, such as +2.5."""
    return f"{round(_points(change), 1) or 0.0:+.1f}"


# What is needed rounds up.
_templates = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_templates.filters["percent"] = percent
_templates.filters["percent_needed"] = lambda value: f"{ceil(_points(value))}%"
_templates.filters["signed_points"] = signed_points
_templates.filters["points_needed"] = lambda value: ceil(_points(value))


def page(name: str, caller: Caller | None, status: int = 200, **values: Any) -> Response:
    """The answer with a whole page."""
    return HTMLResponse(part(name, caller=caller, **values), status, SAFE)


def part(name: str, **values: Any) -> Markup:
    """A part of a page, already escaped, for another template to include."""
    return Markup(_templates.get_template(name).render(**values))  # nosec B704
