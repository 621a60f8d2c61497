"""Scores in platforms' gradebooks: each change of a whole per cent once, in order, and only what students allow."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from math import floor
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.domain.people.identity import identity
from mastery_engine.domain.student import StudentKey
from mastery_engine.lti.platforms import LtiPlatform
from tests.support.calls import Api, serving
from tests.support.lti_platform import CLIENT, DEPLOYMENT, LEARNER, ForeignPlatform, Visitor, platform_at
from tests.support.strict_gradebook import StrictGradebook, gradebook_at

OURS = "http://localhost"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ForeignPlatform, StrictGradebook]]:
    with platform_at() as platform, gradebook_at(platform) as gradebook:
        yield platform, gradebook


@pytest.fixture
def foreign(servers: tuple[ForeignPlatform, StrictGradebook]) -> ForeignPlatform:
    platform, _ = servers
    platform.tool_url = OURS
    platform.people = {name: Visitor(f"sub-{name}", name, LEARNER) for name in ("ada", "bob")}
    return platform


@pytest.fixture
def gradebook(foreign: ForeignPlatform, servers: tuple[ForeignPlatform, StrictGradebook]) -> StrictGradebook:
    _, book = servers
    book.taken.clear()
    book.repeats, book.refused, book.made, book.answers = [], [], [], None
    foreign.forge = lambda claims: book.claims(claims, 1)
    return book


@pytest.fixture
async def api(tmp_path: Path, foreign: ForeignPlatform, gradebook: StrictGradebook) -> AsyncIterator[Api]:
    async with serving(tmp_path, public_url=OURS, lti_allow_private=True) as api:
        urls = [f"{foreign.url}/{name}" for name in ("auth", "token", "keys")]
        platform = LtiPlatform(foreign.url, CLIENT, "default", *urls, (DEPLOYMENT,))
        await api.engine.lti.platforms.add(Caller("cli", "admin"), platform)
        foreign.tool_keys = (await api.client.get("/lti/jwks")).json()
        yield api


async def launched(api: Api, foreign: ForeignPlatform, who: str) -> str:
    """The id of who is launched."""
    begun = await api.client.get("/lti/login", params=foreign.login_fields(who))
    answer = await api.client.post("/lti/launch", data=foreign.answer(begun.headers["location"]))
    assert answer.status_code in (200, 302, 303), answer.text
    late = api.engine.late_grades  # what is known of classes may be some seconds old, and the platform's clock stays
    late._contexts._asked = 0
    await late._contexts.refresh(api.clock())
    await late._contexts.read_learners(api.clock())
    return str(api.engine.people._profiles.derived_id("default", identity(foreign.url, f"sub-{who}")))


async def answered(api: Api, student_id: str, correct: float, event_id: str) -> int:
    """Send a quiz of 100; the score then, in whole per cent as pages show it."""
    await api.learn(
        {
            "event_id": event_id,
            "event_type": "quiz",
            "student_id": student_id,
            "data": {"total_questions": 100, "correct_answers": correct},
        }
    )
    return floor(round(100 * (await api.query(student_id))["mastery_score"], 6))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.02)


async def has(gradebook: StrictGradebook, sub: str, *scores: int) -> None:
    async def holds() -> bool:
        return gradebook.given(sub) == list(scores)

    try:
        await until(holds)
    except TimeoutError:
        pytest.fail(f"{gradebook.given(sub)} is not {scores}; refused: {gradebook.refused}")


async def nothing_waits(api: Api, student_id: str) -> None:
    async def holds() -> bool:
        deliveries = await deliveries_of(api, student_id)
        return bool(deliveries) and all(one["state"] != "waiting" for one in deliveries)

    await until(holds)


async def due_now(api: Api, student_id: str) -> None:
    """What waits for its next attempt waits no longer."""
    queue = api.stores.deliveries
    for one in await queue.of_student(StudentKey("default", student_id)):
        await queue.again(one.sink, one.delivery_id, api.clock())


async def deliveries_of(api: Api, student_id: str) -> list[dict[str, Any]]:
    export = (await api.get(f"/compliance/students/{student_id}/export")).json()["data"]
    return list(export.get("deliveries", []))


async def test_each_change_of_a_whole_per_cent_is_sent_once_as_pages_show_it(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    ada = await launched(api, foreign, "ada")
    shown = []
    for number, correct in enumerate((90, 90, 30, 95, 96, 95.5)):
        shown.append(await answered(api, ada, correct, f"e{number}"))
    changes = [one for one, before in zip(shown, [None, *shown], strict=False) if one != before]
    assert 3 <= len(changes) < len(shown), "some of these change the score by less than a per cent"
    await has(gradebook, "sub-ada", *changes)
    assert (gradebook.refused, gradebook.repeats) == ([], [])
    body = gradebook.taken["1", "sub-ada"][0]
    assert (body["activityProgress"], body["gradingProgress"]) == ("InProgress", "FullyGraded")
    assert 'mastery_deliveries_total{outcome="delivered",receiver="grades"}' in (await api.client.get("/metrics")).text


async def test_who_joins_later_gets_their_present_score_and_who_is_in_no_class_none(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    bob = str(api.engine.people._profiles.derived_id("default", identity(foreign.url, "sub-bob")))
    await launched(api, foreign, "ada")
    score = await answered(api, bob, 80, "e1")
    await answered(api, "stranger", 70, "e1")
    await launched(api, foreign, "bob")
    await api.engine.late_grades.look()
    await has(gradebook, "sub-bob", score)
    await api.engine.late_grades.look()
    later = await answered(api, bob, 20, "e2")
    assert later != score
    await has(gradebook, "sub-bob", score, later)
    assert gradebook.taken.keys() <= {("1", "sub-bob"), ("1", "sub-ada")}


async def test_without_consent_nothing_is_queued_and_what_waits_is_not_sent(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    ada = await launched(api, foreign, "ada")
    gradebook.answers = 503
    asked = gradebook.asked
    await answered(api, ada, 80, "e1")

    async def was_tried() -> bool:
        return gradebook.asked > asked

    await until(was_tried)
    withdrawn = await api.call("PUT", f"/compliance/students/{ada}/consent", {"processing": False})
    assert withdrawn.status_code == 200
    gradebook.answers = None
    await due_now(api, ada)
    await api.engine.late_grades.look()
    await nothing_waits(api, ada)
    (delivery,) = await deliveries_of(api, ada)
    assert (delivery["state"], delivery["outcome"]) == ("failed", "the student does not allow it")
    assert gradebook.given("sub-ada") == []


async def test_a_gradebook_that_was_away_gets_all_changes_in_their_order(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    ada = await launched(api, foreign, "ada")
    gradebook.answers = 502
    scores = [await answered(api, ada, correct, f"e{number}") for number, correct in enumerate((90, 10, 70))]
    assert len(set(scores)) == 3
    gradebook.answers = None
    await due_now(api, ada)
    await has(gradebook, "sub-ada", *scores)
    assert gradebook.refused == []


async def test_a_column_that_is_gone_ends_one_score_and_the_next_is_tried(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    ada = await launched(api, foreign, "ada")
    gradebook.answers = 404
    first = await answered(api, ada, 90, "e1")
    await nothing_waits(api, ada)
    assert [one["state"] for one in await deliveries_of(api, ada)] == ["failed"]
    gradebook.answers = None
    second = await answered(api, ada, 40, "e2")
    assert first != second
    await has(gradebook, "sub-ada", second)


async def test_a_class_without_a_column_gets_one(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    foreign.forge = gradebook.claims
    ada = await launched(api, foreign, "ada")
    score = await answered(api, ada, 90, "e1")
    await api.engine.late_grades.look()

    async def is_there() -> bool:
        await api.engine.late_grades.look()
        return gradebook.given("sub-ada", 2) == [score]

    await until(is_there)
    assert [one["label"] for one in gradebook.made] == ["Mastery"]


async def test_an_erasure_takes_what_is_known_of_the_grades(
    api: Api, foreign: ForeignPlatform, gradebook: StrictGradebook
) -> None:
    ada = await launched(api, foreign, "ada")
    await has(gradebook, "sub-ada", await answered(api, ada, 90, "e1"))
    export = (await api.get(f"/compliance/students/{ada}/export")).json()["data"]
    assert {"lti-grades", "lti-people"} <= {entry["table"] for entry in export["entries"]}
    assert (await api.call("DELETE", f"/compliance/students/{ada}")).status_code == 200
    stores = api.engine.lti.classes._registry
    assert await stores.owned(StudentKey("default", ada), api.clock()) == []
