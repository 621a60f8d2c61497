"""Learning events, and a clock that tests tick: what all tests share."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import mastery_engine
from mastery_engine.domain.courses.curriculum import curriculum_from
from mastery_engine.domain.events.event import LearningEvent, Logged, check_times, decode
from mastery_engine.domain.events.kinds import ALIASES
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence, with_event
from mastery_engine.domain.moments import DAY, MINUTE, Micros, day_of, iso_date, moment_of, rfc3339
from mastery_engine.domain.rules import Rules

HOUR = 60 * MINUTE
NOW: Micros = moment_of(datetime(2026, 1, 14, 10, 30, tzinfo=UTC))
TODAY = day_of(NOW)
CURRICULUM = curriculum_from((Path(mastery_engine.__file__).parent / "curriculum.yaml").read_bytes())

COMPLETION = {"total_exercises": 10, "completed_exercises": 8, "difficulty": "intermediate", "topic": "loops"}
QUIZ = {"total_questions": 10, "correct_answers": 9}
QUALITY = {"code_quality_score": 0.9, "correctness_score": 0.6, "efficiency_score": 0.3}
CONSISTENCY = {"current_streak": 3, "days_since_last_activity": 1}
ANSWER = {"item_id": "i-1", "skills": ["loops"], "correct": True}
EXECUTION = {"outcome": "success", "topic": "loops"}
HELP = {"topic": "loops"}
ADVICE = {"recommendation_id": "r-1"}
FOUR = {"completion": 0.85, "quiz": 0.90, "quality": 0.85, "consistency": 0.82}

# One of each kind, as plain as may be.
DATA: dict[str, dict[str, Any]] = {
    "completion": COMPLETION,
    "quiz": QUIZ,
    "quality": QUALITY,
    "consistency": CONSISTENCY,
    "answer": ANSWER,
    "execution": EXECUTION,
    "help": HELP,
    "recommendation.followed": ADVICE,
    "recommendation.dismissed": ADVICE,
    "mastery.calculation.requested": {"components": FOUR},
}


class Clock:
    """A clock that stands still until a test ticks it."""

    def __init__(self, now: Micros = NOW) -> None:
        self.now = now

    def __call__(self) -> Micros:
        return self.now

    def tick(self, micros: Micros) -> None:
        self.now += micros


def when(at: Micros) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def envelope(kind: str, data: dict[str, Any], event_id: Any = "e-1", **others: Any) -> dict[str, Any]:
    """An event as it is sent; ``at`` is its time in microseconds, now where left out."""
    at = others.pop("at", NOW)
    return {
        "event_id": event_id,
        "event_type": kind,
        "student_id": "ada",
        "timestamp": rfc3339(at),
        "data": data,
        **others,
    }


def raw(event: Any) -> bytes:
    return json.dumps(event).encode()


def event(
    kind: str, data: dict[str, Any], event_id: str = "e-1", *, received: Micros | None = None, **others: Any
) -> LearningEvent:
    """An accepted event, received at its own time where nothing else is said."""
    found = decode(
        raw(envelope(kind, data, event_id, **others)), received=others.get("at", NOW) if received is None else received
    )
    return check_times(found, Rules())


def quiz(correct: float, total: int, event_id: str = "e-1", **others: Any) -> LearningEvent:
    return event("quiz", {"total_questions": total, "correct_answers": correct}, event_id, **others)


def done(topic: str | None, completed: int, total: int, event_id: str = "e-1", **others: Any) -> LearningEvent:
    data = {"total_exercises": total, "completed_exercises": completed, "difficulty": "intermediate"}
    return event("completion", data if topic is None else {**data, "topic": topic}, event_id, **others)


def given(event_id: Any = "e-1", *, at: Any = NOW, received: Any = None, **components: float) -> LearningEvent:
    return event("mastery.calculation.requested", {"components": components}, event_id, at=at, received=received)


def helped(event_id: str = "e-1", **others: Any) -> LearningEvent:
    return event("help", HELP, event_id, **others)


def failed(event_id: str = "e-1", *, at: Micros = NOW, received: Micros | None = None, **data: Any) -> LearningEvent:
    """A run that failed, on loops where nothing else is said; None leaves a field out."""
    found = {name: value for name, value in {"topic": "loops", **data}.items() if value is not None}
    return event("execution", {"outcome": "error", **found}, event_id, at=at, received=received)


def succeeded(event_id: str = "e-1", *, topic: str = "loops", **others: Any) -> LearningEvent:
    return event("execution", {"outcome": "success", "topic": topic}, event_id, **others)


def answered(event_id: str = "e-1", *, at: Micros = NOW, received: Micros | None = None, **data: Any) -> LearningEvent:
    return event("answer", {**ANSWER, **data}, event_id, at=at, received=received)


def evidence_of(one: LearningEvent, *, retention_days: int) -> Evidence:
    """What one event is evidence of."""
    return with_event(NO_EVIDENCE, one, Rules(retention_days=retention_days))


def logged(events: Iterable[LearningEvent], *, first: int = 0) -> list[Logged]:
    """The events as a log with one partition keeps them."""
    return [Logged(one, 0, first + place) for place, one in enumerate(events)]


# ---- any event

# Few values, so that equal times, topics and ids come up, and some at the edges.
_shares = st.one_of(st.sampled_from([0, 1, 0.0, 1.0, 0.5]), st.floats(0, 1, allow_subnormal=False))
_topics = st.sampled_from(["loops", "Loops", "functions", "größe", "ループ", "a b", "edX/Demo", "x" * 100])
_ids = st.sampled_from(["1", "i-1", "größe", "block-v1:edX+Demo/1", "x" * 300])
_attempts = st.sampled_from(["a", "b", "b ", "größe", "gro\u0308\u00dfe"])
_difficulties = st.sampled_from(["beginner", "intermediate", "advanced"])
_seconds = st.one_of(st.integers(0, 10_000), st.floats(0, 86_400))
_counts = st.one_of(st.integers(0, 40), st.sampled_from([99_999, 100_000]))


def _some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def _part_of(
    draw: st.DrawFn, whole: str, part: str, others: st.SearchStrategy[dict[str, Any]], *, fractions: bool = False
) -> dict[str, Any]:
    total = draw(st.one_of(st.integers(1, 12), st.sampled_from([1, 100_000])))
    parts = st.integers(0, total)
    return {whole: total, part: draw(st.one_of(parts, st.floats(0, total)) if fractions else parts), **draw(others)}


_given = _some({}, dict.fromkeys(FOUR, _shares)).filter(bool).map(lambda found: {"components": found})


def data_of(kind: str, today: int = TODAY) -> st.SearchStrategy[dict[str, Any]]:
    """Any data of one kind, for an event that is received on the day ``today``."""
    days = st.one_of(st.integers(today - 100, today + 1), st.integers(today - 8, today + 1)).map(iso_date)
    named = _some(
        {},
        {
            "current_streak": _counts,
            "max_streak": _counts,
            "days_since_last_activity": _counts,
            "activity_dates": st.lists(days, max_size=8),
        },
    ).filter(bool)
    reason = {"reason": st.text(st.characters(exclude_categories=["Cs"]), max_size=20)}
    return {
        "completion": _part_of(
            "total_exercises",
            "completed_exercises",
            _some({"difficulty": _difficulties}, {"topic": _topics, "exercise_id": _ids, "time_taken": _seconds}),
        ),
        "quiz": _part_of(
            "total_questions",
            "correct_answers",
            _some(
                {},
                {
                    "topic": _topics,
                    "quiz_id": _ids,
                    "time_spent": _seconds,
                    "confidence_score": _shares,
                    "attempt_id": _attempts,
                },
            ),
            fractions=True,
        ),
        "quality": _some(
            dict.fromkeys(QUALITY, _shares),
            {"peer_review_score": _shares, "submission_id": _ids, "topic": _topics, "attempt_id": _attempts},
        ),
        "consistency": named,
        "answer": _some(
            {"item_id": _ids},
            {
                "skills": st.lists(_topics, max_size=8),
                "correct": st.booleans(),
                "score": _shares,
                "attempts": _counts,
                "hints": _counts,
                "duration": _seconds,
                "difficulty": _difficulties,
                "attempt_id": _attempts,
                "part_of": _attempts,
            },
        ).filter(lambda data: "correct" in data or "score" in data),
        "execution": _some(
            {"outcome": st.sampled_from(["success", "error"])},
            {"topic": _topics, "exercise_id": _ids, "error_type": st.just("TypeError"), "duration": _seconds},
        ),
        "help": _some({"topic": _topics}, {"message": st.sampled_from(["I'm stuck", "I don\u2019t understand", ""])}),
        "recommendation.followed": _some({"recommendation_id": _ids}, reason),
        "recommendation.dismissed": _some({"recommendation_id": _ids}, reason),
        "mastery.calculation.requested": _given,
    }[kind]


NAMES = [*DATA, *ALIASES]
event_ids = st.text("aAzZ09._:-", min_size=1, max_size=4)


def times(first: Micros, last: Micros) -> st.SearchStrategy[Micros]:
    """Times in a range, often the same one, midnight, or a microsecond beside either."""
    coarse = st.integers(first // (6 * HOUR) + 1, last // (6 * HOUR)).map(lambda quarter: quarter * 6 * HOUR)
    beside = st.tuples(coarse, st.sampled_from([-1, 0, 0, 0, 1, 1_000])).map(sum)
    return st.one_of(st.integers(first, last), beside.filter(lambda at: first <= at <= last))


@st.composite
def envelopes(
    draw: st.DrawFn,
    *,
    first: Micros = NOW - 89 * DAY,
    last: Micros = NOW + 5 * MINUTE,
    students: tuple[str, ...] = ("ada",),
    kinds: tuple[str, ...] = tuple(NAMES),
    courses: tuple[str | None, ...] = (None,),
) -> dict[str, Any]:
    """An event of any kind, under any of its names, that is accepted where it is received at its time or ``NOW``.

    It names one of the courses; None is none.
    """
    name = draw(st.sampled_from(kinds))
    at = draw(times(first, last))
    data = draw(data_of(ALIASES.get(name, name), min(day_of(at), TODAY)))
    student_id, course_id = draw(st.sampled_from(students)), draw(st.sampled_from(courses))
    named = {} if course_id is None else {"course_id": course_id}
    return envelope(name, data, draw(event_ids), at=at, student_id=student_id, **named)


def by_id(events: st.SearchStrategy[dict[str, Any]], **sizes: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of events of which no two of a student in a course share an id."""
    return st.lists(
        events, unique_by=lambda one: (one["student_id"], one.get("course_id", "default"), one["event_id"]), **sizes
    )
