"""Launches of a foreign platform: whom each opens what, and what is refused with its reason."""

import asyncio
import base64
import hmac
import html
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import BAD_TOKENS
from mastery_engine.domain.cohorts.cohort import Cohort, Teacher
from mastery_engine.domain.moments import DAY, MINUTE, SECOND
from mastery_engine.domain.people.identity import identity
from mastery_engine.errors import Unauthenticated
from mastery_engine.http.dashboard.words import words_of
from mastery_engine.lti.platforms import LtiPlatform
from tests.support.calls import COHORT, Api, enrolled, event, serving
from tests.support.live import make_token
from tests.support.lti_platform import (
    ADMINISTRATOR,
    CLAIM,
    CLIENT,
    DEPLOYMENT,
    INSTRUCTOR,
    LEARNER,
    ForeignPlatform,
    Json,
    Visitor,
    platform_at,
)

OURS = "http://localhost"
OPERATOR = Caller("cli", "admin")


@pytest.fixture(scope="module")
def foreign() -> Iterator[ForeignPlatform]:
    with platform_at() as platform:
        platform.tool_url = OURS
        platform.people = {
            "ada": Visitor("42", "Ada Lovelace", LEARNER),
            "eve": Visitor("7", "Eve Example", INSTRUCTOR),
            "root": Visitor("1", "Ruth Root", ADMINISTRATOR),
        }
        yield platform


@pytest.fixture
async def lti(tmp_path: Path, foreign: ForeignPlatform) -> AsyncIterator[Api]:
    """The service with the platform connected."""
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        await api.engine.lti.platforms.add(OPERATOR, known(foreign))
        yield api


def known(foreign: ForeignPlatform, **more: Any) -> LtiPlatform:
    urls = [f"{foreign.url}/{name}" for name in ("auth", "token", "keys")]
    return LtiPlatform(foreign.url, CLIENT, "default", *urls, (DEPLOYMENT,), **more)


async def begun(api: Api, foreign: ForeignPlatform, who: str, **more: str) -> str:
    """Where the tool sends the browser to sign in."""
    answer = await api.client.get("/lti/login", params=foreign.login_fields(who, **more))
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def launched(api: Api, foreign: ForeignPlatform, who: str) -> httpx.Response:
    """The answer to a whole launch, before its redirects are followed."""
    return await api.client.post("/lti/launch", data=foreign.answer(await begun(api, foreign, who)))


async def opened(api: Api, foreign: ForeignPlatform, who: str) -> httpx.Response:
    """The page that a launch opens."""
    answer = await launched(api, foreign, who)
    assert answer.status_code == 303, answer.text
    while answer.is_redirect:
        answer = await api.client.get(answer.headers["location"].partition("#")[0])
    return answer


async def test_a_learner_sees_their_own_page_and_no_other(lti: Api, foreign: ForeignPlatform) -> None:
    page = await opened(lti, foreign, "ada")
    own = lti.engine.people._profiles.derived_id("default", identity(foreign.url, "42"))
    assert (page.status_code, page.url.path) == (200, f"/dashboard/students/{own}")
    await lti.learn(event(student_id=own))
    page = await opened(lti, foreign, "ada")
    assert "<h1>Hello, Ada Lovelace</h1>" in page.text
    others = await lti.client.get("/dashboard/students/somebody-else")
    assert others.status_code == 403
    assert (await lti.client.get("/dashboard")).url.path == "/dashboard"
    profile = (await lti.get(f"/students/{own}/profile")).json()["data"]
    assert profile["external"] == [{"system": foreign.url, "id": "42"}]


async def test_an_instructor_sees_the_class_of_the_context_and_an_administrator_the_same(
    lti: Api, foreign: ForeignPlatform
) -> None:
    await launched(lti, foreign, "ada")
    own = lti.engine.people._profiles.derived_id("default", identity(foreign.url, "42"))
    await lti.learn(event(student_id=own), enrolled("of-another-class", 5))
    eve = lti.engine.people._profiles.derived_id("default", identity(foreign.url, "7"))
    elsewhere = Cohort("Other", put=("of-another-class",), teachers=(Teacher(eve, (eve,)),))
    await lti.engine.cohorts.revise(OPERATOR, "other", "test", lambda _: elsewhere)  # a roster says she teaches it
    lti.clock.ahead += 5 * SECOND  # who is in a class may be a second old
    for who in ("eve", "root"):
        page = await opened(lti, foreign, who)
        assert (page.status_code, page.url.path) == (200, "/dashboard"), page.text
        assert "Ada Lovelace" in page.text
        assert "of-another-class" not in page.text
        assert (await lti.client.get(f"/dashboard/students/{own}")).status_code == 200
        assert (await lti.client.get("/dashboard/students/of-another-class")).status_code == 403


async def test_another_class_is_another_cohort_in_the_course_of_the_platform(
    lti: Api, foreign: ForeignPlatform
) -> None:
    await lti.engine.lti.platforms.add(OPERATOR, known(foreign, course_id="python"))
    lti.clock.ahead += 5 * SECOND
    page = await opened(lti, foreign, "ada")
    assert page.url.query == b"course_id=python"
    (first,) = await lti.engine.lti.classes.page("", lti.clock())
    shown = (await lti.get(f"/cohorts/{first.cohort_id}")).json()["data"]
    assert (shown["name"], shown["course_id"], len(shown["members"])) == ("Python 101", "python", 1)
    moved = {"name": "Python 101", "members": shown["members"], "course_id": "physics"}
    assert (await lti.call("PUT", f"/cohorts/{first.cohort_id}", moved)).status_code == 200
    foreign.context = {"context_id": "course-8", "context_title": "Physics"}
    try:
        await launched(lti, foreign, "ada")
    finally:
        foreign.context = {"context_id": "course-7", "context_title": "Python 101"}
    page = await opened(lti, foreign, "ada")
    assert page.url.query == b"course_id=physics", "where an admin moved it"
    assert len(await lti.engine.lti.classes.page("", lti.clock())) == 2


@pytest.mark.parametrize(
    ("title", "name"), [("Py\x07thon \u202e101 ", "Python 101"), ("\u200b", "Class"), ("x" * 300, "x" * 100)]
)
async def test_a_class_is_named_so_that_an_admin_can_set_it_again(
    lti: Api, foreign: ForeignPlatform, title: str, name: str
) -> None:
    foreign.context = {"context_id": "course-9", "context_title": title}
    try:
        await launched(lti, foreign, "ada")
    finally:
        foreign.context = {"context_id": "course-7", "context_title": "Python 101"}
    (record,) = await lti.engine.lti.classes.page("", lti.clock())
    shown = (await lti.get(f"/cohorts/{record.cohort_id}")).json()["data"]
    assert (shown["name"], record.title) == (name, name)
    again = {"name": shown["name"], "members": shown["members"]}
    assert (await lti.call("PUT", f"/cohorts/{record.cohort_id}", again)).status_code == 200


async def test_no_parameter_says_whose_page_or_which_class_it_is(lti: Api, foreign: ForeignPlatform) -> None:
    url = await begun(lti, foreign, "ada", student_id="somebody-else", cohort_id=COHORT, role="Instructor")
    fields = foreign.answer(url) | {"student_id": "somebody-else", "role": "Instructor", "cohort_id": COHORT}
    answer = await lti.client.post("/lti/launch", data=fields)
    page = await lti.client.get(answer.headers["location"])
    own = lti.engine.people._profiles.derived_id("default", identity(foreign.url, "42"))
    assert page.headers["location"] == f"/dashboard/students/{own}"


async def test_a_class_needs_a_context(lti: Api, foreign: ForeignPlatform) -> None:
    foreign.context = None
    try:
        assert (await launched(lti, foreign, "ada")).status_code == 303
        refused = await launched(lti, foreign, "eve")
    finally:
        foreign.context = {"context_id": "course-7", "context_title": "Python 101"}
    check_refusal(refused, "no course")


def check_refusal(answer: httpx.Response, why: str) -> None:
    """A page that says why, and no session."""
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert why in answer.text, answer.text
    assert 'role="alert"' in answer.text
    assert "mastery_launch" not in answer.headers.get("set-cookie", "")


def changed(**claims: Any) -> Callable[[Json], Json]:
    """A forgery: claims set anew, or taken away where they are None; short names are LTI's own."""

    def forge(message: Json) -> Json:
        for name, value in claims.items():
            full = name if name in ("iss", "aud", "azp", "sub", "nonce", "nbf") else f"{CLAIM}{name}"
            message = {**message, full: value}
            if value is None:
                del message[full]
        return message

    return forge


FORGERIES: dict[str, tuple[Callable[[Json], Json], str]] = {
    "another issuer": (changed(iss="https://evil.example"), "another platform"),
    "another audience": (changed(aud="tool-2"), "another tool"),
    "another party": (changed(azp="tool-2"), "another tool"),
    "several audiences, and no party": (changed(aud=[CLIENT, "tool-2"], azp=None), "another tool"),
    "another deployment": (changed(deployment_id="deployment-2"), "This deployment"),
    "no deployment": (changed(deployment_id=None), "deployment_id"),
    "another nonce": (changed(nonce="guessed"), "another sign-in"),
    "no nonce": (changed(nonce=None), "its nonce"),
    "nobody": (changed(sub=None), "its sub"),
    "an empty name": (changed(sub="  "), "its sub"),
    "no roles": (changed(roles=None), "its roles"),
    "roles that are none": (changed(roles="Instructor"), "its roles"),
    "no link": (changed(resource_link=None), "resource_link"),
    "an older version": (changed(version="1.1"), "1.3.0"),
    "no version": (changed(version=None), "1.3.0"),
    "another message": (changed(message_type="LtiStartProctoring"), "message type"),
    "a target elsewhere": (changed(target_link_uri="https://evil.example/lti/launch"), "elsewhere"),
    "a target on another port": (changed(target_link_uri="http://localhost:81/lti/launch"), "elsewhere"),
    "no target": (changed(target_link_uri=None), "elsewhere"),
    "from the future": (changed(nbf=time.time() + 3_600), "not valid yet"),
}


async def test_a_launch_that_is_not_for_us_is_refused_with_its_reason(lti: Api, foreign: ForeignPlatform) -> None:
    for forge, why in FORGERIES.values():
        foreign.forge = forge
        try:
            check_refusal(await launched(lti, foreign, "ada"), why)
        finally:
            foreign.forge = lambda claims: claims
    assert (await launched(lti, foreign, "ada")).status_code == 303, "the next is taken"


def packed(value: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed_otherwise(foreign: ForeignPlatform, token: str, how: str) -> str:
    """The claims of a token under another signature, or under none."""
    header, body, signature = token.split(".")
    match how:
        case "none":
            return f"{packed({'alg': 'none', 'typ': 'JWT'})}.{body}."
        case "None":
            return f"{packed({'alg': 'None', 'typ': 'JWT'})}.{body}."
        case "without a signature":
            return f"{header}.{body}."
        case "the public key as a secret":
            head = packed({"alg": "HS256", "typ": "JWT"})
            raw = hmac.digest(foreign.public.encode(), f"{head}.{body}".encode(), "sha256")
            return f"{head}.{body}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"
        case "another key":
            claims = jwt.decode(token, options={"verify_signature": False})
            return jwt.encode(claims, ForeignPlatform().private, "RS256", {"kid": foreign.registration.get_kid()})
        case "a changed body":
            claims = jwt.decode(token, options={"verify_signature": False})
            return f"{header}.{packed({**claims, 'sub': '7'})}.{signature}"
    return "no.token"


async def test_a_launch_that_the_platform_did_not_sign_is_refused(lti: Api, foreign: ForeignPlatform) -> None:
    reasons = {
        "none": "not signed as it must be",
        "None": "not signed as it must be",
        "without a signature": "signature is wrong",
        "the public key as a secret": "not signed as it must be",
        "another key": "signature is wrong",
        "a changed body": "signature is wrong",
        "nothing": "not signed",
    }
    fields = foreign.answer(await begun(lti, foreign, "ada"))
    for how, why in reasons.items():
        forged = signed_otherwise(foreign, fields["id_token"], how)
        check_refusal(await lti.client.post("/lti/launch", data={**fields, "id_token": forged}), why)
    assert (await lti.client.post("/lti/launch", data=fields)).status_code == 303, "the platform's own is taken still"


async def test_an_expired_launch_is_refused(lti: Api, foreign: ForeignPlatform) -> None:
    fields = foreign.answer(await begun(lti, foreign, "ada"))
    lti.clock.ahead += 8 * MINUTE  # it lives for five
    check_refusal(await lti.client.post("/lti/launch", data=fields), "has expired")
    lti.clock.ahead += 3 * MINUTE
    check_refusal(await lti.client.post("/lti/launch", data=fields), "began too long ago")


async def test_a_state_and_a_nonce_count_once(lti: Api, foreign: ForeignPlatform) -> None:
    fields = foreign.answer(await begun(lti, foreign, "ada"))
    cookies = list(lti.client.cookies.jar)
    assert (await lti.client.post("/lti/launch", data=fields)).status_code == 303
    for cookie in cookies:
        lti.client.cookies.jar.set_cookie(cookie)
    check_refusal(await lti.client.post("/lti/launch", data=fields), "used already")
    other = foreign.answer(await begun(lti, foreign, "ada"))
    check_refusal(await lti.client.post("/lti/launch", data={**other, "id_token": fields["id_token"]}), "used already")
    made_up = {**other, "state": "made-up"}
    check_refusal(await lti.client.post("/lti/launch", data=made_up), "used already")


async def test_of_many_at_once_one_counts(lti: Api, foreign: ForeignPlatform) -> None:
    fields = foreign.answer(await begun(lti, foreign, "ada"))
    answers = await asyncio.gather(*[lti.client.post("/lti/launch", data=fields) for _ in range(8)])
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 7


async def test_nobody_is_signed_in_by_a_launch_that_began_in_another_browser(
    lti: Api, foreign: ForeignPlatform
) -> None:
    fields = foreign.answer(await begun(lti, foreign, "ada"))
    proof = next(cookie.value for cookie in lti.client.cookies.jar if cookie.name.startswith("mastery_lti_"))
    lti.client.cookies.clear()
    answer = await lti.client.post("/lti/launch", data=fields)
    assert "mastery_launch" not in answer.headers.get("set-cookie", "")
    assert "Open it in a new window" in answer.text
    foreign_form = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await lti.client.post("/lti/launch", data=fields | {"stored": proof}, headers=foreign_form)
    assert answer.status_code == 403, "a form of another site has no word in it"
    answer = await lti.client.post("/lti/launch", data=fields | {"stored": proof})
    assert answer.status_code == 303, "our own page has it from the platform's storage"


async def test_a_browser_without_cookies_comes_to_an_end(lti: Api, foreign: ForeignPlatform) -> None:
    """First a window is offered; in the window it says what to allow. Nothing goes on by itself."""
    fields = foreign.answer(await begun(lti, foreign, "ada"))
    lti.client.cookies.clear()
    answer = await lti.client.post("/lti/launch", data=fields)
    again = re.search(r'href="([^"]+/lti/login[^"]+)"', answer.text)
    assert again is not None
    begun_again = await lti.client.get(html.unescape(again[1]))
    assert begun_again.status_code == 302
    fields = foreign.answer(begun_again.headers["location"])
    lti.client.cookies.clear()
    answer = await lti.client.post("/lti/launch", data=fields)
    assert ("allow them in its settings" in answer.text, "/lti/login" in answer.text) == (True, False)
    # And where the proof comes and the session is lost on the way.
    visit = (await launched(lti, foreign, "ada")).headers["location"]
    lti.client.cookies.clear()
    lost = await lti.client.get(visit)
    assert (lost.status_code, "Open it in a new window" in lost.text) == (403, True)
    assert f"frame-ancestors {foreign.url};" in lost.headers["content-security-policy"] + ";"


async def test_the_address_of_launches_opened_by_hand_says_where_to_begin(lti: Api) -> None:
    check_refusal(await lti.client.get("/lti/launch"), "opens from a course")


async def test_a_sign_in_that_cannot_be_is_refused(lti: Api, foreign: ForeignPlatform) -> None:
    for fields, why in [
        ({"iss": "https://unknown.example"}, "is not known here"),
        ({"client_id": "tool-2"}, "is not known here"),
        ({"target_link_uri": "https://evil.example/"}, "leads elsewhere"),
        ({"login_hint": ""}, "login_hint"),
        ({"iss": ""}, "did not send iss"),
        ({"lti_message_hint": "x" * 9_000}, "too long"),
    ]:
        check_refusal(await lti.client.post("/lti/login", data=foreign.login_fields("ada", **fields)), why)


@pytest.mark.parametrize("language", ["es", "ar"])
async def test_a_refusal_is_said_in_the_language_of_the_reader(
    lti: Api, foreign: ForeignPlatform, language: str
) -> None:
    """With the service's own words, in English, to open where a sentence does not say all."""
    lti.client.headers["Accept-Language"] = language
    words = words_of(language)

    async def told(answer: httpx.Response) -> tuple[str, str]:
        assert (answer.status_code, f'<html lang="{language}"' in answer.text) == (403, True)
        text = html.unescape(answer.text)
        (said,) = re.findall(r'role="alert"><p dir="auto">([^<]+)</p>', text)
        return said, "".join(re.findall(r'<p lang="en" dir="ltr">([^<]+)</p>', text))

    used = "This launch has been used already, or began too long ago: open the link in your course again."
    by_hand = "This address opens from a course: open the link there."
    made_up = {"id_token": "x", "state": "made-up"}
    assert await told(await lti.client.get("/lti/launch")) == (words.gettext(by_hand), "")
    assert await told(await lti.client.post("/lti/launch", data=made_up)) == (words.gettext(used), "")
    asked = foreign.login_fields("ada", iss="")
    assert await told(await lti.client.post("/lti/login", data=asked)) == (
        words.gettext("The learning platform did not send all that opening a page takes, or not as it must be."),
        "The sign-in is not complete: the platform did not send iss. Open the link in your course, not this address.",
    )
    refused = await lti.client.post("/lti/choose", data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert await told(refused) == (
        words.gettext("This form was sent from another site: use the form at /dashboard."),
        "",
    )


async def test_a_sign_in_says_what_the_platform_needs(lti: Api, foreign: ForeignPlatform) -> None:
    url = await begun(lti, foreign, "ada")
    asked = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith(f"{foreign.url}/auth?")
    assert asked.pop("state") != asked.pop("nonce") != ""
    assert asked == {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": CLIENT,
        "redirect_uri": f"{OURS}/lti/launch",
        "login_hint": "ada",
        "lti_message_hint": "link-1",
    }
    without = foreign.login_fields("ada")
    del without["client_id"], without["lti_deployment_id"]
    posted = await lti.client.post("/lti/login", data=without)
    assert posted.status_code == 302, "one platform of this issuer is known"
    cookies = posted.headers.get_list("set-cookie")
    assert any("SameSite=None; Secure; Partitioned" in one and "HttpOnly" in one for one in cookies)


async def test_only_the_platform_may_show_its_pages_in_a_frame(lti: Api, foreign: ForeignPlatform) -> None:
    page = await opened(lti, foreign, "ada")
    assert f"frame-ancestors {foreign.url}" in page.headers["content-security-policy"]
    assert "x-frame-options" not in page.headers
    lti.client.cookies.clear()
    for path in ("/dashboard", "/lti/login", "/lti/launch", "/lti/jwks"):
        other = await lti.client.get(path)
        assert "frame-ancestors 'none'" in other.headers["content-security-policy"], path
        assert other.headers["x-frame-options"] == "DENY", path


async def test_a_session_opens_pages_and_no_call(lti: Api, foreign: ForeignPlatform) -> None:
    await opened(lti, foreign, "eve")
    token = next(cookie.value for cookie in lti.client.cookies.jar if cookie.name.startswith("mastery_launch"))
    assert token is not None
    assert (await lti.get("/cohorts/py-101", token=token)).status_code == 401
    assert (await lti.client.post("/dashboard", data={"token": token})).status_code == 401


async def test_a_session_ends_by_time_by_sign_out_and_with_its_platform(lti: Api, foreign: ForeignPlatform) -> None:
    own = (await opened(lti, foreign, "ada")).url.path
    token = next(one.value for one in lti.client.cookies.jar if one.name.startswith("mastery_launch")) or ""
    assert (await lti.engine.lti.admitted(token)).subject == own.rpartition("/")[2], "as a live page asks"
    lti.clock.ahead += 8 * 60 * MINUTE + SECOND
    with pytest.raises(Unauthenticated):
        await lti.engine.lti.admitted(token)
    ended = await lti.client.get(own)
    assert (ended.status_code, "open the link in your course again" in ended.text) == (401, True)
    assert f"frame-ancestors {foreign.url}" in ended.headers["content-security-policy"]
    lti.clock.ahead = 0
    own = (await opened(lti, foreign, "ada")).url.path
    out = await lti.client.post("/dashboard/sign-out")
    assert (out.status_code, "You have signed out" in out.text) == (200, True)
    assert "Sign in" in (await lti.client.get(own)).text
    own = (await opened(lti, foreign, "ada")).url.path
    await lti.engine.lti.platforms.remove(OPERATOR, foreign.url, CLIENT)
    assert (await lti.client.get(own)).status_code == 401
    check_refusal(await lti.client.get("/lti/login", params=foreign.login_fields("ada")), "is not known here")


async def test_an_operator_who_is_launched_has_no_operators_page(lti: Api, foreign: ForeignPlatform) -> None:
    """Whoever signed in by a token before is the person of the launch then, and of nothing else."""
    await lti.client.post("/dashboard", data={"token": make_token()})
    page = await opened(lti, foreign, "root")
    assert "Your students" in page.text
    assert "mastery_session" not in lti.client.cookies


async def test_who_was_erased_is_told_so(lti: Api, foreign: ForeignPlatform) -> None:
    own = (await opened(lti, foreign, "ada")).url.path.rpartition("/")[2]
    assert (await lti.call("DELETE", f"/compliance/students/{own}")).status_code == 200
    assert (await lti.client.get(f"/dashboard/students/{own}")).status_code == 401, "the session went with them"
    check_refusal(await launched(lti, foreign, "ada"), "was erased")
    (record,) = await lti.engine.lti.classes.page("", lti.clock())
    assert await lti.engine.lti.classes.people(record, lti.clock()) == {}


async def test_launches_are_audited_and_counted(lti: Api, foreign: ForeignPlatform) -> None:
    own = (await opened(lti, foreign, "ada")).url.path.rpartition("/")[2]
    foreign.forge = changed(aud="tool-2")
    try:
        await launched(lti, foreign, "ada")
    finally:
        foreign.forge = lambda claims: claims
    found = [(one.call, one.allowed, one.student_id) for one in await lti.audited() if one.call == "lti-launch"]
    assert ("lti-launch", True, lti.pseudonym(own)) in found
    assert ("lti-launch", False, None) in found
    metrics = (await lti.client.get("/metrics")).text
    assert 'mastery_lti_launches_total{outcome="learner"} 1.0' in metrics
    assert 'mastery_lti_launches_total{outcome="audience"} 1.0' in metrics
    assert not [one for one in await lti.audited() if "Ada" in str(one) or foreign.url in str(one)]


async def test_calls_of_nobody_who_is_known_are_limited_by_address(
    lti: Api, foreign: ForeignPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.auth.limits.LAUNCHES", 4)
    assert (await launched(lti, foreign, "ada")).status_code == 303
    codes = [(await lti.client.get("/lti/login", params=foreign.login_fields("ada"))).status_code for _ in range(4)]
    assert codes == [302, 302, 429, 429]


async def test_a_title_that_turns_the_direction_of_text_is_a_plain_one(lti: Api, foreign: ForeignPlatform) -> None:
    foreign.forge = changed(context={"id": "course-9", "title": "Py\u202ethon\n 1"})
    try:
        assert (await launched(lti, foreign, "ada")).status_code == 303
    finally:
        foreign.forge = lambda claims: claims
    (record,) = await lti.engine.lti.classes.page("", lti.clock())
    assert (await lti.get(f"/cohorts/{record.cohort_id}")).json()["data"]["name"] == "Python 1"


async def test_guesses_are_limited_by_address(lti: Api) -> None:
    fields = {"id_token": "a.b.c", "state": "guessed"}
    codes = [(await lti.client.post("/lti/launch", data=fields)).status_code for _ in range(BAD_TOKENS + 1)]
    assert codes == [403] * BAD_TOKENS + [429]


async def test_without_an_address_of_ours_nothing_can_be_launched(tmp_path: Path, foreign: ForeignPlatform) -> None:
    async with serving(tmp_path, lti_allow_private=True) as api:
        await api.engine.lti.platforms.add(OPERATOR, known(foreign))
        check_refusal(await api.client.get("/lti/login", params=foreign.login_fields("ada")), "PUBLIC_URL")


async def test_keys_that_cannot_be_read_are_no_reason_to_believe(tmp_path: Path, foreign: ForeignPlatform) -> None:
    """A platform whose keys are away is asked again; addresses in our own network are not called unless allowed."""
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        platform = msgspec.structs.replace(known(foreign), jwks_url="http://127.0.0.1:65535/keys")
        await api.engine.lti.platforms.add(OPERATOR, platform)
        answer = await launched(api, foreign, "ada")
        assert (answer.status_code, "keys of your learning platform" in answer.text) == (503, True)
    async with serving(tmp_path, public_url=OURS) as api:
        answer = await launched(api, foreign, "ada")
        assert answer.status_code == 503


async def test_keys_of_ours_are_published_and_renewed(lti: Api) -> None:
    async def published() -> list[str]:
        keys = (await lti.client.get("/lti/jwks")).json()["keys"]
        assert all(key.keys() == {"kty", "n", "e", "kid", "alg", "use"} for key in keys)
        return [key["kid"] for key in keys]

    first = await published()
    assert len(first) == 1
    keys = lti.engine.lti.keys
    lti.clock.ahead += 90 * DAY
    both = await published()
    assert (len(both), both[1:]) == (2, first)
    kid = jwt.get_unverified_header(await keys.sign({}, lti.clock()))["kid"]
    assert kid == first[0], "platforms do not know the new one yet"
    lti.clock.ahead += DAY
    assert jwt.get_unverified_header(await keys.sign({}, lti.clock()))["kid"] == both[0]
    (entry,) = await lti.stores.registry.find("lti-keys", ["tool"], lti.clock())
    assert entry is not None
    assert b"PRIVATE" not in entry.value
    with pytest.raises(ValueError, match="deserialize|parse|ASN|key"):
        load_der_private_key(msgspec.msgpack.decode(entry.value)[0]["sealed"], None)
