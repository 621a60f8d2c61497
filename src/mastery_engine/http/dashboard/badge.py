"""The page of a badge, which its holder can show to anybody."""

from markupsafe import Markup
from starlette.responses import Response

from mastery_engine.domain.moments import day_of, iso_date
from mastery_engine.errors import MasteryError
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.problems import status_of
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.credential import criteria_of, description_of, name_of
from mastery_engine.out.badges.issuer import Issuer
from mastery_engine.out.badges.pictures import svg_of


def badge_page(badge: Badge, issuer: Issuer) -> Response:
    """What a badge says, in words; a revoked one says so first."""
    shown = page(
        "badge.html",
        None,
        title=name_of(badge),
        description=description_of(badge),
        criteria=criteria_of(badge),
        holder=badge.name,
        awarded=iso_date(day_of(badge.awarded)),
        revoked=None if badge.revoked is None else iso_date(day_of(badge.revoked)),
        picture=Markup(svg_of(badge)),  # nosec B704: its texts are escaped where it is drawn
        issuer=issuer.name,
        did=issuer.did,
        address=issuer.badge(badge.badge_id),
        link=f"/badges/{badge.badge_id}",
    )
    shown.headers["Vary"] = "Accept"
    return shown


def sorry_page(error: MasteryError) -> Response:
    """The page of a badge that is gone, or never was."""
    sorry = page("badge_gone.html", None, status_of(error), message=error.message)
    sorry.headers["Vary"] = "Accept"
    return sorry
