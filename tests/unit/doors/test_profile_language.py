"""The language of profiles: what each part does, and what is said where one is wrong."""

from typing import Any

import pytest

from mastery_engine.doors.profiles.reading import profile_from
from mastery_engine.errors import InvalidInput
from tests.support.profiles import by_rule

MESSAGE: dict[str, Any] = {
    "id": "m1",
    "verb": {"id": "did"},
    "actor": {"mbox": "mailto:a@b.c"},
    "object": {"id": "https://lms.example/item/7", "tags": ["x", "easy"], "level": 3, "open": True},
    "context": {
        "kinds": [{"type": "course", "id": "c1"}, {"type": "skill", "id": "s1"}, {"type": "skill", "id": "s2"}, 5],
        "extensions": {"https://w3id.org/x": {"n.m": "dotted"}},
    },
    "result": {"points": 2, "of": 8, "right": True, "took": 12},
}
SCORED = "score: {raw: result.points, max: result.of}"


def data_of(source: str, field: str = "item_id") -> Any:
    one = by_rule(f"{{rule: a, events: [{{answer: {{item_id: {{value: i}}, {field}: {source}}}, {SCORED}}}]}}", MESSAGE)
    assert one.status == "evidence", one.reason
    return one.drafts[0].data.get(field)


def quoted(source: str) -> str:
    """The item that a place gives, where it is one."""
    rule = f"{{rule: a, events: [{{answer: {{item_id: {source}}}, {SCORED}}}]}}"
    one = by_rule(rule, MESSAGE)
    return one.drafts[0].data["item_id"] if one.drafts else str(one.reason)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("object.id", "https://lms.example/item/7"),
        ("object.level", "3"),
        ("object.tags", "x"),
        ("object.id.id", "https://lms.example/item/7"),
        ('"context.extensions.[https://w3id.org/x].[n.m]"', "dotted"),
        ("[object.none, object.level]", "3"),
        ("{path: object.id, pattern: '/item/(.+)$'}", "7"),
        ("{path: object.id, pattern: 'item'}", "item"),
        ("{path: object.none, pattern: 'x'}", None),
        ("{path: object.id, pattern: 'other'}", None),
        ("{join: [object.level, {value: x}], between: '-'}", "3-x"),
        ("{join: [object.level, object.none]}", None),
        ("{path: context.kinds, where: {type: skill}, then: id}", "s1"),
        ("{path: context.kinds, where: {type: [lesson, course]}, then: id}", "c1"),
        ("{path: context.kinds, where: {type: {begins: ski}}, then: id}", "s1"),
        ("{path: context.kinds, where: {type: {present: false}}, then: id}", None),
        ("{path: object, where: {level: 3}, then: level}", "3"),
        ("context.kinds.id", "c1"),
        ("{value: 5}", "5"),
        ("object.open", None),
    ],
)
def test_where_a_value_comes_from(source: str, found: str | None) -> None:
    said = quoted(source)
    assert said == found if found is not None else "item_id is not given" in said


def test_values_fit_the_fields_that_they_are_for() -> None:
    assert data_of("{path: context.kinds, where: {type: skill}, then: id, all: true}", "skills") == ["s1", "s2"]
    assert data_of("{path: context.kinds, all: true, then: id, pattern: '(.)2'}", "skills") == ["s"]
    assert data_of("object.level", "attempts") == 3
    assert data_of("object.id", "attempts") is None
    assert data_of("result.took", "duration") == 12.0
    assert data_of("{value: advanced}", "difficulty") == "advanced"


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("{verb: did}", True),
        ("{verb: [done, did]}", True),
        ("{verb: {begins: di}}", True),
        ("{verb: {begins: done}}", False),
        ("{object.level: 3}", True),
        ("{object.level: [1, 2]}", False),
        ("{object.open: true}", True),
        ("{object.tags: easy}", True),
        ("{object.tags: hard}", False),
        ("{context.kinds.type: skill}", True),
        ("{context.kinds.type: {begins: sk}}", True),
        ("{context.kinds.type.id: skill}", True),
        ("{object.none: x}", False),
        ("{object.level.deeper: x}", False),
        ("{object.none: {present: false}, verb: did}", True),
        ("{object.level: {present: true}, object.none: {present: true}}", False),
    ],
)
def test_for_which_messages_a_rule_is(when: str, *, holds: bool) -> None:
    assert (by_rule(f"{{rule: a, when: {when}, ignore: because}}", MESSAGE).rule == "a") is holds


def test_what_recognises_a_message() -> None:
    for recognised, is_for_it in (
        ("[{verb: did}]", True),
        ("[{verb: x}, {object.level: 3}]", True),
        ("[{verb: x}]", False),
    ):
        one = by_rule("{rule: a, ignore: because}", MESSAGE, more=f"recognise: {recognised}")
        assert (one.rule == "a") is is_for_it


def test_each_entry_makes_an_event() -> None:
    one = by_rule(
        "{rule: a, events: [{answer: {item_id: each.id}, each: context.kinds, score: {success: result.right}}]}",
        MESSAGE,
    )
    assert [draft.data["item_id"] for draft in one.drafts] == ["c1", "s1", "s2"]
    assert [draft.event_id for draft in one.drafts] == ["xapi:m1", "xapi:m1.1", "xapi:m1.2"]
    none = by_rule("{rule: a, events: [{answer: {item_id: each.id}, each: object.id}]}", MESSAGE)
    assert (none.status, none.reason) == ("ignored", "It has nothing of which an event could be made.")


def test_every_kind_of_event_can_be_made() -> None:
    for made, data in (
        ("execution: {outcome: {value: error}, topic: object.level}", {"outcome": "error", "topic": "3"}),
        ("help: {topic: object.level, message: object.id}", {"topic": "3", "message": "https://lms.example/item/7"}),
        ("consistency:", {"days_since_last_activity": 0}),
        ("consistency: {current_streak: object.level}", {"current_streak": 3}),
        (
            "completion: {done: result.right, total_exercises: object.level, difficulty: {value: beginner}}",
            {"total_exercises": 3, "completed_exercises": 3, "difficulty": "beginner"},
        ),
        (
            "quality: {code_quality_score: {value: 2}, correctness_score: {value: 0.5}, efficiency_score: {value: -1}}",
            {"code_quality_score": 1.0, "correctness_score": 0.5, "efficiency_score": 0.0},
        ),
    ):
        one = by_rule(f"{{rule: a, events: [{{{made}}}]}}", MESSAGE)
        assert [draft.data for draft in one.drafts] == [data], one.reason


def test_a_completion_that_does_not_say_how_much_is_ignored_by_name() -> None:
    one = by_rule("{rule: a, events: [{completion: {done: object.none}}]}", MESSAGE)
    assert (one.status, one.reason) == ("ignored", "It does not say how much is done.")


def test_what_no_event_may_hold_is_refused_by_field() -> None:
    one = by_rule("{rule: a, events: [{execution: {outcome: object.id}}]}", MESSAGE)
    assert one.status == "refused"
    assert "data.outcome must be one of success, error" in (one.reason or "")


HEAD = "profile: own\ndoor: xapi\n"
RULES = HEAD + "rules:\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "The file is empty"),
        ("profile: [", 1, "not YAML"),
        ("- a", 1, "A profile has named parts"),
        ("profile: own\ndoor: xapi\n", 1, "A profile needs rules"),
        ("profile: own\nrules: []\n", 1, "A profile needs door"),
        ("profile: Own!\ndoor: xapi\nrules: []", 1, "A profile's name has 1 to 40 characters"),
        ("profile: own\ndoor: scorm\nrules: []", 2, "The door is one of xapi, caliper, canvas, openedx"),
        (HEAD + "rules: []", 3, "at least one rule"),
        (HEAD + "rules: x", 3, "rules is a list"),
        (HEAD + "colour: x\nrules: []", 3, "A profile has no 'colour'; it may have"),
        (HEAD + "title: x\ntitle: y\nrules: []", 4, "'title' is given twice"),
        (HEAD + "scaled_from: 5\nrules: []", 3, "0 or -1"),
        (HEAD + "event_ids: No\nrules:\n  - {rule: a, ignore: b}", 3, "event_ids is what the ids begin with"),
        (HEAD + "recognise: x\nrules:\n  - {rule: a, ignore: b}", 3, "recognise is a list"),
        (RULES + "  - {ignore: b}", 4, "A rule begins with its name"),
        (RULES + "  - {rule: a}", 4, "either events, or ignore"),
        (RULES + "  - {rule: a, ignore: b, events: []}", 4, "either events, or ignore"),
        (RULES + "  - {rule: a, events: []}", 4, "at least one event"),
        (RULES + "  - {rule: a, ignore: b}\n  - {rule: a, ignore: c}", 4, "Two rules are called 'a'"),
        (RULES + "  - rule: a\n    ignore: b\n    wen: {}", 6, "A rule has no 'wen'"),
        (RULES + "  - rule: a\n    events:\n      - exam: {}", 6, "An event has no 'exam'"),
        (RULES + "  - rule: a\n    events:\n      - each: x", 6, "An event is of one kind"),
        (
            RULES + "  - rule: a\n    events:\n      - quiz:\n          quizid: object.id",
            7,
            "A quiz event has no 'quizid'",
        ),
        (RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: object..id}", 6, "'object..id' is no path"),
        (RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: object.}", 6, "'object.' is no path"),
        (RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: []}", 6, "at least one"),
        (
            RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: {path: a, value: b}}",
            6,
            "one of path, join and value",
        ),
        (RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: {value: a, then: b}}", 6, "then goes with path"),
        (
            RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: {path: a, pattern: '('}}",
            6,
            "no regular expression",
        ),
        (
            RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: {path: a, pattern: '(a)(b)'}}",
            6,
            "one group at most",
        ),
        (RULES + "  - rule: a\n    events:\n      - quiz: {quiz_id: {path: a, all: often}}", 6, "true or false"),
        (RULES + "  - rule: a\n    events:\n      - {quiz: , score: {points: a}}", 6, "A score has no 'points'"),
        (RULES + "  - rule: a\n    ignore: b\n    when: {verb: {is: x}}", 6, "A condition has no 'is'"),
        (RULES + "  - rule: a\n    ignore: b\n    when: {verb: {}}", 6, "A condition is one of"),
        (RULES + "  - rule: a\n    ignore: b\n    when: {verb: {present: maybe}}", 6, "present is true or false"),
        (RULES + "  - rule: a\n    ignore: b\n    when: {object.level: [[1]]}", 6, "A text, a number"),
        (RULES + "  - rule: a\n    ignore: b\n    when: {object.level: 2026-99-99}", 6, "'2026-99-99' is no text"),
        (RULES + "  - rule: a\n    ignore: b\n    when: {'': x}", 6, "A text is expected"),
        (RULES + "  - rule: a\n    ignore: [b]", 5, "A text is expected"),
    ],
)
def test_a_wrong_profile_names_the_file_the_line_and_what_to_do(text: str, line: int | None, said: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        profile_from(text.encode(), "own.yaml")
    assert wrong.value.message.startswith("own.yaml: " if line is None else f"own.yaml, line {line}: ")
    assert said in wrong.value.message


def test_bytes_that_are_no_text_are_no_profile() -> None:
    with pytest.raises(InvalidInput, match=r"own.yaml, The file is not YAML"):
        profile_from(b"\xff\xfe\xff", "own.yaml")
