"""Statements read by their parts are what they are as a whole, whether the parts came before or not."""

from copy import deepcopy
from random import Random
from typing import Any

import msgspec
import pytest

from mastery_engine.doors.xapi.door import XAPI
from mastery_engine.lrs.broken import RuleBroken
from mastery_engine.lrs.facets import Facets
from mastery_engine.lrs.parts import LONGEST_KNOWN, MOST_KNOWN, KnownParts
from mastery_engine.lrs.people import CONTEXT_PEOPLE
from mastery_engine.lrs.reading import ReadStatement, statement_under, statements_in
from mastery_engine.lrs.rules.statements import statement_is_valid
from mastery_engine.lrs.rules.values import Version, timestamp_is_iso8601
from mastery_engine.lrs.sameness import content_digest, derived_id, digest_of
from tests.support.junk import changed, places
from tests.support.profiles import foreign, messages_of, needs_foreign
from tests.support.statements import FIRST_ID, SECOND_ID, account, small, voiding, whole, within

JUNK: list[Any] = [None, True, -1, 1e308, "", "\x00", "x" * 5_000, [], [[]], {}, {"id": []}, [None], "PT1S", SECOND_ID]
TIMED = {"timestamp": "2026-01-14T10:30:00+02:00", "stored": "2026-01-14T10:30:00Z", "authority": account("me")}


def of_one() -> dict[str, Any]:
    """The statement with everything that version 1.0.3 knows."""
    statement = whole() | {"version": "1.0.3"}
    context = {name: part for name, part in statement["context"].items() if name not in CONTEXT_PEOPLE}
    return statement | {"context": context}


STATEMENTS = [
    whole(),
    within(whole()),
    of_one(),
    within(of_one()),
    small(**TIMED),
    voiding(FIRST_ID),
    small(object=account("bob")),
    small(context={"platform": "LMS", "contextActivities": {"parent": {"id": "https://lms.example/quiz/1"}}}),
]


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def as_lists(statement: dict[str, Any]) -> dict[str, Any]:
    """The statement with its context activities in lists."""
    copy = deepcopy(statement)
    for part in (copy, copy["object"]):
        related = part.get("context", {}).get("contextActivities", {})
        related.update({relation: one if isinstance(one, list) else [one] for relation, one in related.items()})
    return copy


def check(statements: list[Any], version: Version, known: KnownParts) -> bool:
    """Whether statements are valid; both ways find the same fault, or the same of each."""
    body = encoded(statements)
    decoded = msgspec.json.decode(body)
    try:
        for place, one in enumerate(decoded):
            statement_is_valid(one, version, "statement" if len(decoded) == 1 else f"statements[{place}]")
    except RuleBroken as error:
        with pytest.raises(RuleBroken) as caught:
            statements_in(body, version, "default", known)
        assert (caught.value.rule, caught.value.message) == (error.rule, error.message)
        return False
    for one, read in zip(decoded, statements_in(body, version, "default", known), strict=True):
        check_read(one, read)
    return True


def check_read(statement: dict[str, Any], read: ReadStatement) -> None:
    assert read.value == statement
    assert list(read.value) == list(statement)
    moment = statement.get("timestamp")
    assert read.stamp == (0 if moment is None else timestamp_is_iso8601(moment, "timestamp"))
    parts = read.parts
    assert digest_of({name: part.content for name, part in parts.items()}) == content_digest(statement)
    assert (read.said is None) is ("id" in statement)
    if read.said is not None:
        assert derived_id(read.said, "default", 1) == derived_id(statement, "default", 1)
        assert XAPI.event_id(read.said, None) == XAPI.event_id(statement, None)
    kept = encoded({**read.value, **{name: part.kept for name, part in parts.items()}})
    assert kept == encoded(as_lists(statement))
    found = {facet for part in parts.values() for facet in part.facets}
    assert found == Facets("default").of_statement({name: statement[name] for name in parts})


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_a_statement_is_read_as_it_is_judged_whole(version: Version) -> None:
    known, chance = KnownParts(), Random(1)
    valid = 0
    for statement in STATEMENTS:
        for path in places(statement):
            for junk in chance.sample(JUNK, 4):
                broken = changed(statement, path, junk)
                valid += check([broken], version, known)
                check([statement, broken, statement], version, known)
    assert valid > 100


@needs_foreign
@pytest.mark.parametrize("folder", ["moodle", "openedx/xapi"])
def test_what_platforms_send_is_read_as_it_is_judged_whole(folder: str) -> None:
    known = KnownParts()
    for file in foreign(folder):
        for statement in messages_of("xapi", file):
            check([statement], "1.0.3", known)
            check([statement, statement], "1.0.3", known)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"5", b"[5]", b'[{}, "x"]', b'{"actor": nul}', b'{"actor": "\xff"}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_statement_is_refused_by_its_rule(body: bytes) -> None:
    with pytest.raises(RuleBroken):
        statements_in(body, "2.0.0", "default", KnownParts())


def test_an_unknown_member_and_a_missing_one_are_named_with_their_place() -> None:
    with pytest.raises(RuleBroken, match=r"statements\[1\] may not have a property 'other'"):
        statements_in(encoded([small(), small(other=1)]), "2.0.0", "default", KnownParts())
    with pytest.raises(RuleBroken, match="statement must have the property verb"):
        statements_in(encoded({"actor": account(), "object": {"id": "x:y"}}), "2.0.0", "default", KnownParts())


def test_of_a_name_that_comes_twice_the_last_one_counts() -> None:
    body = encoded(small())[:-1] + b',"verb":{"id":"https://lms.example/other"}}'
    (read,) = statements_in(body, "2.0.0", "default", KnownParts())
    check_read(msgspec.json.decode(body), read)


def test_what_is_put_has_the_id_of_its_address() -> None:
    (read,) = statement_under(FIRST_ID, encoded(small()), "2.0.0", "default")
    assert read.value == small(id=FIRST_ID)
    with pytest.raises(RuleBroken, match="one_is_put"):
        statement_under(FIRST_ID, encoded([small(), small()]), "2.0.0", "default")
    with pytest.raises(RuleBroken, match="id_is_that_of_address"):
        statement_under(FIRST_ID, encoded(small(id=SECOND_ID)), "2.0.0", "default")


def test_a_part_is_known_within_its_tenant_and_version_until_others_came_or_somebody_was_erased() -> None:
    known, actor = KnownParts(), encoded(account())
    first = known.part("actor", actor, "2.0.0", "default")
    assert known.part("actor", actor, "2.0.0", "default") is first
    assert known.part("actor", actor, "1.0.3", "default") is not first
    assert known.part("actor", actor, "2.0.0", "school-1").facets.isdisjoint(first.facets)
    for place in range(2 * MOST_KNOWN // LONGEST_KNOWN + 10):
        name = f"{place:08d}{'x' * (LONGEST_KNOWN - 100)}"
        known.part("actor", encoded(account(name)), "2.0.0", "default")
        if place == 5:
            assert known.part("actor", actor, "2.0.0", "default") is first
    again = known.part("actor", actor, "2.0.0", "default")
    assert again is not first
    known.forget()
    assert known.part("actor", actor, "2.0.0", "default") is not again
