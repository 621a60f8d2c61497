"""The page of a badge, which its holder can show to anybody."""

from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from mastery_engine.domain.moments import day_of, iso_date
from mastery_engine.errors import MasteryError
from mastery_engine.http.dashboard.sentences import level_name
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.told import told_of
from mastery_engine.http.dashboard.words import speak
from mastery_engine.http.problems import status_of
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.credential import name_of
from mastery_engine.out.badges.issuer import Issuer
from mastery_engine.out.badges.pictures import svg_of


def badge_page(request: Request, badge: Badge, issuer: Issuer) -> Response:
    """What a badge says, in words; a revoked one says so first."""
    speak(request)
    shown = page(
        "badge.html",
        None,
        title=name_of(badge),
        level_shown=level_name(badge.level),
        course=badge.title,
        from_score=badge.from_score,
        holder=badge.name,
        awarded=iso_date(day_of(badge.awarded)),
        revoked=None if badge.revoked is None else iso_date(day_of(badge.revoked)),
        picture=Markup(svg_of(badge)),  # nosec B704: its texts are escaped where it is drawn
        issuer=issuer.name,
        did=issuer.did,
        badge_address=issuer.badge(badge.badge_id),
        link=f"/badges/{badge.badge_id}",
    )
    shown.headers["Vary"] = "Accept, Accept-Language, Cookie"
    return shown


def sorry_page(request: Request, error: MasteryError) -> Response:
    """The page of a badge that is gone, or never was."""
    speak(request)
    sorry = page("badge_gone.html", None, status_of(error), message=told_of(error).in_one)
    sorry.headers["Vary"] = "Accept, Accept-Language, Cookie"
    return sorry
