"""Cookies that must work in a frame on another site: those of launches, and the choice of a language.

``Partitioned; SameSite=None; Secure`` is what browsers take there: the cookie belongs to our pages under that site
alone. Over plain HTTP, which only development has, browsers take it for localhost and nobody else does; so there is a
second one then, for pages that are in no frame.
"""

from fastapi import Request
from starlette.responses import Response

from mastery_engine.settings import Settings

SECOND = "_plain"


def is_plain(request: Request) -> bool:
    """Whether the service is reached over plain HTTP; never in production: a proxy that ends TLS need not say so."""
    settings: Settings = request.state.settings
    return not settings.in_production and request.url.scheme != "https"


def put(request: Request, answer: Response, name: str, value: str, path: str, lives_s: int | None = None) -> None:
    """Have the browser keep a value, under a site's pages or on its own."""
    answer.headers.append("set-cookie", _cookie(name, value, path, lives_s, "SameSite=None; Secure; Partitioned"))
    if is_plain(request):
        answer.headers.append("set-cookie", _cookie(name + SECOND, value, path, lives_s, "SameSite=Lax"))


def take_away(request: Request, answer: Response, name: str, path: str) -> None:
    """Have the browser keep it no more."""
    put(request, answer, name, "", path, 0)


def kept(request: Request, name: str) -> str | None:
    """What the browser keeps under a name; None where it keeps nothing."""
    return request.cookies.get(name) or request.cookies.get(name + SECOND) or None


def _cookie(name: str, value: str, path: str, lives_s: int | None, how: str) -> str:
    lives = "" if lives_s is None else f"; Max-Age={lives_s}"
    return f"{name}={value}; Path={path}; HttpOnly{lives}; {how}"
