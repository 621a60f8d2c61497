"""The contract's sections 1 and 2 computed as plainly as can be, for tests to compare the engine with.

Written from the contract alone. Nothing is kept between calls: every number is worked out from the whole list
of events. Days are ordinals (`date.toordinal`) in the course's time zone. Where the contract leaves a choice:
"Read as".
"""

import json
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any

WEIGHTS = {"completion": 0.40, "quiz": 0.30, "quality": 0.20, "consistency": 0.10}
LEVELS = {"expert": 0.90, "proficient": 0.75, "competent": 0.60, "developing": 0.40, "beginner": 0.0}
DIFFICULTY = {"beginner": Fraction(8, 10), "intermediate": Fraction(1), "advanced": Fraction(12, 10)}
HALF_LIFE = timedelta(days=14)
TOPICS_HELD = 256
DEFAULT = "default"
ATTEMPTS_HELD = 256
DIRECT = "mastery.calculation.requested"
ACTIVE = {"completion", "quiz", "quality", "answer", "execution", "help"}
ALIASES = {
    "exercise.completed": "completion",
    "exercise.completion.submitted": "completion",
    "quiz.completed": "quiz",
    "quiz.performance.submitted": "quiz",
    "code.reviewed": "quality",
    "quality.assessment.completed": "quality",
    "consistency.activity.recorded": "consistency",
}
# Each kind's fields as name:type, with ? where it may be left out. Read as: left out or of its type, never
# null; an answer's difficulty is one of a completion's words; an error_type is a text (its name says no id).
FIELDS = {
    "completion": "total_exercises:positive completed_exercises:count difficulty:difficulty"
    " topic?:name exercise_id?:id time_taken?:seconds",
    "quiz": "total_questions:positive correct_answers:part"
    " topic?:name quiz_id?:id time_spent?:seconds confidence_score?:share attempt_id?:id",
    "quality": "code_quality_score:share correctness_score:share efficiency_score:share"
    " peer_review_score?:share submission_id?:id topic?:name attempt_id?:id",
    "consistency": "current_streak?:count max_streak?:count days_since_last_activity?:count activity_dates?:dates",
    "answer": "item_id:id skills?:skills correct?:boolean"
    " attempts?:count hints?:count duration?:seconds difficulty?:difficulty score?:share"
    " attempt_id?:id part_of?:id",
    "execution": "outcome:outcome topic?:name exercise_id?:id error_type?:text duration?:seconds",
    "help": "topic:name message?:text",
    "recommendation.followed": "recommendation_id:id reason?:text",
    "recommendation.dismissed": "recommendation_id:id reason?:text",
    DIRECT: "components:components",
}

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """One student at one time; a component is None where there is no evidence of it."""

    components: dict[str, float | None]
    coverage: float
    score: float
    level: str


@dataclass(frozen=True)
class Fact:
    """An accepted event; without a course it is of the one called default."""

    student_id: str
    course_id: str
    event_id: str
    kind: str
    time: datetime
    data: dict[str, Any]
    zone: tzinfo

    @property
    def day(self) -> int:
        return _day(self.time, self.zone)

    @property
    def recency(self) -> tuple[datetime, str]:
        """Ties in time go to the greater id (ids are ASCII, so Python's order is that of the code points)."""
        return self.time, self.event_id


def accepts(event: Event, received: datetime, retention_days: int = 90, zone: tzinfo = UTC) -> str | None:
    """Why this envelope, received at this time, is refused; None where it is accepted."""
    try:
        # Read as: half of a surrogate pair has no UTF-8 bytes, so it is refused as they would be.
        json.dumps(event, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return "not RFC 8259 JSON in UTF-8"
    kind = _kind(event)
    if kind is None:
        return "event_type"
    if not _matches("[A-Za-z0-9_-]{1,50}", event.get("student_id")):
        return "student_id"
    if "event_id" in event and not _matches("[A-Za-z0-9._:-]{1,100}", event["event_id"]):
        return "event_id"
    others = {
        "source": _text(event.get("source", "")),
        "course_id": _named(event.get("course_id", DEFAULT), 100),
        "metadata": _metadata(event.get("metadata", {})),
    }
    if not all(others.values()):
        return ", ".join(name for name, is_right in others.items() if not is_right)
    refusal = _refused_data(kind, event.get("data"))
    if refusal is not None:
        return f"data: {refusal}"
    try:
        time = _time(event, received)
    except (ValueError, OverflowError):
        return "timestamp"
    if time > received + timedelta(minutes=5):
        return "more than 5 minutes after the receipt"
    if _day(time, zone) <= _day(received, zone) - retention_days:
        return "of a day before the retention"
    if any(_ordinal(named) > _day(received, zone) + 1 for named in event["data"].get("activity_dates", [])):
        return "names a day later than the day after the receipt"
    return None


def score(
    events: Iterable[tuple[Event, datetime]],
    at: datetime,
    retention_days: int = 90,
    course_id: str = DEFAULT,
    zone: tzinfo = UTC,
    half_life: timedelta = HALF_LIFE,
) -> dict[str, Result]:
    """As ``scores``, the students of one course."""
    results = scores(events, at, retention_days, zone, half_life)
    return {student_id: result for (student_id, course), result in results.items() if course == course_id}


def scores(
    events: Iterable[tuple[Event, datetime]],
    at: datetime,
    retention_days: int = 90,
    zone: tzinfo = UTC,
    half_life: timedelta = HALF_LIFE,
) -> dict[tuple[str, str], Result]:
    """Every student of one tenant in each course, by student and course, at a time not before the receipts.

    The events are in the log's order.
    """
    facts: dict[tuple[str, str, str], Fact] = {}
    for place, (event, received) in enumerate(events):
        kind = _kind(event)
        if kind is not None and accepts(event, received, retention_days, zone) is None:
            # Read as: an id that was left out is minted, so it is like no other ("(" is in no stated id).
            event_id = event.get("event_id", f"({place})")
            course_id = _spelled(event.get("course_id", DEFAULT))
            fact = Fact(event["student_id"], course_id, event_id, kind, _time(event, received), event["data"], zone)
            # Read as: a repeat is a repeat for ever, also when the retention from its first receipt is over.
            facts.setdefault((fact.student_id, course_id, fact.event_id), fact)
    of_student: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts.values():
        of_student[fact.student_id, fact.course_id].append(fact)

    today, oldest = _day(at, zone), _day(at, zone) - retention_days + 1
    results = {}
    for place, theirs in of_student.items():
        # The days that an event names have an age of their own, so these come from all events.
        named = {day for fact in theirs for day in _active_days(fact, oldest) if day >= oldest}
        kept = [fact for fact in theirs if fact.day >= oldest]
        # Read as: an event that is evidence of nothing (advice dismissed) makes a student known, at score 0.
        if kept or named:
            results[place] = _result(kept, named, today, half_life)
    return results


def _result(kept: list[Fact], named: set[int], today: int, half_life: timedelta) -> Result:
    completions = [fact for fact in kept if fact.kind == "completion"]
    words = _last_words(kept)
    quizzes = [fact for fact in words if fact.kind in ("quiz", "answer")]
    reviews = [fact for fact in words if fact.kind == "quality"]
    # What is timed after `at` counts at once, for consistency from its day on (read as: a direct one too).
    active = {day for day in named if day <= today}
    due = [fact for fact in kept if fact.day <= today]

    def later(native: list[Fact]) -> Callable[[Fact], bool]:
        return lambda direct: any(fact.time > direct.time for fact in native)

    def later_day(direct: Fact) -> bool:
        return any(day > direct.day for day in active)

    quiz, quality = _decayed_mean(map(_of_quiz, quizzes), half_life), _decayed_mean(map(_of_review, reviews), half_life)
    components = {
        "completion": _component("completion", kept, later(completions), _completion(completions)),
        "quiz": _component("quiz", kept, later(quizzes), quiz),
        "quality": _component("quality", kept, later(reviews), quality),
        "consistency": _component("consistency", due, later_day, _consistency(active, today)),
    }
    evident = {name: value for name, value in components.items() if value is not None}
    total = math.fsum(WEIGHTS[name] * value for name, value in evident.items())
    level = next(name for name, bound in LEVELS.items() if round(total, 9) >= bound)
    return Result(components, math.fsum(WEIGHTS[name] for name in evident), total, level)


def _last_words(kept: list[Fact]) -> list[Fact]:
    """The quizzes, answers and reviews that count: of those on one attempt the latest, of attempts the latest 256."""
    measured = [fact for fact in kept if fact.kind in ("quiz", "answer", "quality")]
    of_attempt: dict[tuple[str, str], Fact] = {}
    for fact in sorted(measured, key=lambda fact: fact.recency):
        if "attempt_id" in fact.data:
            of_attempt[fact.kind, _spelled(fact.data["attempt_id"])] = fact
    held = sorted(of_attempt.values(), key=lambda fact: fact.recency)[-ATTEMPTS_HELD:]
    words = [fact for fact in measured if "attempt_id" not in fact.data] + held
    # Read as: an answer that is part of a quiz brings no evidence of its own, and yet is a word on its own attempt: it
    # counts in the place of earlier ones that brought some.
    return [fact for fact in words if "part_of" not in fact.data]


def _component(name: str, facts: list[Fact], outdated: Callable[[Fact], bool], native: float | None) -> float | None:
    """The newest value set directly, unless native evidence is later: then what all of that gives."""
    setting = [fact for fact in facts if fact.kind == DIRECT and name in fact.data["components"]]
    latest = max(setting, key=lambda fact: fact.recency, default=None)
    return native if latest is None or outdated(latest) else float(latest.data["components"][name])


def _completion(completions: list[Fact]) -> float | None:
    """Σ w·completed / Σ w·total over the latest of each topic, in the 256 topics with the latest."""
    of_topic: dict[str | None, Fact] = {}
    for fact in sorted(completions, key=lambda fact: fact.recency):
        topic = fact.data.get("topic")
        of_topic[None if topic is None else _spelled(topic)] = fact
    held = sorted(of_topic.values(), key=lambda fact: fact.recency)[-TOPICS_HELD:]
    done = sum(DIFFICULTY[fact.data["difficulty"]] * int(fact.data["completed_exercises"]) for fact in held)
    total = sum(DIFFICULTY[fact.data["difficulty"]] * int(fact.data["total_exercises"]) for fact in held)
    return float(Fraction(done) / total) if held else None


def _of_quiz(fact: Fact) -> tuple[datetime, float, float]:
    """Time, weight and share of right answers; an answer is one question's worth."""
    if fact.kind == "answer":
        return fact.time, 1.0, float(fact.data.get("score", fact.data.get("correct")))
    questions, confidence = fact.data["total_questions"], fact.data.get("confidence_score", 1)
    return fact.time, questions * (0.5 + 0.5 * confidence), fact.data["correct_answers"] / questions


def _of_review(fact: Fact) -> tuple[datetime, float, float]:
    """Read as: the event is the evidence and weighs 1, however many scores it gives; its x is their mean."""
    scores = [value for name, value in fact.data.items() if name.endswith("_score")]
    return fact.time, 1.0, math.fsum(scores) / len(scores)


def _decayed_mean(of_events: Iterable[tuple[datetime, float, float]], half_life: timedelta) -> float | None:
    """Σ w·2^(t/h)·x / Σ w·2^(t/h), with t from the newest on so that no power over- or underflows."""
    evidence = list(of_events)
    if not evidence:
        return None
    newest = max(time for time, _, _ in evidence)
    decayed = [(weight * 2.0 ** ((time - newest) / half_life), x) for time, weight, x in evidence]
    return math.fsum(weight * x for weight, x in decayed) / math.fsum(weight for weight, _ in decayed)


def _consistency(active: set[int], today: int) -> float | None:
    """Σ a(t-k)·0.9^k / Σ 0.9^k, k from 0 to the days since the first active one, but 6 to 29."""
    if not active:
        return None
    back = range(min(29, max(6, today - min(active))) + 1)
    return math.fsum(0.9**k for k in back if today - k in active) / math.fsum(0.9**k for k in back)


def _active_days(fact: Fact, oldest: int) -> set[int]:
    """The days that an event marks as active; of a streak only from the oldest on, for it may be long."""
    if fact.kind in ACTIVE:
        return {fact.day}
    if fact.kind != "consistency":
        return set()
    last = fact.day - int(fact.data.get("days_since_last_activity", 0))
    first = last - int(fact.data.get("current_streak", 0)) + 1
    itself = {last} if "days_since_last_activity" in fact.data else set()
    dates = {_ordinal(named) for named in fact.data.get("activity_dates", [])}
    return set(range(max(first, oldest), last + 1)) | itself | dates


def _kind(event: Event) -> str | None:
    name = event.get("event_type")
    kind = ALIASES.get(name, name) if isinstance(name, str) else None
    return kind if kind in FIELDS else None


def _time(event: Event, received: datetime) -> datetime:
    """The event's own time in UTC; ValueError or OverflowError where it states none."""
    if "timestamp" not in event:
        return received.astimezone(UTC)
    stated: object = event["timestamp"]
    if isinstance(stated, int | float) and _whole(stated):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(stated))
    offset = "[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
    pattern = rf"([0-9-]{{10}})[Tt]([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(?:\.([0-9]+))?({offset})"
    parts = re.fullmatch(pattern, stated) if isinstance(stated, str) else None
    if parts is None or not _date(parts[1]):
        raise ValueError(stated)
    # Read as: "kept to the microsecond" cuts what is finer. A second 60 is refused (fromisoformat does): RFC
    # 3339 has it for real leap seconds alone, and there has been none since 2016.
    micros = (parts[3] or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(f"{parts[1]}T{parts[2]}.{micros}{parts[4].upper()}").astimezone(UTC)


def _day(time: datetime, zone: tzinfo) -> int:
    # Read as: the date that a clock on the wall shows there.
    return time.astimezone(zone).toordinal()


def _ordinal(named: str) -> int:
    return date.fromisoformat(named).toordinal()


def _refused_data(kind: str, data: Any) -> str | None:
    if not isinstance(data, dict):
        return "not an object"
    known = set()
    for field in FIELDS[kind].split():
        name, type_ = field.replace("?", "").split(":")
        known.add(name)
        if name not in data and "?" not in field:
            return f"{name} is missing"
        if name in data and not TYPES[type_](data[name]):
            return f"{name} is no {type_}"
    if not known.issuperset(data):
        return f"unknown: {sorted(data.keys() - known)}"
    if kind == "completion" and data["completed_exercises"] > data["total_exercises"]:
        return "completed_exercises above total_exercises"
    if kind == "quiz" and data["correct_answers"] > data["total_questions"]:
        return "correct_answers above total_questions"
    if kind == "answer" and "correct" not in data and "score" not in data:
        return "neither correct nor score"
    # Read as: a field that is there is given, also if it names no day (activity_dates: [], max_streak).
    return "names nothing" if kind == "consistency" and not data else None


def _metadata(value: Any) -> bool:
    # Read as: one key is known (cohort_id, an id); more than 20 others, or one whose name or value (as JSON,
    # if it is no text) has more than 200 characters, refuse the event rather than being dropped unseen.
    if not isinstance(value, dict) or not _named(value.get("cohort_id", "py"), 100):
        return False
    unknown = {key: kept for key, kept in value.items() if key != "cohort_id"}
    values = [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in unknown.values()]
    return len(unknown) <= 20 and all(len(text) <= 200 for text in [*unknown, *values])


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    # Read as: JSON has one kind of number, so 8.0 is the whole number 8.
    return _number(value) and (isinstance(value, int) or value.is_integer())


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1_000


def _named(value: Any, longest: int) -> bool:
    # Read as: what breaks a line or turns the direction of the text is a control character too, an id that shows
    # nothing is empty, and a segment of dots names nothing in an address.
    if not isinstance(value, str):
        return False
    text = _spelled(value)
    kinds = {unicodedata.category(character) for character in text}
    turns = {unicodedata.bidirectional(character) for character in text}
    return (
        1 <= len(text) <= longest
        and not kinds & {"Cc", "Cs", "Zl", "Zp"}
        and not turns & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        and not kinds <= {"Cf", "Zs"}
        and text not in (".", "..")
    )


def _spelled(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip()).strip()


def _date(value: Any) -> bool:
    try:
        return _matches("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) and _ordinal(value) > 0
    except ValueError:
        return False


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _components(value: Any) -> bool:
    # Read as: "some" is one at least.
    if not isinstance(value, dict) or not value:
        return False
    return value.keys() <= WEIGHTS.keys() and all(map(_share, value.values()))


TYPES: dict[str, Callable[[Any], bool]] = {
    "positive": lambda value: _whole(value) and 1 <= value <= 100_000,
    "count": lambda value: _whole(value) and 0 <= value <= 100_000,
    "part": lambda value: _number(value) and 0 <= value <= 100_000,
    "share": _share,
    # Read as: a length of time is no count, so it may have a fraction and has no upper bound.
    "seconds": lambda value: _number(value) and 0 <= value <= 86_400,
    "boolean": lambda value: isinstance(value, bool),
    "text": _text,
    "id": lambda value: _named(value, 300),
    "name": lambda value: _named(value, 100),
    "skills": lambda value: isinstance(value, list) and len(value) <= 8 and all(_named(skill, 100) for skill in value),
    "dates": lambda value: isinstance(value, list) and all(map(_date, value)),
    "difficulty": lambda value: isinstance(value, str) and value in DIFFICULTY,
    "outcome": lambda value: value in ("success", "error"),
    "components": _components,
}
