"""Calls about badges: a student's own, and the badge itself for whoever has its link."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from mastery_engine.engine import Engine
from mastery_engine.errors import Gone, NotFound
from mastery_engine.http.accept import preferred
from mastery_engine.http.body import StudentId, read_struct
from mastery_engine.http.dashboard.badge import badge_page, sorry_page
from mastery_engine.http.envelope import JSON
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, address_of, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, failing, responds, serves, takes
from mastery_engine.out.badges.badge import Badge, ShownName
from mastery_engine.responses.badges import BadgeEntry, BadgeList
from mastery_engine.services.badge_credentials import Form

HTML, VC, JWT, LINKED = "text/html", "application/vc", "application/vc+jwt", "application/ld+json"
CREDENTIAL_FORMS = (JSON, VC, LINKED, JWT, HTML)
NO_ADDRESS = (400, 409, 429)
FAILURES = (*NO_ADDRESS, 404, 410)
LIST_FORMS = (JSON, VC, LINKED, JWT)
# Whoever verifies a badge may do so in a page of their own. A badge may be revoked at any time, so nobody keeps it.
SHARED = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}
BadgeId = Annotated[str, Path(description="as in the badge's link", json_schema_extra={"maxLength": 67})]

router = APIRouter(route_class=EnvelopeRoute, tags=["badges"])


@router.get("/students/{student_id}/badges", openapi_extra=responds(BadgeList, limit="query"))
async def badges(engine: TheEngine, caller: Authenticated, student_id: StudentId) -> BadgeList:
    """A student's badges, with the link of each, by which anybody may see and verify it."""
    return await engine.badges.of_student(caller, student_id)


@router.put(
    "/students/{student_id}/badges/{badge_id}/name",
    openapi_extra=failing(responds(BadgeEntry, limit="query"), 410) | KEYED | takes(ShownName),
)
async def set_badge_name(
    engine: TheEngine, caller: Authenticated, request: Request, student_id: StudentId, badge_id: BadgeId
) -> BadgeEntry:
    """Have a badge of your own show your name, as your school has set it, or none again. Only you may."""
    body = await json_body(request)
    wanted = read_struct(ShownName, body)
    key = idempotency_key(request, body)
    return await engine.badges.show_name(caller, student_id, badge_id, shown=wanted.shown, key=key)


@router.get("/badges/status/{number}", openapi_extra=serves("A signed status list.", *LIST_FORMS, also=NO_ADDRESS))
async def badge_status_list(
    engine: TheEngine, request: Request, number: Annotated[int, Path(ge=0, le=9_999)]
) -> Response:
    """Which badges were revoked, as a BitstringStatusListCredential: a bit for each, at a place that tells nothing."""
    await engine.admission.take_link(address_of(request), request.state.at)
    form = preferred(request.headers.get("accept", ""), LIST_FORMS)
    found = await engine.badge_credentials.status_list(number, _form(form), request.state.at)
    return Response(found, media_type=form, headers=SHARED)


@router.get("/badges/{badge_id}.svg", openapi_extra=serves("The badge as SVG.", "image/svg+xml", also=FAILURES))
async def badge_svg(engine: TheEngine, request: Request, badge_id: BadgeId) -> Response:
    """The badge's picture, with its signed credential baked in."""
    badge = await _linked(engine, request, badge_id)
    picture = await engine.badge_credentials.svg(badge, request.state.at)
    return Response(picture, media_type="image/svg+xml", headers=SHARED)


@router.get("/badges/{badge_id}.png", openapi_extra=serves("The badge as PNG.", "image/png", also=FAILURES))
async def badge_png(engine: TheEngine, request: Request, badge_id: BadgeId) -> Response:
    """The badge's picture, with its signed credential baked in."""
    badge = await _linked(engine, request, badge_id)
    picture = await engine.badge_credentials.png(badge, request.state.at)
    return Response(picture, media_type="image/png", headers=SHARED)


@router.get("/badges/{badge_id}.json", openapi_extra=serves("The signed credential.", JSON, also=FAILURES))
async def badge_json(engine: TheEngine, request: Request, badge_id: BadgeId) -> Response:
    """The badge's signed credential as JSON, whatever the caller accepts."""
    badge = await _linked(engine, request, badge_id)
    document = await engine.badge_credentials.credential(badge, "document", request.state.at)
    return Response(document, media_type=JSON, headers=SHARED)


@router.get("/badges/{badge_id}.jwt", openapi_extra=serves("The credential as a token.", JWT, also=FAILURES))
async def badge_jwt(engine: TheEngine, request: Request, badge_id: BadgeId) -> Response:
    """The badge's signed credential as a token (VC-JWT), whatever the caller accepts."""
    badge = await _linked(engine, request, badge_id)
    token = await engine.badge_credentials.credential(badge, "token", request.state.at)
    return Response(token, media_type=JWT, headers=SHARED)


@router.get(
    "/badges/{badge_id}", openapi_extra=serves("The signed credential, or its page.", *CREDENTIAL_FORMS, also=FAILURES)
)
async def badge(engine: TheEngine, request: Request, badge_id: BadgeId) -> Response:
    """A badge, for whoever has its link: the signed credential for programs, a page for browsers."""
    credentials, at = engine.badge_credentials, request.state.at
    form = preferred(request.headers.get("accept", ""), CREDENTIAL_FORMS)
    try:
        badge = await _linked(engine, request, badge_id)
    except (NotFound, Gone) as error:
        if form != HTML:
            raise
        return sorry_page(request, error)
    if form == HTML:
        return badge_page(request, badge, credentials.issuer)
    found = await credentials.credential(badge, _form(form), at)
    return Response(found, media_type=form, headers=SHARED)


@router.delete("/badges/{badge_id}", openapi_extra=failing(responds(BadgeEntry, limit=None), 410))
async def revoke_badge(engine: TheEngine, caller: Authenticated, badge_id: BadgeId) -> BadgeEntry:
    """Revoke a badge: its status list says so from now on, and so does its page. It stays readable."""
    return await engine.badges.revoke(caller, badge_id)


@router.get("/.well-known/did.json", openapi_extra=serves("The DID document.", JSON, also=NO_ADDRESS))
async def did_document(engine: TheEngine, request: Request) -> Response:
    """The DID document of this service (did:web): all keys that ever signed a badge."""
    await engine.admission.take_link(address_of(request), request.state.at)
    return Response(await engine.badge_credentials.did_document(request.state.at), media_type=JSON, headers=SHARED)


async def _linked(engine: Engine, request: Request, badge_id: str) -> Badge:
    """The badge of a link. Raises NotFound, Gone, Conflict and RateLimited."""
    await engine.admission.take_link(address_of(request), request.state.at)
    return await engine.badge_credentials.badge(badge_id, request.state.at)


def _form(media_type: str) -> Form:
    return "token" if media_type == JWT else "document"
