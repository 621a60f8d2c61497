"""Drafts become learning events, and xAPI agents identities."""

from datetime import UTC, datetime

import pytest

from mastery_engine.domain.events.event import decode
from mastery_engine.domain.moments import moment_of
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import Draft
from mastery_engine.doors.xapi.agents import identity_of

ACCOUNT = {"homePage": "https://lms.example", "name": "7"}
ADA, SAM = Identity("https://lms.example", "7"), Identity("mailto", "sam@school.example")


def test_a_draft_is_the_event_that_every_door_takes() -> None:
    at = datetime(2026, 1, 14, 10, 30, 0, 250, tzinfo=UTC)
    draft = Draft(ADA, "answer", "xapi:1", {"item_id": "i", "correct": True}, at, source="xapi/generic")
    event = decode(draft.event("x-1", "algebra"), received=0)
    assert (event.student_id, event.event_id, event.event_type) == ("x-1", "xapi:1", "answer")
    assert (event.at, event.course_id, event.source) == (moment_of(at), "algebra", "xapi/generic")


def test_the_draft_names_the_course_before_the_credential() -> None:
    draft = Draft(ADA, "help", "xapi:1", {"topic": "loops"}, course_id="own", metadata={"cohort_id": "7b"})
    event = decode(draft.event("x-1", "algebra"), received=5)
    assert (event.course_id, event.at, event.metadata) == ("own", 5, {"cohort_id": "7b"})
    assert decode(Draft(ADA, "help", "e", {"topic": "loops"}).event("x-1"), received=0).course_id == "default"


@pytest.mark.parametrize(
    ("agent", "person"),
    [
        ({"account": ACCOUNT, "name": "Ada"}, ADA),
        ({"mbox": "mailto:sam@school.example"}, SAM),
        (
            {"mbox_sha1sum": "ebd31e95054c018b10727ccffd2ef2ec3a016ee9"},
            Identity("mbox_sha1sum", "ebd31e95054c018b10727ccffd2ef2ec3a016ee9"),
        ),
        ({"openid": "https://ada.example"}, Identity("openid", "https://ada.example")),
        ({"account": {"homePage": "https://lms.example"}}, None),
        ({"account": {"homePage": "https://lms.example", "name": 7}}, None),
        ({"mbox": "mailto:\x00"}, None),
        ({"mbox": ["mailto:sam@school.example"]}, None),
        ({"name": "Ada"}, None),
        ("mailto:sam@school.example", None),
    ],
)
def test_who_an_agent_is(agent: object, person: Identity | None) -> None:
    assert identity_of(agent) == person
