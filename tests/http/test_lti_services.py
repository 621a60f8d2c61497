"""What launches open besides pages: rosters, the choice of a link, registration, and scores."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.people.identity import identity
from mastery_engine.lti.contexts import ContextRecord
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.services.lti.calls import PlatformFault
from tests.support.calls import Api, serving
from tests.support.lti_platform import (
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


def member(sub: str, *roles: str, status: str = "Active", **more: str) -> Json:
    return {"user_id": sub, "roles": list(roles or LEARNER), "status": status, "name": f"Name of {sub}", **more}


@pytest.fixture(scope="module")
def server() -> Iterator[ForeignPlatform]:
    with platform_at() as platform:
        yield platform


@pytest.fixture
def foreign(server: ForeignPlatform) -> ForeignPlatform:
    server.tool_url = OURS
    server.people = {"ada": Visitor("u0", "Ada", LEARNER), "eve": Visitor("t1", "Eve", INSTRUCTOR)}
    server.members = [member("u0"), member("u1"), member("u2"), member("t1", *INSTRUCTOR), member("u3")]
    server.fails, server.chooses, server.grades, server.asked, server.scores = set(), False, False, [], []
    return server


@pytest.fixture
async def lti(tmp_path: Path, foreign: ForeignPlatform) -> AsyncIterator[Api]:
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        urls = [f"{foreign.url}/{name}" for name in ("auth", "token", "keys")]
        platform = LtiPlatform(foreign.url, CLIENT, "default", *urls, (DEPLOYMENT,))
        await api.engine.lti.platforms.add(OPERATOR, platform)
        foreign.tool_keys = (await api.client.get("/lti/jwks")).json()
        yield api


async def launched(api: Api, foreign: ForeignPlatform, who: str) -> httpx.Response:
    begun = await api.client.get("/lti/login", params=foreign.login_fields(who))
    return await api.client.post("/lti/launch", data=foreign.answer(begun.headers["location"]))


async def record_of(api: Api) -> ContextRecord:
    (record,) = await api.engine.lti.classes.page("", api.clock())
    return record


async def in_class(api: Api) -> tuple[set[str], set[str]]:
    """The members and teachers of the only class, by their sub."""
    record = await record_of(api)
    roster = await api.engine.cohorts.roster("default", record.cohort_id, api.clock())
    profiles = api.engine.people._profiles
    subs = {profiles.derived_id("default", identity(record.issuer, name)): name for name in SUBS}
    return {subs[one] for one in roster.members}, {subs[one.student_id] for one in roster.cohort.teachers}


SUBS = [*(f"u{number}" for number in range(10)), "t1", "t2"]


async def test_a_roster_of_three_pages_fills_the_class_before_its_page_is_seen(
    lti: Api, foreign: ForeignPlatform
) -> None:
    answer = await launched(lti, foreign, "eve")
    assert foreign.asked[-4:] == ["token", "members 1", "members 2", "members 3"]
    assert await in_class(lti) == ({"u0", "u1", "u2", "u3"}, {"t1"})
    while answer.is_redirect:
        answer = await lti.client.get(answer.headers["location"])
    assert "Nothing is known yet of" in answer.text
    students = (await lti.get("/students")).json()["data"]["students"]
    assert {one["display_name"] for one in students} >= {"Name of u1", "Name of u3"}
    metrics = (await lti.client.get("/metrics")).text
    assert 'mastery_lti_rosters_total{outcome="read"} 1.0' in metrics


async def test_who_leaves_the_course_leaves_the_class_and_comes_again(lti: Api, foreign: ForeignPlatform) -> None:
    await launched(lti, foreign, "eve")
    record = await record_of(lti)
    put = await lti.get(f"/cohorts/{record.cohort_id}")
    by_hand = {"name": "Python 101", "members": [*put.json()["data"]["members"], "by-hand"]}
    await lti.call("PUT", f"/cohorts/{record.cohort_id}", by_hand)
    foreign.members = [
        member("u0"),
        member("u1", status="Inactive"),
        member("u2", status="Deleted"),
        member("u4"),
        member("t2", *INSTRUCTOR),
        member("t1"),  # who taught learns now
    ]
    lti.clock.ahead += 2 * MINUTE
    await launched(lti, foreign, "eve")
    roster = await lti.engine.cohorts.roster("default", record.cohort_id, lti.clock())
    assert "by-hand" in roster.members, "the roster never named them"
    await lti.engine.cohorts.revise(OPERATOR, record.cohort_id, "test", lambda at: at.cohort.without("by-hand"))
    assert await in_class(lti) == ({"u0", "u4", "t1"}, {"t2"})
    assert {one.sub for one in (await lti.engine.lti.classes.people(record, lti.clock())).values()} == {
        "u0",
        "u4",
        "t1",
        "t2",
    }
    foreign.members = [member("u1"), member("u0")]
    lti.clock.ahead += 2 * MINUTE
    await launched(lti, foreign, "eve")
    assert await in_class(lti) == ({"u0", "u1"}, set())


async def test_a_roster_that_breaks_off_takes_nobody_out(lti: Api, foreign: ForeignPlatform) -> None:
    await launched(lti, foreign, "eve")
    foreign.members = [member("u0"), member("u1"), member("u2")]
    foreign.fails = {"members 2"}
    lti.clock.ahead += 2 * MINUTE
    assert (await launched(lti, foreign, "eve")).status_code == 303, "a launch goes on without it"
    assert await in_class(lti) == ({"u0", "u1", "u2", "u3"}, {"t1"})
    assert 'mastery_lti_rosters_total{outcome="failed"} 1.0' in (await lti.client.get("/metrics")).text


async def test_rosters_are_read_daily_and_not_at_each_launch(lti: Api, foreign: ForeignPlatform) -> None:
    await launched(lti, foreign, "eve")
    foreign.asked.clear()
    await launched(lti, foreign, "eve")
    assert "members 1" not in foreign.asked
    assert await lti.engine.lti.rosters.run() == 0
    foreign.members = foreign.members[:2]
    assert await lti.engine.lti.classes.revise(await record_of(lti), lti.clock(), read=lti.clock() - DAY)
    runs = await asyncio.gather(*[lti.engine.lti.rosters.run() for _ in range(3)])
    assert (sum(runs) >= 1, foreign.asked.count("members 1")) == (True, 1)
    assert await in_class(lti) == ({"u0", "u1"}, set())


async def test_who_was_erased_is_in_no_roster(lti: Api, foreign: ForeignPlatform) -> None:
    await launched(lti, foreign, "eve")
    record = await record_of(lti)
    own = lti.engine.people._profiles.derived_id("default", identity(record.issuer, "u1"))
    assert (await lti.call("DELETE", f"/compliance/students/{own}")).status_code == 200
    lti.clock.ahead += 2 * MINUTE
    await launched(lti, foreign, "eve")
    assert await in_class(lti) == ({"u0", "u2", "u3"}, {"t1"})
    assert own not in await lti.engine.lti.classes.people(record, lti.clock())


async def test_a_teacher_by_roster_is_known_by_no_sub_of_the_platform(lti: Api, foreign: ForeignPlatform) -> None:
    """Another provider may call somebody else t1."""
    await launched(lti, foreign, "eve")
    record = await record_of(lti)
    roster = await lti.engine.cohorts.roster("default", record.cohort_id, lti.clock())
    (teacher,) = roster.cohort.teachers
    assert teacher.known_as == (teacher.student_id,)


async def test_a_teacher_chooses_what_a_link_opens(lti: Api, foreign: ForeignPlatform) -> None:
    foreign.chooses = True
    page = await launched(lti, foreign, "eve")
    assert re.findall(r"<button name=\"page\" value=\"(\w+)\">([^<]+)<", page.text) == [
        ("progress", "My progress"),
        ("class", "My class"),
        ("next", "My next exercise"),
    ]
    assert f"frame-ancestors {foreign.url}" in page.headers["content-security-policy"]
    token = re.search(r'name="choice" value="([^"]+)"', page.text)
    assert token is not None
    assert (await lti.client.post("/lti/choose", data={"choice": token[1], "page": "all"})).status_code == 400
    done = await lti.client.post("/lti/choose", data={"choice": token[1], "page": "next"})
    assert f"form-action {foreign.url}" in done.headers["content-security-policy"]
    where, signed = (re.search(f'{name}="([^"]+)"', done.text) for name in ("action", 'name="JWT" value'))
    assert where is not None
    assert signed is not None
    async with httpx.AsyncClient() as browser:
        await browser.post(html.unescape(where[1]), data={"JWT": signed[1]})
    (item,) = foreign.chosen[-1]
    assert (item["type"], item["title"], item["url"]) == ("ltiResourceLink", "My next exercise", f"{OURS}/lti/launch")
    assert item["custom"] == {"mastery_page": "next"}
    again = await lti.client.post("/lti/choose", data={"choice": token[1], "page": "next"})
    assert (again.status_code, "was made already" in again.text) == (403, True)


async def test_a_learner_chooses_no_link(lti: Api, foreign: ForeignPlatform) -> None:
    foreign.chooses = True
    refused = await launched(lti, foreign, "ada")
    assert (refused.status_code, "Only who teaches" in refused.text) == (403, True)


async def test_a_link_to_the_next_exercise_leads_there(lti: Api, foreign: ForeignPlatform) -> None:
    custom = {"https://purl.imsglobal.org/spec/lti/claim/custom": {"mastery_page": "next"}}
    foreign.forge = lambda claims: {**claims, **custom}
    try:
        led = []
        for who in ("ada", "eve"):
            visit = (await launched(lti, foreign, who)).headers["location"]
            led.append((await lti.client.get(visit)).headers["location"])
    finally:
        foreign.forge = lambda claims: claims
    assert (led[0].endswith("#h-next"), led[1]) == (True, "/dashboard")


async def test_an_invitation_registers_one_platform_once(tmp_path: Path, foreign: ForeignPlatform) -> None:
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        closed = await api.client.get("/lti/register", params={"openid_configuration": f"{foreign.url}/configuration"})
        assert (closed.status_code, "needs an invitation" in closed.text) == (403, True)
        invitation = await api.engine.lti.registrations.invite(Caller("cli", "admin", "school-1"), course_id="python")
        more = {"openid_configuration": f"{foreign.url}/configuration", "registration_token": "once"}
        elsewhere = {**more, "openid_configuration": f"http://localhost:{foreign.url.rpartition(':')[2]}/configuration"}
        path = invitation.url.removeprefix(OURS)
        broken = await api.client.get(path, params=httpx.QueryParams(path.partition("?")[2]).merge(elsewhere))
        assert (broken.status_code, "another host" in broken.text) == (403, True)
        asked = httpx.QueryParams(path.partition("?")[2]).merge(more)
        answers = await asyncio.gather(*[api.client.get("/lti/register", params=asked) for _ in range(3)])
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403]
        done = next(answer for answer in answers if answer.status_code == 200)
        assert "data-registered" in done.text
        assert (await api.client.get("/lti/register", params=asked)).status_code == 403
        sent = foreign.registered[-1]
        assert (sent["initiate_login_uri"], sent["jwks_uri"]) == (f"{OURS}/lti/login", f"{OURS}/lti/jwks")
        assert sent["token_endpoint_auth_method"] == "private_key_jwt"
        (entry,) = await api.engine.lti.platforms.all(OPERATOR)
        assert (entry.issuer, entry.client_id, entry.deployment_ids) == (foreign.url, CLIENT, [DEPLOYMENT])
        assert (entry.tenant, entry.course_id) == ("school-1", "python")
        foreign.tool_keys = (await api.client.get("/lti/jwks")).json()
        assert (await launched(api, foreign, "ada")).status_code == 303


async def test_an_invitation_that_did_not_register_is_good_for_its_week_and_no_longer(
    tmp_path: Path, foreign: ForeignPlatform
) -> None:
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        invitation = await api.engine.lti.registrations.invite(OPERATOR)
        query = httpx.QueryParams(invitation.url.partition("?")[2])
        asked = query.merge({"openid_configuration": f"{foreign.url}/configuration", "registration_token": "wrong"})
        for days, why in [(0, "answered 500"), (6, "answered 500"), (2, "needs an invitation")]:
            api.clock.ahead += days * DAY
            answer = await api.client.get("/lti/register", params=asked)
            assert (answer.status_code, why in answer.text) == (403, True), answer.text


async def test_a_platform_whose_keys_would_never_be_read_is_not_registered(
    tmp_path: Path, foreign: ForeignPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform has not heard of us by then, and the invitation is as good as before."""
    before = len(foreign.registered)
    monkeypatch.setattr(foreign, "described", {"jwks_uri": "https://169.254.169.254/keys"})
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        invitation = await api.engine.lti.registrations.invite(OPERATOR)
        query = httpx.QueryParams(invitation.url.partition("?")[2])
        asked = query.merge({"openid_configuration": f"{foreign.url}/configuration", "registration_token": "once"})
        answer = await api.client.get("/lti/register", params=asked)
        assert (answer.status_code, "jwks_url" in answer.text) == (403, True), answer.text
        assert len(foreign.registered) == before
        monkeypatch.setattr(foreign, "described", {})
        assert (await api.client.get("/lti/register", params=asked)).status_code == 200


async def test_the_first_deployment_that_launches_is_the_one_where_none_was_named(
    tmp_path: Path, foreign: ForeignPlatform
) -> None:
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        urls = [f"{foreign.url}/{name}" for name in ("auth", "token", "keys")]
        await api.engine.lti.platforms.add_new(LtiPlatform(foreign.url, CLIENT, "default", *urls), api.clock())
        assert (await launched(api, foreign, "ada")).status_code == 303
        other = "https://purl.imsglobal.org/spec/lti/claim/deployment_id"
        foreign.forge = lambda claims: {**claims, other: "deployment-2"}
        try:
            refused = await launched(api, foreign, "ada")
        finally:
            foreign.forge = lambda claims: claims
        assert (refused.status_code, "This deployment" in refused.text) == (403, True)


async def test_a_context_tells_where_scores_go(lti: Api, foreign: ForeignPlatform) -> None:
    foreign.grades = True
    await launched(lti, foreign, "ada")
    record = await record_of(lti)
    assert record.line_items == (f"{foreign.url}/lineitems/1",)
    people = await lti.engine.lti.classes.people(record, lti.clock())
    assert [(one.sub, one.role) for one in people.values()][:1] == [("u0", "learner")]
    now = lti.clock()
    platform = await lti.engine.lti.platforms.find(record.issuer, record.client_id, now)
    grades = lti.engine.lti.grades
    await grades.send_score(platform, record.line_items[0], "u0", 61, "2026-01-14T10:30:00.000Z", now)
    await grades.send_score(platform, record.line_items[0], "u0", 62, "2026-01-14T10:31:00.000Z", now)
    assert [(one["userId"], one["scoreGiven"], one["scoreMaximum"]) for one in foreign.scores] == [
        ("u0", 61, 100),
        ("u0", 62, 100),
    ]
    assert foreign.asked.count("token") <= 2, "a token is asked for once for its scope"
    with pytest.raises(PlatformFault) as fault:
        await grades.send_score(platform, f"{foreign.url}/lineitems/9", "u0", 61, "2026-01-14T10:30:00.000Z", now)
    assert fault.value.status == 404
