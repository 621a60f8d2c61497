"""When two statements are the same, and what the id of one without an id is made of."""

from typing import Any

import pytest

from mastery_engine.lrs.sameness import content_digest, derived_id
from tests.support.statements import HOME, account, small, whole, within

BOB = {"mbox": "mailto:bob@school.example"}


def with_parts(part: str, **parts: Any) -> Any:
    statement = whole()
    statement[part] = {**statement[part], **parts}
    return statement


SAME = [
    {**whole(), "id": "2a41c918-b88b-4220-a000-0fb4b5bd5f70", "version": "1.0.0", "authority": account("other")},
    {**whole(), "stored": "2027-01-01T00:00:00Z", "timestamp": "2027-01-01T00:00:00Z"},
    dict(reversed(whole().items())),
    with_parts("actor", member=[BOB, {**account("ada"), "name": "Ada"}], name="the team"),
    with_parts("verb", display={"fr": "répondit"}),
    with_parts("object", definition={"name": {"en": "Other"}}),
    with_parts("result", duration="PT1H2M3.45S"),
    with_parts("context", registration=whole()["context"]["registration"].upper()),
    with_parts("context", instructor={"mbox_sha1sum": "ebd31e95054c018b10727ccffd2ef2ec3a016ee9"}),
    with_parts(
        "context",
        contextActivities={
            "grouping": {"id": "https://lms.example/course/1", "definition": {}},
            "parent": [{"objectType": "Activity", "id": "https://lms.example/quiz/1"}],
        },
    ),
]
OTHER = [
    with_parts("actor", member=[account("ada")]),
    with_parts("actor", mbox="mailto:team@school.example"),
    with_parts("verb", id="https://lms.example/other"),
    with_parts("object", id="https://lms.example/question/8"),
    with_parts("result", duration="PT1H2M3.44S"),
    with_parts("result", score={"scaled": 0.6}),
    with_parts("context", platform="Other"),
    with_parts("context", contextAgents=[]),
    {**whole(), "attachments": []},
    {name: part for name, part in whole().items() if name != "result"},
]


@pytest.mark.parametrize("statement", SAME)
def test_what_a_store_or_a_sender_may_change_makes_no_difference(statement: Any) -> None:
    assert content_digest(statement) == content_digest(whole())
    assert content_digest(within(statement) | {"id": "x"}) != content_digest(whole())


@pytest.mark.parametrize("statement", OTHER)
def test_what_a_statement_says_makes_a_difference(statement: Any) -> None:
    assert content_digest(statement) != content_digest(whole())
    assert content_digest(within(statement)) != content_digest(within(whole()))


def test_the_time_of_a_substatement_is_what_it_says() -> None:
    late = {**whole(), "timestamp": "2026-01-14T10:30:00Z"}  # the same moment
    assert content_digest(within(late)) == content_digest(within(whole()))
    later = {**whole(), "timestamp": "2026-01-14T10:30:01Z"}
    assert content_digest(within(later)) != content_digest(within(whole()))


def test_people_and_references_as_objects_are_told_apart() -> None:
    def reference(name: str) -> Any:
        return small(object={"objectType": "StatementRef", "id": name})

    people = [small(object=account(name)) for name in ("ada", "bob")]
    references = [reference(name) for name in ("6690e6c9-3ef0-4ed3-8b37-7f3964730bee", SAME[0]["id"])]
    digests = {content_digest(one) for one in (small(), *people, *references)}
    assert len(digests) == 5
    assert content_digest(reference(SAME[0]["id"].upper())) == content_digest(references[1])


def test_an_id_is_of_all_that_is_said_and_of_the_tenant() -> None:
    bare = small()
    ids = {
        derived_id(bare, "default"),
        derived_id(bare, "school-1"),
        derived_id(bare, "default", turn=1),
        derived_id(small("bob"), "default"),
        derived_id({**bare, "timestamp": "2026-01-14T10:30:00Z"}, "default"),
        derived_id({**bare, "object": {**bare["object"], "definition": {"name": {"en": "Quiz"}}}}, "default"),
    }
    assert len(ids) == 6
    again = {**small(), "stored": "2026-01-14T10:30:00Z", "authority": account("x")}
    assert derived_id(dict(reversed(again.items())), "default") == derived_id(bare, "default")
    assert HOME not in derived_id(bare, "default")
