"""The rules of xAPI for statements: what they let through, and by which rule they refuse what they don't."""

from copy import deepcopy
from typing import Any

import pytest

from mastery_engine.lrs.broken import RuleBroken
from mastery_engine.lrs.facets import activities_of
from mastery_engine.lrs.formats import ids_alone
from mastery_engine.lrs.rules.statements import statement_is_valid
from mastery_engine.lrs.rules.values import Version, timestamp_is_iso8601
from mastery_engine.lrs.sameness import content_digest
from tests.support.profiles import became, foreign, messages_of, needs_foreign
from tests.support.statements import SHA2, Statement, account, small, voiding, whole, within

NOT_HERE = object()
MANY = {"objectType": "Group", "member": [account("ada"), account("bob")]}


def changed(statement: Statement, path: str, value: Any) -> Statement:
    """The statement with another value at a path, or without one."""
    copy = deepcopy(statement)
    *parents, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    part: Any = copy
    for step in parents:
        part = part[step]
    if value is NOT_HERE:
        del part[last]
    else:
        part[last] = value
    return copy


def broken_rule(statement: Any, version: Version = "2.0.0") -> tuple[str, str]:
    """The rule that a statement breaks, and the message."""
    with pytest.raises(RuleBroken) as caught:
        statement_is_valid(statement, version)
    assert caught.value.message.endswith(f"(rule: {caught.value.rule}).")
    return caught.value.rule, caught.value.message


def test_whatever_the_standard_knows_is_taken() -> None:
    assert statement_is_valid(whole(), "2.0.0") == whole()
    assert statement_is_valid(within(whole()), "2.0.0")
    assert statement_is_valid(small(), "1.0.3")
    assert statement_is_valid(voiding(whole()["id"]), "1.0.3")
    assert statement_is_valid(small(object=account("bob")), "1.0.3")
    assert statement_is_valid(small(authority=MANY), "1.0.3")
    assert statement_is_valid(small(actor={"objectType": "Group", "mbox": "mailto:a@b.example"}), "1.0.3")


@needs_foreign
@pytest.mark.parametrize("folder", ["moodle", "openedx/xapi"])
def test_what_platforms_really_send_is_taken_where_it_is_evidence(folder: str) -> None:
    """What the standard refuses of it is about nothing that counts: no problem at all, or 0 of 0 points."""
    for file in foreign(folder):
        for statement in messages_of("xapi", file):
            if became("xapi", statement).status == "evidence":
                assert statement_is_valid(statement, "1.0.3"), file.name


def test_a_problem_with_several_questions_is_an_activity() -> None:
    problem = {"objectType": "GroupActivity", "id": "https://lms.example/problem"}
    parent = {"contextActivities": {"parent": [problem]}, "platform": "Open edX"}
    sent = small(object=problem, context=parent)
    assert statement_is_valid(sent, "1.0.3") == sent
    assert [one["id"] for one in activities_of(sent)] == [problem["id"]] * 2
    assert ids_alone(sent)["object"]["id"] == problem["id"]
    assert content_digest(sent) == content_digest(small(object=problem | {"objectType": "Activity"}, context=parent))


REFUSED = [
    ("actor", NOT_HERE, "has_required"),
    ("verb", NOT_HERE, "has_required"),
    ("object", NOT_HERE, "has_required"),
    ("actor", None, "value_is_not_null"),
    ("actor", "ada", "is_object"),
    ("Actor", account(), "has_only"),
    ("id", "1", "uuid_is_standard"),
    ("id", "6690e6c93ef04ed38b377f3964730bee", "uuid_is_standard"),
    ("id", 7, "is_text"),
    ("version", "0.9", "version_is_known"),
    ("version", "1.1.0", "version_is_known"),
    ("stored", "yesterday", "timestamp_is_iso8601"),
    ("timestamp", "2026-01-14T10:30:00-00:00", "timestamp_is_iso8601"),
    ("timestamp", "2026-02-30T10:30:00Z", "timestamp_is_iso8601"),
    ("timestamp", "2026-01-14T10:30:00+24:00", "timestamp_is_iso8601"),
    ("timestamp", 1_768_386_600, "is_text"),
    ("actor", {"objectType": "Group"}, "group_has_members_or_identifier"),
    ("actor", {"objectType": "Group", "member": []}, "group_has_members_or_identifier"),
    ("actor", {"objectType": "Group", "member": [MANY]}, "has_only"),
    ("actor", {"objectType": "Group", "member": account()}, "is_list"),
    ("actor", {"objectType": "Robot", "mbox": "mailto:a@b.example"}, "agent_is_identified"),
    ("actor", {"name": "ada"}, "agent_is_identified"),
    ("actor", {"mbox": "a@b.example"}, "mailbox_is_address"),
    ("actor", {"mbox": "mailto:a b"}, "mailbox_is_address"),
    ("actor", {"mbox_sha1sum": "ebd3"}, "sha1_is_hex"),
    ("actor", {"openid": "ada"}, "iri_is_absolute"),
    ("actor", {"account": {"name": "ada"}}, "has_required"),
    ("actor", {"account": {"homePage": "lms", "name": "ada"}}, "iri_is_absolute"),
    ("actor", {"account": {"homePage": "https://lms.example", "name": 1}}, "is_text"),
    ("actor", {**account(), "mbox": "mailto:a@b.example"}, "identifier_is_single"),
    ("actor", {**account(), "member": []}, "has_only"),
    ("actor", {**account(), "name": 1}, "is_text"),
    ("authority", {**MANY, "member": [account()]}, "authority_is_agent_or_pair"),
    ("authority", {**MANY, "mbox": "mailto:a@b.example"}, "authority_is_agent_or_pair"),
    ("verb", {"display": {"en": "did"}}, "has_required"),
    ("verb/id", "answered", "iri_is_absolute"),
    ("verb/display", {"english language": "did"}, "language_is_tagged"),
    ("verb/display", {"en": None}, "is_text"),
    ("verb/display", ["did"], "is_object"),
    ("object/objectType", "Thing", "object_is_of_known_type"),
    ("object/id", NOT_HERE, "has_required"),
    ("object/definition/type", "quiz", "iri_is_absolute"),
    ("object/definition/moreInfo", "more", "iri_is_absolute"),
    ("object/definition/name", {"x": 1}, "language_is_tagged"),
    ("object/definition/colour", "red", "has_only"),
    ("object/definition/extensions", {"x": 1}, "iri_is_absolute"),
    ("object/definition/interactionType", "essay", "interaction_is_of_its_kind"),
    ("object/definition/interactionType", "numeric", "interaction_is_of_its_kind"),
    ("object/definition/interactionType", NOT_HERE, "has_required"),
    ("object/definition/correctResponsesPattern", "a", "is_list"),
    ("object/definition/correctResponsesPattern", [1], "is_text"),
    ("object/definition/choices", [{"id": "a"}, {"id": "a"}], "components_are_distinct"),
    ("object/definition/choices", [{"description": {}}], "has_required"),
    ("object/definition/choices", [{"id": "a", "description": {"en": 1}}], "is_text"),
    ("result/score/scaled", 1.01, "score_lies_within_its_bounds"),
    ("result/score/scaled", "1", "is_number"),
    ("result/score/raw", True, "is_number"),
    ("result/score/raw", 11, "score_lies_within_its_bounds"),
    ("result/score/raw", -1, "score_lies_within_its_bounds"),
    ("result/score/max", 0, "score_lies_within_its_bounds"),
    ("result/score/most", 0, "has_only"),
    ("result/success", "yes", "is_boolean"),
    ("result/completion", 1, "is_boolean"),
    ("result/response", 1, "is_text"),
    ("result/duration", "1 hour", "duration_is_iso8601"),
    ("result/duration", "P4W1D", "duration_is_iso8601"),
    ("result/duration", "PT", "duration_is_iso8601"),
    ("result/duration", "P", "duration_is_iso8601"),
    ("result/extensions", {"": 1}, "iri_is_absolute"),
    ("context/registration", "first", "uuid_is_standard"),
    ("context/instructor", {"name": "x"}, "agent_is_identified"),
    ("context/team", account(), "group_has_members_or_identifier"),
    ("context/contextActivities", {"uncle": {"id": "https://a.example"}}, "has_only"),
    ("context/contextActivities/parent", {"id": "a"}, "iri_is_absolute"),
    (
        "context/contextActivities/parent",
        [{"id": "https://a.example", "objectType": "Agent"}],
        "activity_is_identified",
    ),
    ("context/contextAgents/0/objectType", "Agent", "relevance_is_typed"),
    ("context/contextAgents/0/relevantTypes", [], "relevance_is_typed"),
    ("context/contextAgents/0/relevantTypes", ["peer"], "iri_is_absolute"),
    ("context/contextGroups/0/group", NOT_HERE, "has_required"),
    ("context/language", "english language", "language_is_tagged"),
    ("context/statement", {"id": SHA2}, "reference_names_statement"),
    ("context/extensions", [], "is_object"),
    ("attachments", {}, "is_list"),
    ("attachments/0/usageType", "essay", "iri_is_absolute"),
    ("attachments/0/display", NOT_HERE, "has_required"),
    ("attachments/0/contentType", "text", "media_type_is_named"),
    ("attachments/0/length", "27", "length_is_counted"),
    ("attachments/0/length", -1, "length_is_counted"),
    ("attachments/0/length", 2.5, "length_is_counted"),
    ("attachments/0/sha2", "4953", "sha2_is_hex"),
    ("attachments/0/fileUrl", "essay.txt", "iri_is_absolute"),
    ("attachments/0/description", "An essay", "is_object"),
]


@pytest.mark.parametrize(("path", "value", "rule"), REFUSED)
def test_what_breaks_a_rule_is_refused_by_its_name(path: str, value: Any, rule: str) -> None:
    assert broken_rule(changed(whole(), path, value))[0] == rule
    if path.partition("/")[0] not in ("id", "version", "stored", "authority", "Actor"):
        assert broken_rule(changed(within(whole()), f"object/{path}", value))[0] == rule


@pytest.mark.parametrize(
    "iri",
    [
        "",
        "a",
        "://a",
        "http://",
        "http:///a",
        "ht tp://a",
        "http://a b",
        "http://a\\b",
        "http://a/%zz",
        "http://a/<b>",
        "http://[::1",
        "http://a:b/",
        "http://:80/",
        "http://a[b]/",
        "http://a/\u202eb",
    ],
)
def test_an_iri_is_absolute_and_holds_nothing_that_none_may(iri: str) -> None:
    assert broken_rule(small(activity=iri))[0] == "iri_is_absolute"


@pytest.mark.parametrize(
    "iri",
    [
        "urn:uuid:6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
        "tag:a,2026:b",
        "http://例え.jp/ほ",
        "https://u@[::1]:8/a?b#c",
        "act:x",
        "file:///a/b",
        "https://a:8080?b[]=c",
    ],
)
def test_every_scheme_and_script_is_an_iri(iri: str) -> None:
    assert statement_is_valid(small(activity=iri), "1.0.3")


def test_a_message_names_the_place_and_shows_little_of_a_long_value() -> None:
    rule, message = broken_rule(changed(whole(), "object/definition/type", "x" * 5_000))
    assert rule == "iri_is_absolute"
    assert message.startswith("statement.object.definition.type must be an IRI")
    assert len(message) < 300


def test_a_substatement_stands_alone() -> None:
    for name, value in (
        ("id", whole()["id"]),
        ("authority", account()),
        ("version", "1.0.0"),
        ("stored", "2026-01-14"),
    ):
        assert broken_rule(changed(within(whole()), f"object/{name}", value))[0] == "has_only"
    assert broken_rule(within(within(small())))[0] == "substatement_stands_alone"


def test_voiding_refers_to_a_statement_and_revisions_to_activities() -> None:
    assert broken_rule(voiding(whole()["id"]) | {"object": account()})[0] == "voiding_refers_to_statement"
    of_person = small(object=account("bob"), context={"revision": "1"})
    assert broken_rule(of_person)[0] == "only_activities_have_revisions"


def test_what_two_brought_one_does_not_know() -> None:
    agents = [{"objectType": "contextAgent", "agent": account()}]
    statement = small(context={"contextAgents": agents})
    assert statement_is_valid(statement, "2.0.0")
    assert broken_rule(statement, "1.0.3")[0] == "has_only"
    assert statement_is_valid(small(version="1.0.9"), "1.0.3")
    assert broken_rule(small(version="2.0.0"), "1.0.3")[0] == "version_is_known"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T00:00Z", 0),
        ("19700101T000001Z", 1),
        ("1970-01-01T00:00:01.5+00:00", 1.5),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00-01:30", 5_400),
        ("1970-01-01T00:00:59,9999999z", 59.999999),
        ("1970-01-01T00:00:60Z", 60),
    ],
)
def test_a_timestamp_is_a_moment(text: str, seconds: float) -> None:
    assert timestamp_is_iso8601(text, "timestamp") == round(seconds * 1_000_000)
