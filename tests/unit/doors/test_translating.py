"""What the shipped profiles make of what Moodle, cmi5, H5P, Caliper, Canvas and others send."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import DoorName, Translation
from mastery_engine.doors.translating import door_of, messages_in, profiles_of
from mastery_engine.errors import InvalidInput
from tests.support.profiles import became, foreign, messages_of, needs_foreign, shipped

ADL = "http://adlnet.gov/expapi/verbs/"
TYPES = "http://adlnet.gov/expapi/activities/"
ADA = Identity("https://lms.example", "7")
AT = datetime(2026, 1, 14, 10, 30, tzinfo=UTC)
REGISTRATION = "ec531277-b57b-4c15-8d91-d292c5b2b8f7"
INFO = "http://lrs.learninglocker.net/define/extensions/info"
QUIZ = "https://moodle.example/mod/quiz/attempt.php?attempt=1&cmid=1"


def statement(done: str, result: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """A statement of Ada's about an activity, as a record store has it."""
    made = {
        "id": "fd41c918-b88b-4b20-a0a5-a4c32391aaa0",
        "timestamp": "2026-01-14T10:30:00Z",
        "actor": {"account": {"homePage": ADA.system, "name": ADA.id}},
        "verb": {"id": ADL + done},
        "object": {"id": "https://lms.example/unit/1"},
    }
    return made | ({} if result is None else {"result": result}) | changed


def activities(place: str, kind: str, id_there: str) -> dict[str, Any]:
    return {place: [{"id": id_there, "definition": {"type": kind}}]}


def context(**places: Any) -> dict[str, Any]:
    return {"context": {"registration": REGISTRATION, "contextActivities": places}}


def moodle(**places: Any) -> dict[str, Any]:
    return {"context": {"contextActivities": places, "extensions": {INFO: {"http://moodle.org": "4.5"}}}}


def events(one: Translation) -> list[tuple[str, dict[str, Any]]]:
    assert one.status == "evidence", one.reason
    return [(draft.event_type, draft.data) for draft in one.drafts]


# Any sender


def test_a_statement_of_any_sender() -> None:
    result = {"score": {"raw": 3, "min": 0, "max": 4}, "duration": "PT1M30S"}
    course = activities("grouping", TYPES + "course", "https://lms.example/course/9")
    skill = activities("other", TYPES + "objective", "loops")
    one = became("xapi", statement("passed", result, **context(**course, **skill)))
    assert (one.profile, one.rule, one.message_id) == ("generic", "passed", statement("x")["id"])
    (draft,) = one.drafts
    assert (draft.identity, draft.timestamp, draft.source) == (ADA, AT, "xapi/generic")
    assert draft.event_id == "xapi:fd41c918-b88b-4b20-a0a5-a4c32391aaa0"
    assert draft.course_id == "https://lms.example/course/9"
    assert draft.data == {
        "quiz_id": "https://lms.example/unit/1",
        "attempt_id": f"{REGISTRATION} https://lms.example/unit/1",
        "topic": "loops",
        "time_spent": 90.0,
        "total_questions": 1,
        "correct_answers": 0.75,
    }


def test_an_answer_moves_its_skills() -> None:
    skills = activities("other", TYPES + "objective", "loops")["other"]
    many = [skills[0] | {"id": f"s{number}"} for number in range(9)]
    one = became("xapi", statement("answered", {"success": True}, **context(other=[*skills, *many])))
    ((kind, data),) = events(one)
    assert (kind, data["correct"], data["item_id"]) == ("answer", True, "https://lms.example/unit/1")
    assert data["skills"] == ["loops", *[f"s{number}" for number in range(7)]]
    assert one.notes == ("It names 10 skills; the first 8 count.",)


def test_a_completion_with_a_score_is_both() -> None:
    done, quiz = became("xapi", statement("completed", {"score": {"scaled": 0.5}})).drafts
    assert (done.event_type, quiz.event_type) == ("completion", "quiz")
    assert quiz.event_id == f"{done.event_id}.1"
    assert done.data["completed_exercises"] == 1
    alone = became("xapi", statement("completed"))
    assert [kind for kind, _ in events(alone)] == ["completion"]
    assert alone.notes == ("It has neither a score nor a success.",)
    undone = became("xapi", statement("completed", {"completion": False}))
    assert events(undone)[0][1]["completed_exercises"] == 0


def test_the_end_of_a_progress_is_a_completion() -> None:
    assert [kind for kind, _ in events(became("xapi", statement("progressed", {"completion": True})))] == ["completion"]
    progress = {"extensions": {"https://w3id.org/xapi/cmi5/result/extensions/progress": 100}}
    assert events(became("xapi", statement("progressed", progress)))
    assert became("xapi", statement("progressed", {"completion": False})).status == "ignored"


def test_an_unknown_verb_counts_with_points_and_is_named_without() -> None:
    unknown = {"verb": {"id": "https://example.com/verbs/juggled"}}
    assert events(became("xapi", statement("x", {"score": {"raw": 1, "max": 2}}, **unknown)))[0][0] == "quiz"
    assert events(became("xapi", statement("x", {"score": {"scaled": 0.2}}, **unknown)))[0][0] == "quiz"
    one = became("xapi", statement("x", **unknown))
    assert one.status == "ignored"
    assert one.reason == "The profile generic has no rule for the verb 'https://example.com/verbs/juggled'."


def test_a_verb_alone_says_whether_it_was_passed() -> None:
    for verb, share in (("passed", 1.0), ("failed", 0.0)):
        one = became("xapi", statement(verb))
        assert (events(one)[0][1]["correct_answers"], one.notes) == (share, ())
        assert events(became("xapi", statement(verb, {"score": {"scaled": 0.6}})))[0][1]["correct_answers"] == 0.6
    assert became("xapi", statement("scored")).status == "ignored"


def test_a_whole_course_is_its_parts() -> None:
    whole = {"object": {"id": "c", "definition": {"type": TYPES + "course"}}}
    one = became("xapi", statement("passed", {"score": {"scaled": 1}}, **whole))
    assert (one.status, one.rule) == ("ignored", "course-as-a-whole")


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"actor": {"objectType": "Group", "member": []}}, "ignored", "names no person"),
        ({"actor": {"objectType": "Group", "mbox": "mailto:class-7b@school.example"}}, "ignored", "names no person"),
        ({"actor": {"mbox": "mailto:"}}, "ignored", "names no person"),
        ({"actor": None}, "ignored", "names no person"),
        ({"object": {"id": ""}}, "ignored", "data.item_id is not given"),
        ({"object": {}}, "ignored", "which activity"),
        ({"object": {"objectType": "Agent", "mbox": "mailto:a@b.c"}}, "ignored", "not about an activity"),
        ({"object": {"objectType": "StatementRef", "id": "a"}}, "ignored", "not about an activity"),
        ({"object": {"id": "a\x00b"}}, "refused", "control character"),
        ({"verb": None}, "refused", "the verb is missing"),
        ({"verb": {"id": 7}}, "refused", "the verb is missing"),
        ({"timestamp": "yesterday"}, "refused", "'yesterday' is no time"),
        ({"timestamp": 7}, "refused", "'7' is no time"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "refused", "is no time"),
        ({"object": {"id": "a\ud800"}}, "refused", "control character"),
        ({"result": {"success": "yes"}}, "ignored", "neither a score nor a success"),
    ],
)
def test_what_is_no_evidence_says_why(changed: dict[str, Any], status: str, reason: str) -> None:
    one = became("xapi", statement("answered", {"success": True}) | changed)
    assert (one.status, reason in (one.reason or "")) == (status, True), one.reason
    assert not one.drafts


def test_a_course_that_no_event_may_name_is_refused() -> None:
    course = activities("grouping", TYPES + "course", "a\x00b")
    one = became("xapi", statement("answered", {"success": True}, **context(**course)))
    assert (one.status, one.reason) == (
        "refused",
        "course_id may not hold a control character, and this one holds U+0000.",
    )


@pytest.mark.parametrize("junk", ["\ud800", 10**5000], ids=["half a character", "a very large number"])
def test_what_cannot_be_written_as_json_is_refused(junk: object) -> None:
    bare = {name: part for name, part in statement("answered", {"success": True}).items() if name != "id"}
    assert became("xapi", bare | {"context": {"extensions": {"a": junk}}}).status == "refused"


@pytest.mark.parametrize("message", [None, 7, "statement", ["a"], True])
def test_what_is_no_object_is_refused(message: object) -> None:
    assert became("xapi", message).status == "refused"


def test_a_statement_without_an_id_has_one_of_its_content() -> None:
    bare = {name: part for name, part in statement("answered", {"success": True}).items() if name != "id"}
    ids = [
        became("xapi", one).drafts[0].event_id
        for one in (bare, dict(reversed(bare.items())), bare | {"stored": "2026-01-14T10:31:00Z", "version": "1.0.3"})
    ]
    assert len(set(ids)) == 1
    assert became("xapi", bare | {"timestamp": "2026-01-14T10:30:01Z"}).drafts[0].event_id != ids[0]


def test_ids_of_statements_do_not_depend_on_case_and_always_fit() -> None:
    upper = statement("answered", {"success": True}, id="FD41C918-B88B-4B20-A0A5-A4C32391AAA0")
    assert became("xapi", upper).drafts[0].event_id == "xapi:fd41c918-b88b-4b20-a0a5-a4c32391aaa0"
    odd = [became("xapi", upper | {"id": text}).drafts[0].event_id for text in ("a b", "ü" * 400, "x" * 95)]
    assert all(len(one) <= 100 and one.isascii() for one in odd)
    assert len(set(odd)) == 3


def test_a_time_without_an_offset_is_utc() -> None:
    assert (
        became("xapi", statement("answered", {"success": True}, timestamp="2026-01-14T10:30:00")).drafts[0].timestamp
        == AT
    )


@pytest.mark.parametrize(
    ("duration", "seconds", "note"),
    [
        ("PT1H2M3.5S", 3723.5, None),
        ("PT3M15S", 195.0, None),
        ("P1D", 86_400.0, None),
        ("PT0,5S", 0.5, None),
        ("P2D", None, "longer than a day"),
        ("P", None, "none of ISO 8601"),
        ("PT", None, "none of ISO 8601"),
        ("an hour", None, "none of ISO 8601"),
        ([1], None, "none of ISO 8601"),
    ],
)
def test_durations_are_seconds(duration: object, seconds: float | None, note: str | None) -> None:
    one = became("xapi", statement("answered", {"success": True, "duration": duration}))
    assert one.drafts[0].data.get("duration") == seconds
    assert [part for part in one.notes if note is not None and note in part] == list(one.notes)


def test_ids_that_are_too_long_keep_apart() -> None:
    long = [f"https://lms.example/{'x' * 300}/{number}" for number in range(2)]
    (done, _), (other, _) = [
        became("xapi", statement("completed", {"score": {"scaled": 1}}, object={"id": one})).drafts for one in long
    ]
    assert len(done.data["topic"]) == 100
    assert len(done.data["exercise_id"]) == 300
    assert done.data["topic"] != other.data["topic"]
    assert done.data["exercise_id"] != other.data["exercise_id"]


# Moodle


@needs_foreign
@pytest.mark.parametrize("file", foreign("moodle"), ids=lambda file: file.stem)
def test_moodles_own_fixtures(file: Any) -> None:
    for message in messages_of("xapi", file):
        one = became("xapi", message)
        assert one.profile == "moodle"
        assert one.status in ("evidence", "ignored")
        assert one.drafts or one.reason
        assert all(draft.course_id == "http://www.example.org/course/view.php?id=2" for draft in one.drafts)


def test_moodles_quiz_counts_once() -> None:
    attempt = {"object": {"id": QUIZ, "definition": {"type": TYPES + "attempt"}}}
    score = {"raw": 5, "min": 0, "max": 20, "scaled": -0.5}
    whole = became("xapi", statement("completed", {"score": score, "success": True}, **attempt, **moodle()))
    assert events(whole) == [("quiz", {"attempt_id": QUIZ, "total_questions": 1, "correct_answers": 0.25})]
    within = moodle(**activities("parent", TYPES + "attempt", QUIZ))
    question = became("xapi", statement("answered", {"success": False}, **within))
    ((kind, data),) = events(question)
    assert (kind, data["part_of"], data["correct"]) == ("answer", QUIZ, False)


def test_half_of_moodles_scale_is_nought() -> None:
    attempt = {"object": {"id": QUIZ, "definition": {"type": TYPES + "attempt"}}}
    one = became("xapi", statement("completed", {"score": {"scaled": 0}}, **attempt, **moodle()))
    assert events(one)[0][1]["correct_answers"] == 0.5


def test_a_lessons_essay_is_the_learners_and_not_the_teachers() -> None:
    learner = {
        "https://yetanalytics.com/profiles/prepositions/concepts/context-extensions/for": {"mbox": "mailto:a@b.c"}
    }
    given = moodle()
    given["context"]["extensions"] |= learner
    assessed = {"verb": {"id": "https://w3id.org/xapi/dod-isd/verbs/assessed"}}
    one = became("xapi", statement("x", {"score": {"raw": 1, "max": 2}}, **assessed, **given))
    assert one.drafts[0].identity == Identity("mailto", "a@b.c")
    nobody = became("xapi", statement("x", {"score": {"raw": 1, "max": 2}}, **assessed, **moodle()))
    assert nobody.status == "ignored"


def test_moodles_course_is_named_by_the_schools_number_where_it_is_sent() -> None:
    external = "https://w3id.org/learning-analytics/learning-management-system/external-id"
    course = activities(
        "parent", "https://w3id.org/xapi/cmi5/activitytype/course", "https://moodle.example/course/view.php?id=2"
    )
    done = statement("completed", object={"id": "book"})
    assert became("xapi", done | moodle(**course)).drafts[0].course_id == "https://moodle.example/course/view.php?id=2"
    course["parent"][0]["definition"]["extensions"] = {external: "PHY-7"}
    assert became("xapi", done | moodle(**course)).drafts[0].course_id == "PHY-7"


def test_moodles_activity_can_be_taken_back() -> None:
    undone = {"verb": {"id": "https://xapi.edlm/profiles/edlm-lms/concepts/verbs/uncompleted"}}
    assert events(became("xapi", statement("x", **undone, **moodle())))[0][1]["completed_exercises"] == 0


def test_moodles_scorm_package_says_its_status_and_its_points() -> None:
    sco = {"definition": {"type": "https://xapi.edlm/profiles/edlm-lms/concepts/activity-types/scorm-content-object"}}
    package = {"object": {"id": "sco"} | sco}
    for verb, share in (("passed", 1.0), ("failed", 0.0)):
        (_, done), (_, status) = events(became("xapi", statement(verb, **package, **moodle())))
        assert (done["completed_exercises"], status["correct_answers"]) == (1, share)
    points = became("xapi", statement("completed", {"score": {"raw": 30, "min": 0, "max": 40}}, **package, **moodle()))
    assert events(points)[1][1] == {
        "attempt_id": "sco",
        "quiz_id": "sco",
        "total_questions": 1,
        "correct_answers": 0.75,
    }
    alone = became("xapi", statement("completed", **package, **moodle()))
    assert [kind for kind, _ in events(alone)] == ["completion"]


# cmi5 and H5P


def cmi5(**places: Any) -> dict[str, Any]:
    categories = [{"id": "https://w3id.org/xapi/cmi5/context/categories/moveon"}]
    return context(category=categories, **places)


def test_a_units_result_belongs_to_its_registration() -> None:
    failed = became("xapi", statement("failed", {"success": False, "score": {"scaled": 0.4}}, **cmi5()))
    passed = became("xapi", statement("passed", {"success": True}, **cmi5()))
    (_, first), (_, second) = [*events(failed), *events(passed)]
    assert first["attempt_id"] == second["attempt_id"] == f"{REGISTRATION} https://lms.example/unit/1"
    assert (first["correct_answers"], second["correct_answers"]) == (0.4, 1.0)
    assert [kind for kind, _ in events(became("xapi", statement("completed", **cmi5())))] == ["completion"]
    assert became("xapi", statement("launched", **cmi5())).rule == "sessions"


def test_h5p_counts_the_content_and_not_its_parts_again() -> None:
    library = {"category": [{"id": "http://h5p.org/libraries/H5P.QuestionSet-1.20"}]}
    score = {"score": {"min": 0, "max": 5, "raw": 4, "scaled": 0.8}, "completion": True}
    whole = became("xapi", statement("completed", score, context={"contextActivities": library}))
    assert [kind for kind, _ in events(whole)] == ["completion", "quiz"]
    parent = {"parent": [{"id": "https://lms.example/unit/1"}]}
    part = became("xapi", statement("answered", score, context={"contextActivities": library | parent}))
    ((kind, data),) = events(part)
    assert (kind, data["part_of"], data["score"]) == ("answer", "https://lms.example/unit/1", 0.8)
    alone = became("xapi", statement("answered", score, context={"contextActivities": library}))
    assert "part_of" not in events(alone)[0][1]
    draft = became(
        "xapi", statement("completed", score, context={"contextActivities": library}, object={"definition": {}})
    )
    assert (draft.status, draft.rule) == ("ignored", "content-without-an-id")
    nested = became("xapi", statement("completed", score, context={"contextActivities": library | parent}))
    assert (nested.status, nested.rule) == ("ignored", "part-completed")


# Caliper


def graded(**changed: Any) -> dict[str, Any]:
    return {
        "@context": "http://purl.imsglobal.org/ctx/caliper/v1p2",
        "id": "urn:uuid:a50ca17f-5971-47bb-8fca-4e6e6879001d",
        "type": "GradeEvent",
        "actor": {"id": "https://example.edu/users/112233", "type": "Person"},
        "action": "Graded",
        "object": {
            "id": "https://example.edu/attempts/1",
            "type": "Attempt",
            "assignee": {"id": "https://example.edu/users/554433", "type": "Person"},
            "assignable": {"id": "https://example.edu/assess/1", "type": "Assessment"},
        },
        "eventTime": "2026-01-14T10:30:00.000Z",
        "generated": {"type": "Score", "maxScore": 15.0, "scoreGiven": 10.0},
        "group": {"id": "https://example.edu/sections/1", "type": "CourseSection"},
    } | changed


def test_a_grade_is_the_assignees() -> None:
    (draft,) = became("caliper", graded()).drafts
    assert draft.identity == Identity("https://example.edu", "https://example.edu/users/554433")
    assert draft.event_id == "caliper:a50ca17f-5971-47bb-8fca-4e6e6879001d"
    assert draft.course_id == "https://example.edu/sections/1"
    assert draft.data["attempt_id"] == "https://example.edu/attempts/1"
    assert draft.data["correct_answers"] == pytest.approx(2 / 3)
    nobody = {"id": "https://example.edu/attempts/1", "assignable": {"id": "a"}}
    assert became("caliper", graded(object=nobody)).status == "ignored"


def test_a_graded_question_is_part_of_its_attempt() -> None:
    item = {
        "id": "https://example.edu/items/3/attempts/1",
        "assignee": "https://example.edu/users/554433",
        "assignable": {"id": "https://example.edu/items/3", "type": "AssessmentItem"},
        "isPartOf": "https://example.edu/attempts/1",
    }
    ((kind, data),) = events(became("caliper", graded(object=item)))
    assert kind == "answer"
    assert data["part_of"] == "https://example.edu/attempts/1"
    assert data["item_id"] == "https://example.edu/items/3"


@pytest.mark.parametrize(
    ("actor", "person"),
    [
        ("https://example.edu/users/1", Identity("https://example.edu", "https://example.edu/users/1")),
        ({"id": "HTTP://Example.edu:8080/u?x#y"}, Identity("http://example.edu:8080", "HTTP://Example.edu:8080/u?x#y")),
        ({"id": "urn:instructure:canvas:user:21"}, Identity("urn:instructure:canvas", "21")),
        ({"id": "urn:uuid:7"}, Identity("urn:uuid", "urn:uuid:7")),
        ({"id": "mailto:a@b.c"}, Identity("mailto", "a@b.c")),
        ({"id": "http://purl.imsglobal.org/caliper/Person"}, None),
        ({"id": "_:anonymous"}, None),
        ({"id": "somebody"}, None),
        ({"id": "https://example.edu/\x00"}, None),
        ({}, None),
    ],
)
def test_who_a_person_of_caliper_is(actor: object, person: Identity | None) -> None:
    used = graded(type="ToolUseEvent", action="Used", actor=actor)
    assert [draft.identity for draft in became("caliper", used).drafts] == ([] if person is None else [person])


@pytest.mark.parametrize(
    ("kind", "action", "expected"),
    [
        ("AssignableEvent", "Submitted", "completion"),
        ("AssessmentEvent", "Submitted", "consistency"),
        ("AssessmentItemEvent", "Completed", "consistency"),
        ("ToolUseEvent", "Used", "consistency"),
        ("AssessmentEvent", "Started", None),
        ("MediaEvent", "Ended", None),
    ],
)
def test_what_other_events_of_caliper_say(kind: str, action: str, expected: str | None) -> None:
    one = became("caliper", graded(type=kind, action=action))
    assert [draft.event_type for draft in one.drafts] == ([] if expected is None else [expected])


@needs_foreign
def test_every_fixture_of_caliper_is_known() -> None:
    files = foreign("caliper")
    found = [became("caliper", message) for file in files for message in messages_of("caliper", file)]
    assert {one.status for one in found} == {"evidence", "ignored"}
    assert all(one.rule is not None for one in found)


# Canvas


@needs_foreign
def test_canvas_gives_more_than_all_for_all() -> None:
    file, _ = foreign("canvas")
    (message,) = messages_of("canvas", file)
    one = became("canvas", message)
    (draft,) = one.drafts
    assert draft.identity == Identity("urn:instructure:canvas", "21070000000000048")
    assert (draft.course_id, draft.data["attempt_id"]) == ("21070000000000565", "21070000000011086")
    assert draft.data["correct_answers"] == 1
    assert one.notes == ("5 points of 1 counts as all.",)


def canvas(event: str, **body: Any) -> dict[str, Any]:
    return {
        "metadata": {"event_name": event, "event_time": "2026-01-14T10:30:00.5Z", "user_id": "987"},
        "body": {"user_id": "48"} | body,
    }


def test_canvas_outcomes_are_parts_of_the_grade() -> None:
    outcome = canvas(
        "learning_outcome_result_updated", learning_outcome_id="1", score=3, possible=5, mastery=True,
        artifact_type="RubricAssessment", artifact_id="22",
        associated_asset_type="Assignment", associated_asset_id="56",
    )  # fmt: skip
    ((kind, data),) = events(became("canvas", outcome))
    assert (kind, data["skills"], data["score"]) == ("answer", ["outcome-1"], 0.6)
    assert data["part_of"] == "RubricAssessment 22"
    created = outcome | {"metadata": outcome["metadata"] | {"event_name": "learning_outcome_result_created"}}
    assert events(became("canvas", created))[0][1]["attempt_id"] == data["attempt_id"]


def test_a_grade_of_canvas_is_the_same_event_in_its_own_form_and_as_caliper() -> None:
    own = canvas("grade_change", assignment_id="355", submission_id="11086", score=3, points_possible=4)
    own["metadata"] |= {"context_type": "Course", "context_id": "565"}
    attempt = {
        "id": "urn:instructure:canvas:submission:11086",
        "assignee": {"id": "urn:instructure:canvas:user:48"},
        "assignable": {"id": "urn:instructure:canvas:assignment:355"},
    }
    course = {"id": "urn:instructure:canvas:course:565", "type": "CourseOffering"}
    teacher = {"id": "urn:instructure:canvas:user:987"}
    score = {"scoreGiven": 3, "maxScore": 4}
    at = own["metadata"]["event_time"]
    said = graded(actor=teacher, object=attempt, group=course, generated=score, eventTime=at)
    as_caliper = became("caliper", said | {"extensions": {"com.instructure.canvas": {"version": "1.0.0"}}})
    assert as_caliper.profile == "canvas-caliper"
    (one,), (other,) = became("canvas", own).drafts, as_caliper.drafts
    assert one.data == {"quiz_id": "355", "attempt_id": "11086", "total_questions": 1, "correct_answers": 0.75}
    assert msgspec.structs.replace(other, source=one.source) == one


def test_canvas_submissions_hold_no_score() -> None:
    one = became("canvas", canvas("quiz_submitted", user_id=None, quiz_id="1", submission_id="2"))
    assert events(one) == [("consistency", {"days_since_last_activity": 0})]
    assert one.drafts[0].identity.id == "987"


@pytest.mark.parametrize("score", [{"score": None, "points_possible": 10}, {"score": 0, "points_possible": 0}])
def test_canvas_grades_that_say_nothing_are_ignored(score: dict[str, Any]) -> None:
    assert became("canvas", canvas("grade_change", **score)).status == "ignored"


def test_a_repeat_of_canvas_is_the_same_event() -> None:
    first, again = [became("canvas", canvas("grade_change", score=1, points_possible=2)) for _ in range(2)]
    assert first.drafts[0].event_id == again.drafts[0].event_id
    other = became("canvas", canvas("grade_change", score=2, points_possible=2))
    assert other.drafts[0].event_id != first.drafts[0].event_id


# Whatever comes


@pytest.mark.parametrize(
    ("message", "door"),
    [
        (statement("passed"), "xapi"),
        (graded(), "caliper"),
        ({"sensor": "s", "data": []}, "caliper"),
        (canvas("grade_change"), "canvas"),
        ({"name": "problem_check"}, "openedx"),
        ({"event_type": "problem_check"}, "openedx"),
        ({"tracking_log": {}}, "openedx"),
        ({"student_id": "a"}, None),
        ([], None),
    ],
)
def test_which_door_a_message_is_for(message: object, door: DoorName | None) -> None:
    assert door_of(message) == door


def test_the_messages_in_a_body() -> None:
    assert messages_in("xapi", {"a": 1}) == [{"a": 1}]
    assert messages_in("xapi", [1, 2]) == [1, 2]
    assert messages_in("caliper", {"sensor": "s", "data": [1, 2]}) == [1, 2]
    assert messages_in("caliper", [{"data": [1]}, {"id": "2"}]) == [1, {"id": "2"}]
    assert messages_in("openedx", {"data": [1]}) == [{"data": [1]}]


def test_a_profile_of_the_same_name_takes_the_place_of_a_shipped_one() -> None:
    all_shipped = shipped().all_profiles
    own = msgspec.structs.replace(
        next(one for one in all_shipped if one.name == "h5p"), origin="own.yaml", recognised=()
    )
    found = profiles_of([own], all_shipped).profiles["xapi"]
    assert [one.name for one in found] == ["cmi5", "moodle", "openedx", "h5p", "generic"]
    assert found[3].origin == "own.yaml"
    with pytest.raises(InvalidInput, match=r"own.yaml: own.yaml is called h5p too"):
        profiles_of([own, own], all_shipped)


def test_a_door_without_a_profile_ignores_by_name() -> None:
    empty = profiles_of([], [])
    assert empty.translated("canvas", canvas("grade_change")).reason == "No profile of the door canvas is for it."
