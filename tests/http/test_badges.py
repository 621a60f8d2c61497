"""Badges over HTTP: issued once, shown to whoever has the link, named only if asked, revoked, erased, moved."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.cli.console import operator
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.results import Updated
from mastery_engine.domain.student import StudentKey
from mastery_engine.http.dashboard import student
from mastery_engine.out.badges.issuer import Issuer, document_address
from tests.support.badges import ForeignVerifier
from tests.support.calls import STUDENT, Api, Json, event, serving
from tests.support.live import make_token

SCHOOL = Issuer("https://mastery.school.example")
HTML, JWT = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, {"Accept": "application/vc+jwt"}
NOBODY = ""  # no token
PUT_COURSE = {"title": "Rust <for> you & me", "badges": "competent"}
ME = make_token(role="student", subject=STUDENT)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, public_url=SCHOOL.address) as api:
        yield api


async def set_course(api: Api, course_id: str = "rust", **more: Any) -> None:
    answer = await api.call("PUT", f"/courses/{course_id}", {**PUT_COURSE, **more})
    assert answer.status_code == 200, answer.text


def updated(level: str, *, student_id: str = STUDENT, course_id: str = "rust", at: int, event_id: str = "e") -> Updated:
    return Updated("default", student_id, at, (event_id,), 0.7, 0.1, level, (0.7,) * 4, 1.0, course_id=course_id)


async def reach(api: Api, level: str = "competent", **more: Any) -> None:
    """Have the worker's followers told that a student has reached a level."""
    await api.engine.badges.follow([updated(level, at=api.clock(), **more)])


async def badges_of(api: Api, student_id: str = STUDENT) -> list[Json]:
    answer = await api.get(f"/students/{student_id}/badges")
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["data"]["badges"]
    return found


async def issued(api: Api) -> Json:
    await set_course(api)
    await reach(api)
    (badge,) = await badges_of(api)
    return badge


async def shown(api: Api, address: str, **headers: str) -> Any:
    return await api.get(address.removeprefix(SCHOOL.address), token=NOBODY, headers=headers)


async def verifier(api: Api, badge: Json, **headers: str) -> ForeignVerifier:
    """openbadgeslib, which is served what the school's addresses answer."""
    credential = (await shown(api, badge["url"])).json()
    addresses = [document_address(SCHOOL.did), credential["credentialStatus"]["statusListCredential"]]
    return ForeignVerifier({one: (await shown(api, one, **headers)).content for one in addresses}, SCHOOL)


async def test_whoever_reaches_the_level_has_one_badge(api: Api) -> None:
    await set_course(api, "default", title="Python", badges="developing")
    exercises = [event(total_exercises=10, completed_exercises=10) for _ in range(3)]
    await api.learn(*exercises, {**event("quiz", correct_answers=10), "event_id": "q1"})
    async with asyncio.timeout(10):
        while not (found := await badges_of(api)):
            await asyncio.sleep(0.02)
    (badge,) = found
    assert (badge["level"], badge["course_id"], badge["title"]) == ("developing", "default", "Python")
    assert (badge["name"], badge["revoked"]) == (None, None)
    await api.learn({**event("quiz", correct_answers=10), "event_id": "q2"})
    await reach(api, "expert", course_id="default")
    assert await badges_of(api) == [badge]


async def test_a_jump_above_counts_and_falling_takes_nothing(api: Api) -> None:
    await set_course(api)
    await reach(api, "developing")
    assert (await api.get(f"/students/{STUDENT}/badges")).status_code == 404, "nothing is known of them"
    await reach(api, "expert")
    (badge,) = await badges_of(api)
    assert badge["level"] == "competent"
    await reach(api, "beginner")
    await api.call("PUT", "/courses/rust", {"badges": "expert", "title": "Renamed"})
    await reach(api, "expert")
    first, second = await badges_of(api)
    assert first == badge, "what it was called then"
    assert (second["level"], second["title"]) == ("expert", "Renamed")


async def test_anybody_with_the_link_sees_and_verifies_it(api: Api) -> None:
    badge = await issued(api)
    document = await shown(api, badge["url"])
    assert document.headers["content-type"] == "application/json"
    assert document.headers["access-control-allow-origin"] == "*"
    assert STUDENT not in document.text
    credential = document.json()
    assert credential["id"] == badge["url"]
    assert credential["type"] == ["VerifiableCredential", "AchievementCredential"]
    token = await shown(api, badge["url"], **JWT)
    assert token.headers["content-type"] == "application/vc+jwt"
    assert (await shown(api, f"{badge['url']}.json")).content == document.content
    assert (await shown(api, f"{badge['url']}.jwt")).content == token.content
    for wanted in ("application/vc", "application/ld+json"):
        answer = await shown(api, badge["url"], Accept=wanted)
        assert (answer.headers["content-type"], answer.content) == (wanted, document.content)

    foreign = await verifier(api, badge)
    foreign.check_document(document.content)
    foreign.check_token(token.text, lists_are_tokens=False)
    (await verifier(api, badge, **JWT)).check_token(token.text)
    for ending in ("png", "svg"):
        picture = await shown(api, f"{badge['url']}.{ending}")
        verdict = await api.engine.badge_credentials.verify(picture.content)
        assert verdict.verified, verdict
        assert verdict.is_issuer_known
    assert (await api.get("/badges/default." + "a" * 26, token=NOBODY)).status_code == 404
    for wrong in ("x", "a.b", "default.", "DEFAULT." + "a" * 26, "default." + "1" * 26):
        assert (await api.get(f"/badges/{wrong}", token=NOBODY)).status_code == 404, wrong


async def test_the_page_says_it_in_words_and_loads_nothing_from_elsewhere(api: Api) -> None:
    badge = await issued(api)
    page = await shown(api, badge["url"], **HTML)
    assert page.headers["content-type"].startswith("text/html")
    assert "Rust &lt;for&gt; you &amp; me: competent" in page.text
    assert "has not asked for it" in page.text
    assert STUDENT not in page.text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(one.startswith("/") or one == "data:," for one in loaded), loaded
    gone = await shown(api, SCHOOL.badge("default." + "a" * 26), **HTML)
    assert (gone.status_code, gone.headers["content-type"].partition(";")[0]) == (404, "text/html")


async def test_a_name_is_shown_only_if_the_student_asks(api: Api) -> None:
    badge = await issued(api)
    place = f"/students/{STUDENT}/badges/{badge['badge_id']}/name"
    assert (await api.call("PUT", place, {"shown": True}, token=ME)).status_code == 409, "the school has said no name"
    await api.call("PUT", f"/students/{STUDENT}/profile", {"display_name": "Ada Lovelace"})
    before = (await shown(api, badge["url"])).json()
    assert "Ada" not in json.dumps(before)
    for token in (None, make_token(role="teacher", subject="t", students=[STUDENT]), make_token(role="service")):
        assert (await api.call("PUT", place, {"shown": True}, token=token)).status_code == 403
    other = make_token(role="student", subject="s_2")
    assert (await api.call("PUT", place, {"shown": True}, token=other)).status_code == 403
    assert (await api.call("PUT", place.replace(STUDENT, "s_2"), {"shown": True}, token=other)).status_code == 404

    answer = await api.call("PUT", place, {"shown": True}, token=ME)
    assert answer.json()["data"]["name"] == "Ada Lovelace"
    after = await shown(api, badge["url"])
    assert after.json()["id"] == before["id"]
    assert after.json()["credentialStatus"] == before["credentialStatus"]
    (identity,) = after.json()["credentialSubject"]["identifier"]
    assert (identity["identityType"], identity["identityHash"]) == ("name", "Ada Lovelace")
    assert "Ada Lovelace" in (await shown(api, badge["url"], **HTML)).text
    (await verifier(api, badge)).check_document(after.content)
    await api.call("PUT", place, {"shown": False}, token=ME)
    assert "Ada" not in (await shown(api, badge["url"])).text


async def test_the_call_for_a_name_is_as_strict_as_all(api: Api) -> None:
    badge = await issued(api)
    place = f"/students/{STUDENT}/badges/{badge['badge_id']}/name"
    await api.call("PUT", f"/students/{STUDENT}/profile", {"display_name": "Ada"})
    for wrong in (b"", b"[]", b"{}", b'{"shown": 1}', b'{"shown": true, "name": "Grace"}', b'{"shown": NaN}'):
        assert (await api.call("PUT", place, content=wrong, token=ME)).status_code == 400, wrong
    marked = '\ufeff{"shown": true}'.encode()
    key = {"Idempotency-Key": "k"}
    for content, status in ((marked, 200), (b'{"shown":true}', 200), (b'{"shown":false}', 409)):
        assert (await api.call("PUT", place, content=content, token=ME, headers=key)).status_code == status
    assert (await badges_of(api))[0]["name"] == "Ada"


async def test_an_admin_revokes_and_the_list_says_so(api: Api) -> None:
    badge = await issued(api)
    await reach(api, student_id="s_2")
    document = (await shown(api, badge["url"])).content
    for token in (ME, make_token(role="teacher", subject="t", students=[STUDENT]), make_token(tenant="other")):
        assert (await api.call("DELETE", f"/badges/{badge['badge_id']}", token=token)).status_code in (403, 404)
    (await verifier(api, badge)).check_document(document)
    for _ in range(2):
        answer = await api.call("DELETE", f"/badges/{badge['badge_id']}")
        assert answer.json()["data"]["revoked"]
    assert (await badges_of(api))[0]["revoked"] == answer.json()["data"]["revoked"]
    assert "Revoked" in (await shown(api, badge["url"], **HTML)).text
    with pytest.raises(Exception, match="is set at index"):
        (await verifier(api, badge)).check_document(document)
    verdict = await api.engine.badge_credentials.verify(document)
    assert [one.message for one in verdict.checks if not one.passed] == ["It was revoked."]
    (other,) = await badges_of(api, "s_2")
    (await verifier(api, other)).check_document((await shown(api, other["url"])).content)
    await reach(api)
    assert len(await badges_of(api)) == 1, "a revoked badge is not issued again"


async def test_an_erased_badge_is_gone_and_revoked(api: Api) -> None:
    badge = await issued(api)
    document = (await shown(api, badge["url"])).content
    export = (await api.get(f"/compliance/students/{STUDENT}/export")).json()["data"]
    (held,) = [one["content"] for one in export["entries"] if one["table"] == "badges"]
    assert (held["badge_id"], held["level"]) == (badge["badge_id"], badge["level"])
    late = updated("competent", at=api.clock())
    assert (await api.call("DELETE", f"/compliance/students/{STUDENT}")).status_code == 200
    for ending in ("", ".svg", ".png", ".json", ".jwt"):
        answer = await shown(api, badge["url"] + ending)
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "GONE")
    page = await shown(api, badge["url"], **HTML)
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (410, "text/html")
    verdict = await api.engine.badge_credentials.verify(document)
    assert [one.message for one in verdict.checks if not one.passed] == ["It was revoked."]
    assert (await api.call("DELETE", f"/badges/{badge['badge_id']}")).status_code == 410
    left = await api.stores.registry.page("badges", "", "", 100, api.clock())
    assert STUDENT.encode() not in b"".join(one.value for one in left)

    await api.engine.badges.follow([late])
    assert await api.stores.registry.owned(StudentKey("default", STUDENT), api.clock()) == []
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": True})
    await api.engine.badges.follow([late])
    assert (await api.get(f"/students/{STUDENT}/badges")).status_code == 404, "it was earned before the erasure"
    await reach(api)
    (new,) = await badges_of(api)
    assert new["badge_id"] != badge["badge_id"]
    assert (await shown(api, badge["url"])).status_code == 410


async def test_the_students_page_shows_what_they_earned_and_what_was_taken_back(api: Api) -> None:
    async def page(token: str) -> str:
        await asyncio.sleep(student.SHARED_S)
        answer = await api.client.get(
            f"/dashboard/students/{STUDENT}?course_id=rust", headers={"Cookie": f"mastery_session={token}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    await api.learn({**event("quiz"), "course_id": "rust"})
    teacher = make_token("teacher", students=[STUDENT])
    assert 'id="h-badges"' not in await page(ME)
    badge = await issued(api)
    link = badge["url"].removeprefix(SCHOOL.address)
    for token in (ME, teacher):
        found = await page(token)
        assert f'<a href="{link}">Rust &lt;for&gt; you &amp; me: competent</a>' in found
        assert "Earned on " in found
        assert found.count('class="medal"') == 1
        assert "Taken back" not in found
    assert (await api.call("DELETE", f"/badges/{badge['badge_id']}")).status_code == 200
    found = await page(teacher)
    assert "Taken back" in found
    assert "It no longer counts." in found
    assert link in found


async def test_without_consent_there_is_no_badge(api: Api) -> None:
    await set_course(api)
    place = f"/compliance/students/{STUDENT}/consent"
    await api.call("PUT", place, {"processing": False})
    await reach(api)
    assert await api.stores.registry.owned(StudentKey("default", STUDENT), api.clock()) == []
    await api.call("PUT", place, {"processing": True})
    await reach(api, "expert")
    assert len(await badges_of(api)) == 1


async def test_badges_stay_with_the_person_whose_identity_is_linked(api: Api) -> None:
    await set_course(api)
    lms = {"system": "https://lms.example", "id": "42"}
    theirs = api.engine.people._profiles.derived_id("default", Identity(**lms))
    await api.learn({**event("quiz", student_id=theirs, correct_answers=9), "event_id": "m-1", "course_id": "rust"})
    await reach(api, student_id=theirs)
    (badge,) = await badges_of(api, theirs)
    document = (await shown(api, badge["url"])).content
    answer = await api.call("PUT", f"/students/{STUDENT}/profile", {"external": [lms]})
    assert answer.status_code == 200, answer.text
    (moved,) = await badges_of(api)
    assert moved == {**badge, "student_id": STUDENT}
    assert (await shown(api, badge["url"])).content == document
    assert (await api.get(f"/students/{theirs}/badges")).status_code == 404
    await reach(api, "expert")
    await reach(api, "expert", student_id=theirs, event_id="late")
    assert await badges_of(api) == [moved], "they have it already"
    assert (await api.call("DELETE", f"/compliance/students/{STUDENT}")).status_code == 200
    assert (await shown(api, badge["url"])).status_code == 410


async def test_keys_rotate_and_old_badges_verify(api: Api) -> None:
    badge = await issued(api)
    old, old_token = (await shown(api, badge["url"])).content, (await shown(api, badge["url"], **JWT)).text
    before = (await shown(api, "/.well-known/did.json")).json()
    key = await api.engine.badge_credentials.rotate(operator())
    after = (await shown(api, "/.well-known/did.json")).json()
    assert after["id"] == SCHOOL.did == "did:web:mastery.school.example"
    assert after["verificationMethod"][:1] == before["verificationMethod"]
    assert after["verificationMethod"][1]["publicKeyMultibase"] == key.public
    new = await shown(api, badge["url"])
    assert new.json()["proof"]["verificationMethod"] == SCHOOL.method(key.public)
    foreign = await verifier(api, badge)
    for document in (old, new.content):
        foreign.check_document(document)
        assert (await api.engine.badge_credentials.verify(document)).verified
    foreign.check_token(old_token, lists_are_tokens=False)
    (entry,) = await api.stores.registry.page("badge-keys", "", "", 10, api.clock())
    assert entry.value.count(b"sealed") == 2
    first, last = await api.engine.badge_credentials._keys.all(api.clock())
    assert first.sealed is None, "what an older key has signed stays, but it signs no more"
    assert last.sealed is not None


async def test_without_a_public_address_the_error_says_what_to_set(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        await set_course(api)
        await reach(api)
        (entry,) = await api.stores.registry.page("badges", "default/", "", 10, api.clock())
        badge_id = entry.key.replace("/", ".")
        for path in (f"/students/{STUDENT}/badges", f"/badges/{badge_id}", "/badges/status/0", "/.well-known/did.json"):
            answer = await api.get(path)
            assert (answer.status_code, "PUBLIC_URL" in answer.text) == (409, True), path
        await api.learn(event("quiz"))
        page = await api.client.get(f"/dashboard/students/{STUDENT}", headers={"Cookie": f"mastery_session={ME}"})
        assert (page.status_code, 'id="h-badges"' in page.text) == (200, False), "its link would lead nowhere"
    async with serving(tmp_path, public_url=SCHOOL.address) as api:
        assert [one["badge_id"] for one in await badges_of(api)] == [badge_id], "nothing was lost meanwhile"


async def test_links_are_limited_by_address(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.auth.limits.LINKS", 3)
    badge = await issued(api)
    places = ["/badges/status/0", "/.well-known/did.json", badge["url"], badge["url"], f"{badge['url']}.png"]
    assert [(await shown(api, place)).status_code for place in places] == [200, 200, 200, 429, 429]
    assert len(await badges_of(api)) == 1, "who has a token is not meant"


async def test_the_status_list(api: Api) -> None:
    first = (await shown(api, "/badges/status/0")).json()
    assert first["type"] == ["VerifiableCredential", "BitstringStatusListCredential"]
    assert (await shown(api, "/badges/status/1")).status_code == 404
    for wrong in ("x", "-1", "10000"):
        assert (await shown(api, f"/badges/status/{wrong}")).status_code == 400
    await issued(api)
    assert (await shown(api, "/badges/status/0")).json() == first, "a new badge does not show in it"
