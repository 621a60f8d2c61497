"""How a page is made of its template."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mastery_engine.auth.access import Caller

HERE = Path(__file__).parent
SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_templates.filters["percent"] = lambda value: f"{100 * value:.0f}%"


def page(name: str, caller: Caller | None, status: int = 200, **values: Any) -> Response:
    """A whole page, as it is answered."""
    return HTMLResponse(part(name, caller=caller, **values), status, SAFE)


def part(name: str, **values: Any) -> Markup:
    """What another template takes in as it is: it is escaped already."""
    return Markup(_templates.get_template(name).render(**values))  # nosec B704
