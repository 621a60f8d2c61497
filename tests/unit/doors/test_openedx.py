"""Open edX: each tracking event is evidence or ignored by name, and its twins in xAPI and Caliper say the same."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import DoorName
from tests.support.profiles import FOREIGN, became, drafts_of, foreign, messages_of, needs_foreign

RAW = foreign("openedx/raw")
BLOCK = "block-v1:edX+DemoX+2026+type@problem+block@1"
CHECKED: dict[str, Any] = {
    "name": "problem_check",
    "timestamp": "2026-01-14T10:30:00.123456+00:00",
    "context": {"course_id": "course-v1:edX+DemoX+2026", "username": "ada", "event_source": "server"},
    "data": {"problem_id": BLOCK, "grade": 1, "max_grade": 2, "attempts": 3, "success": "incorrect"},
}


def said(door: DoorName, file: Path) -> list[tuple[object, ...]]:
    """What the messages of a file say, and under which ids: all but the person, who has another id in each."""
    return sorted(
        (draft.event_id, draft.event_type, draft.course_id, msgspec.json.encode(draft.data, order="sorted"))
        for draft in drafts_of(door, file)
    )


@needs_foreign
def test_the_fixtures_are_there() -> None:
    assert len(RAW) == 40


@pytest.mark.parametrize("file", RAW, ids=lambda file: file.stem)
def test_a_tracking_event_and_its_twins_are_the_same_evidence(file: Path) -> None:
    for message in messages_of("openedx", file):
        one = became("openedx", message)
        assert one.status in ("evidence", "ignored"), one.reason
        assert one.drafts or one.reason
    here = said("openedx", file)
    statements = FOREIGN / "openedx" / "xapi" / file.name
    if statements.exists():
        assert said("xapi", statements) == here
    caliper = FOREIGN / "openedx" / "caliper" / file.name
    if caliper.exists():
        assert set(said("caliper", caliper)) <= set(here)  # it does not tell the end of a video from stopping it


@needs_foreign
def test_which_of_the_fixtures_are_evidence() -> None:
    evidence = {file.stem for file in RAW if drafts_of("openedx", file)}
    assert evidence == {
        "complete_video",
        "edx.completion.block_completion.changed",
        "problem_check(server,multiple_questions,correct)",
        "problem_check(server,multiple_questions,partial_correct)",
        "problem_check(server,unsupported_responsetype)",
    }


def test_the_latest_of_the_tries_at_a_problem_is_its_score() -> None:
    quiz, answer = became("openedx", CHECKED).drafts
    assert quiz.identity == Identity("openedx", "ada")
    assert quiz.course_id == "course-v1:edX+DemoX+2026"
    assert quiz.data == {"quiz_id": BLOCK, "attempt_id": BLOCK, "total_questions": 1, "correct_answers": 0.5}
    assert answer.data == {"item_id": BLOCK, "part_of": BLOCK, "score": 0.5}
    submitted = {
        **CHECKED,
        "name": "edx.grades.problem.submitted",
        "timestamp": "2026-01-14T10:30:00.200+00:00",
        "data": {"problem_id": BLOCK, "weighted_earned": 2, "weighted_possible": 4},
    }
    (again,) = became("openedx", submitted).drafts
    assert again.data["attempt_id"] == quiz.data["attempt_id"]
    assert again.event_id != quiz.event_id


def test_the_log_and_the_event_bus_write_the_same_event() -> None:
    in_the_log = {
        "event_type": CHECKED["name"],
        "time": CHECKED["timestamp"],
        "event": msgspec.json.encode(CHECKED["data"]).decode(),
        "context": {"course_id": "course-v1:edX+DemoX+2026"},
        "username": "ada",
        "event_source": "server",
    }
    on_the_bus = {
        "tracking_log": {
            "name": CHECKED["name"],
            "timestamp": CHECKED["timestamp"],
            "data": msgspec.json.encode(CHECKED["data"]).decode(),
            "context": msgspec.json.encode(CHECKED["context"]).decode(),
        }
    }
    assert became("openedx", in_the_log).drafts == became("openedx", CHECKED).drafts
    assert became("openedx", on_the_bus).drafts == became("openedx", CHECKED).drafts


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"event_source": "browser", "context": {"username": "ada"}}, "the server's brings the result"),
        ({"context": {"event_source": "browser"}}, "the server's brings the result"),
        ({"data": {"problem_id": BLOCK, "grade": 0, "max_grade": 0, "success": "correct"}}, "0 of 0 points"),
        ({"data": "input_1=choice_0"}, "which problem"),
        ({"data": {"grade": 1, "max_grade": 1}}, "which problem"),
        ({"context": {"username": ""}}, "names no person"),
        ({"name": "edx.grades.problem.rescored"}, "edx.grades.problem.rescored: It names the member of staff"),
        ({"name": "/courses/course-v1:edX+DemoX+2026/info"}, "a page: "),
        ({"name": "something.new"}, "something.new: "),
        ({"context": {"username": "\x00"}}, "names no person"),
        ({"data": {"problem_id": BLOCK, "grade": None, "submission": {"a": 5}}}, "neither a score nor a success"),
    ],
)
def test_what_is_ignored_is_named(changed: dict[str, object], reason: str) -> None:
    one = became("openedx", CHECKED | changed)
    assert one.status == "ignored"
    assert reason in (one.reason or "")


def test_a_success_counts_where_there_is_no_grade() -> None:
    data = {"problem_id": BLOCK, "success": "correct"}
    assert became("openedx", CHECKED | {"data": data}).drafts[1].data["correct"] is True
    question = {"1_2_1": {"correct": False, "question": "?"}}
    assert became("openedx", CHECKED | {"data": data | {"submission": question}}).drafts[1].data["correct"] is False


def test_a_video_is_named_by_its_block() -> None:
    for course, block in (
        ("course-v1:edX+DemoX+2026", "block-v1:edX+DemoX+2026+type@video+block@7"),
        ("ccx-v1:edX+DemoX+2026+ccx@1", "ccx-block-v1:edX+DemoX+2026+ccx@1+type@video+block@7"),
    ):
        done = CHECKED | {
            "name": "complete_video",
            "data": {"id": "7"},
            "context": {"course_id": course, "username": "a"},
        }
        assert became("openedx", done).drafts[0].data["topic"] == block
    old = CHECKED | {
        "name": "complete_video",
        "data": {"id": "7"},
        "context": {"course_id": "edX/D/1", "username": "a"},
    }
    assert became("openedx", old).drafts[0].data["topic"] == "7"


def test_an_event_without_a_time_has_an_id_of_its_content() -> None:
    timeless = {name: part for name, part in CHECKED.items() if name != "timestamp"}
    other = timeless | {"data": {"problem_id": BLOCK, "grade": 2, "max_grade": 2}}
    ids = [[draft.event_id for draft in became("openedx", one).drafts] for one in (timeless, timeless, other)]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])
