"""Whatever a platform sends: each message has an outcome with its reason, and none raises."""

import random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastery_engine.domain.events.envelope import SentEvent
from mastery_engine.domain.events.event import DEFAULT_TENANT, decode, decode_naming_unknown
from mastery_engine.doors.drafts import DoorName, Translation
from tests.support.junk import changed, places
from tests.support.profiles import became, foreign, messages_of, shipped

DOORS: tuple[DoorName, ...] = get_args(DoorName)
FOLDERS: dict[str, DoorName] = {
    "moodle": "xapi",
    "openedx/xapi": "xapi",
    "openedx/raw": "openedx",
    "openedx/caliper": "caliper",
    "caliper": "caliper",
    "canvas": "canvas",
}
SCORED = {"id": "1", "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"}, "actor": {"mbox": "mailto:a@b.c"}}
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    10**400,
    10**5000,
    "",
    "\x00",
    "\ud800",
    "x" * 100_000,
    [],
    [[]],
    {},
    {"id": []},
    [None],
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)


def checked(one: Translation) -> Translation:
    """An outcome that says what it is: events that every door would take, or a reason."""
    if one.status == "evidence":
        assert one.drafts
        for draft in one.drafts:
            written, sent = draft.event("x-1"), draft.sent("x-1")
            assert isinstance(sent, SentEvent)
            event, _ = decode_naming_unknown(sent, received=0, tenant=DEFAULT_TENANT, event_id=str)
            assert event == decode(written, received=0)
    else:
        assert one.reason
        assert not one.drafts
    return one


@pytest.mark.parametrize("folder", FOLDERS)
def test_fixtures_with_junk_anywhere_have_an_outcome(folder: str) -> None:
    door, chance = FOLDERS[folder], random.Random(25)  # the same ones each time
    for file in foreign(folder):
        for message in messages_of(door, file):
            for path in chance.sample(found := places(message), min(len(found), 25)):
                checked(became(door, changed(message, path, chance.choice(JUNK))))


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=40)
@given(message=anything)
def test_anything_has_an_outcome(door: DoorName, message: Any) -> None:
    checked(became(door, message))
    checked(
        became(door, SCORED | {"result": message, "context": message, "object": {"id": "a", "definition": message}})
    )


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "inside", [lambda deep: [deep], lambda deep: {"parent": deep, "id": "a"}], ids=["lists", "objects"]
)
def test_what_is_nested_deeply_has_an_outcome(door: DoorName, inside: Any) -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = inside(deep)
    message = {"verb": SCORED["verb"], "actor": SCORED["actor"], "object": {"id": "a"}, "result": {"success": True}}
    one = checked(became(door, message | {"context": {"contextActivities": deep}}))
    assert one.status in ("evidence", "refused", "ignored")


@given(raw=st.floats(), least=st.floats(), most=st.floats(), scaled=st.floats(), success=st.booleans() | st.none())
def test_every_score_is_a_share(raw: float, least: float, most: float, scaled: float, *, success: bool | None) -> None:
    score = {"raw": raw, "min": least, "max": most, "scaled": scaled}
    one = checked(became("xapi", SCORED | {"object": {"id": "a"}, "result": {"score": score, "success": success}}))
    assert all(0 <= draft.data["correct_answers"] <= 1 for draft in one.drafts)


def test_every_shipped_profile_is_asked_for_something() -> None:
    assert {one.door.name for one in shipped().all_profiles} == set(DOORS)
    assert all(one.rules or one.other_rules for one in shipped().all_profiles)
    assert msgspec.json.encode(became("xapi", SCORED))  # an outcome can be written as it is
