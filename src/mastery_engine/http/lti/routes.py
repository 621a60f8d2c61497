"""The routes of LTI. Whatever is refused is answered by a page that says why, for the person who sees it."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeAlias

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from mastery_engine.errors import LaunchRefused, MasteryError
from mastery_engine.http.dashboard.routing import refused_page
from mastery_engine.http.dashboard.session import LAUNCHED_PATH, check_same_origin, sign_in_launched
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.words import speak
from mastery_engine.http.incoming import address_of, engine_of, is_foreign
from mastery_engine.http.lti.cookies import kept, put, take_away
from mastery_engine.http.lti.fields import fields_of, login_request
from mastery_engine.http.page_headers import let_forms_go_to, show_in_frames_of
from mastery_engine.lti.messages import TITLES, LoginRequest
from mastery_engine.lti.platforms import origin_of
from mastery_engine.services.lti.launches import UnprovenLaunch
from mastery_engine.services.lti.logins import LIVES, proof_name

PATH = "/lti"
PROOF_S = LIVES // 1_000_000

router = APIRouter(include_in_schema=False, prefix=PATH)
Route: TypeAlias = Callable[..., Awaitable[Response]]


def with_refusals(route: Route) -> Route:
    """The route with refusals answered as pages, which the platform in question may show in its frame."""

    @wraps(route)
    async def answered(request: Request) -> Response:
        speak(request)
        engine = engine_of(request)
        try:
            await engine.admission.take_launch(address_of(request), request.state.at)
            return await route(request)
        except LaunchRefused as error:
            engine.metrics.lti_launches.labels(error.reason).inc()
            try:
                await engine.admission.blame(address_of(request), request.state.at)
            except MasteryError as limited:
                return refused_page(limited)
            return refused_page(error)
        except MasteryError as error:
            return refused_page(error)

    return answered


@router.api_route("/login", methods=["GET", "POST"])
@with_refusals
async def login(request: Request) -> Response:
    """Begin a sign-in: the browser goes to the platform, and comes back with a launch."""
    lti = engine_of(request).lti
    fields = await fields_of(request)
    show_in_frames_of(request, await lti.platforms.framers_of(fields.get("iss", ""), request.state.at))
    asked = login_request(fields)
    begun = await lti.logins.begin(asked, request.state.at)
    if asked.lti_storage_target is None or asked.is_window:
        answer: Response = RedirectResponse(begun.url, 302)
    else:
        answer = page(
            "lti_login.html",
            None,
            url=begun.url,
            target=asked.lti_storage_target,
            origin=origin_of(begun.platform.auth_url),
            key=begun.name,
            proof=begun.proof,
        )
    put(request, answer, begun.name, begun.proof, PATH, PROOF_S)
    return answer


@router.get("/launch")
@with_refusals
async def launch_by_hand(request: Request) -> Response:  # noqa: ARG001 routes take it by this name
    """Whoever opens the address by hand is told where to begin."""
    raise LaunchRefused("claims", "This address opens from a course: open the link there.")


@router.post("/launch")
@with_refusals
async def launch(request: Request) -> Response:
    """Open what the platform launches."""
    lti = engine_of(request).lti
    fields = await fields_of(request)
    token, state = fields.get("id_token", ""), fields.get("state", "")
    show_in_frames_of(request, await lti.launches.framers_of(token, request.state.at))
    if fields.get("error"):
        raise LaunchRefused(
            "platform", "The learning platform refused the sign-in: open the link in your course again."
        )
    if not token or not state:
        raise LaunchRefused("claims", "The launch is not complete: the platform did not send its id_token and state.")
    name = proof_name(state)
    stored = None if is_foreign(request) else fields.get("stored")  # another site's form has no word in it
    opened = await lti.launches.open(
        token,
        state,
        kept(request, name) or stored,
        address=address_of(request),
        request_id=request.state.request_id,
        at=request.state.at,
    )
    show_in_frames_of(request, opened.framers)
    if isinstance(opened, UnprovenLaunch):
        return _unproven(opened, token, state, name, has_asked="stored" in fields, our_url=lti.logins.our_url)
    if opened.choice is not None:
        answer = page("lti_choice.html", None, choice=opened.choice, pages=list(TITLES.items()))
    else:
        answer = RedirectResponse(f"{LAUNCHED_PATH}?visit={opened.visit}", 303)
        sign_in_launched(request, answer, opened.token)
    take_away(request, answer, name, PATH)
    return answer


def _unproven(opened: UnprovenLaunch, token: str, state: str, name: str, *, has_asked: bool, our_url: str) -> Response:
    """What to do where the browser sends no cookie: ask the platform's storage, else open a window; each once."""
    asked = opened.asked
    if asked.lti_storage_target is not None and not has_asked and not asked.is_window:
        return page(
            "lti_proof.html",
            None,
            token=token,
            state=state,
            target=asked.lti_storage_target,
            origin=opened.storage,
            key=name,
            again=asked.again(our_url),
        )
    return new_window(asked, our_url)


def new_window(asked: LoginRequest, our_url: str) -> Response:
    """The page that begins again in a window of its own; whoever is in one already is told what to allow."""
    again = "" if asked.is_window else asked.again(our_url)
    return page("lti_window.html", None, 403, again=again)


@router.get("/jwks")
async def keys(request: Request) -> Response:
    """The public keys by which this tool signs."""
    found = await engine_of(request).lti.keys.public(request.state.at)
    return JSONResponse(found, headers={"Cache-Control": "public, max-age=3600"})


@router.post("/choose")
@with_refusals
async def choose(request: Request) -> Response:
    """Take a choice of what a link opens, and send it back to the platform by the browser."""
    check_same_origin(request)
    fields = await fields_of(request)
    chosen = await engine_of(request).lti.choices.choose(
        fields.get("choice", ""), fields.get("page", ""), request.state.at
    )
    show_in_frames_of(request, chosen.framers)
    let_forms_go_to(request, tuple(dict.fromkeys([origin_of(chosen.return_url) or "", *chosen.framers])))
    return page("lti_return.html", None, url=chosen.return_url, token=chosen.token)


@router.get("/register")
@with_refusals
async def register(request: Request) -> Response:
    """Register this tool with a platform that holds an invitation."""
    registrations = engine_of(request).lti.registrations
    fields = await fields_of(request)
    invitation, url = fields.get("invitation", ""), fields.get("openid_configuration", "")
    show_in_frames_of(request, await registrations.framers(invitation, url, request.state.at))
    platform = await registrations.register(
        invitation,
        url,
        fields.get("registration_token", ""),
        address=address_of(request),
        request_id=request.state.request_id,
        at=request.state.at,
    )
    answer = page("lti_registered.html", None, issuer=platform.issuer, client_id=platform.client_id)
    answer.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"  # the platform's window is told that it may close ours
    return answer
