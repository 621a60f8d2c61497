"""Whatever speaks of a day speaks of the course's: a student in another zone is told the same as one at Greenwich.

Where every event comes later by what the zone's clocks are behind, each falls on the same day at the same hour there.
So all that the engine says of days must be the same, and nothing but the moments themselves differs.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import msgspec
import pytest

from mastery_engine.domain.advice.guidance import advice_for
from mastery_engine.domain.advice.habits import work
from mastery_engine.domain.advice.learning_path import learning_path, rhythm, timetable
from mastery_engine.domain.advice.patterns import patterns
from mastery_engine.domain.cohorts.needs_help import StruggleSign
from mastery_engine.domain.cohorts.standing import Standing, standing
from mastery_engine.domain.courses.zone import zone_named
from mastery_engine.domain.events.event import LearningEvent, check_times
from mastery_engine.domain.evidence.changes import score_change
from mastery_engine.domain.evidence.history import Point, trend
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.forecast.forecast import forecast, model_ahead
from mastery_engine.domain.forecast.misses import documents, misses_of
from mastery_engine.domain.moments import DAY, Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import outlook_of
from mastery_engine.domain.skills.model import DEFAULT_SKILLS
from mastery_engine.domain.skills.next_answer.model import ItemAsked
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS
from mastery_engine.domain.skills.next_answer.predictions import next_answers
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import aged
from mastery_engine.errors import RefusedEvent
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.model_files import shipped_forecast
from tests.support.samples import CURRICULUM, NOW, TODAY, event, failed

GREENWICH = Rules(retention_days=60)
# Their clocks do not change within these weeks.
ZONES = ["America/Los_Angeles", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe"]
DAYS = 70
EVENTS = past(pupils(3, 7), days=DAYS, seed=7, until=NOW)
WHOLE_DAYS = range(TODAY - DAYS, TODAY + 1)
FORECASTS = shipped_forecast()


def of(student_id: str, later: Micros) -> list[LearningEvent]:
    return [
        msgspec.structs.replace(one, at=one.at + later, received=one.received + later)
        for one in EVENTS
        if one.student_id == student_id
    ]


def folded(events: Sequence[LearningEvent], rules: Rules) -> Student:
    *_, (_, student) = documents(events, WHOLE_DAYS, rules)
    return student


def by_day(points: Iterable[Point]) -> dict[Day, float]:
    return {point.day: point.score for point in points}


@pytest.fixture(params=ZONES)
def rules(request: pytest.FixtureRequest) -> Rules:
    return msgspec.structs.replace(GREENWICH, zone=zone_named(request.param))


@pytest.fixture
def behind(rules: Rules) -> Micros:
    return -rules.zone.offset_at(NOW)


@cache
def student_in(zone: str, student_id: str) -> Student:
    rules = msgspec.structs.replace(GREENWICH, zone=zone_named(zone))
    return folded(of(student_id, -rules.zone.offset_at(NOW)), rules)


@pytest.fixture(params=sorted({one.student_id for one in EVENTS}))
def both(request: pytest.FixtureRequest, rules: Rules) -> tuple[Student, Student]:
    """A student in the zone, and the same one at Greenwich."""
    return student_in(rules.zone.name, request.param), student_in("UTC", request.param)


def test_the_zones_clocks_stand_still_in_these_weeks(rules: Rules) -> None:
    assert rules.zone.offset_at(NOW - (DAYS - 1) * DAY) == rules.zone.offset_at(NOW + 2 * DAY) != 0


def test_what_is_held_by_day_is_held_by_the_courses_days(both: tuple[Student, Student]) -> None:
    ours, theirs = both
    assert ours.evidence.activity == theirs.evidence.activity
    assert (ours.evidence.quiz.days, ours.evidence.quality.days) == (
        theirs.evidence.quiz.days,
        theirs.evidence.quality.days,
    )
    assert ours.guidance.habits == theirs.guidance.habits
    assert ours.floor == theirs.floor
    assert by_day(ours.history.points()) == pytest.approx(by_day(theirs.history.points()), abs=2e-4)
    assert [day for day, _ in ours.causes.each()] == [day for day, _ in theirs.causes.each()]
    assert ours.knowledge.skills.keys() == theirs.knowledge.skills.keys()


def test_what_is_told_is_the_same(both: tuple[Student, Student], rules: Rules, behind: Micros) -> None:
    (ours, theirs), now = both, NOW + behind
    assert rules.day_of(now) == TODAY
    assert mastery_score(ours.evidence, now, rules).components == pytest.approx(
        mastery_score(theirs.evidence, NOW, GREENWICH).components, abs=1e-9
    )
    for one, other in zip(patterns(ours, TODAY, rules), patterns(theirs, TODAY, GREENWICH), strict=True):
        assert (one.kind, one.since) == (other.kind, other.since)
        assert one.evidence == other.evidence.replace("UTC", rules.zone.name)
    found = [
        score_change(student, TODAY - 20, TODAY, at, by)
        for student, at, by in ((ours, now, rules), (theirs, NOW, GREENWICH))
    ]
    for one, other in zip(*(change.contributions for change in found), strict=True):
        assert one.change == pytest.approx(other.change, abs=1e-4)
        assert [(c.kind, c.topic, c.events, c.message) for c in one.causes] == [
            (c.kind, c.topic, c.events, c.message) for c in other.causes
        ]
    scores = [(one.day, one.score) for one in ours.history.points()]
    assert trend(scores, TODAY) == trend([(one.day, one.score) for one in theirs.history.points()], TODAY)


def test_what_comes_is_the_same(both: tuple[Student, Student], rules: Rules, behind: Micros) -> None:
    (ours, theirs), now, due = both, NOW + behind, [TODAY - 3, TODAY + 2]
    ahead, other = (
        model_ahead(student, at, (1, 7, 30), FORECASTS, by, due)
        for student, at, by in ((ours, now, rules), (theirs, NOW, GREENWICH))
    )
    assert ahead.here.numbers == pytest.approx(other.here.numbers, abs=1e-3)
    assert (ahead.here.submitted, ahead.here.settled, ahead.away) == (
        other.here.submitted,
        other.here.settled,
        other.away,
    )
    one, two = forecast(ours, now, 7, FORECASTS, rules), forecast(theirs, NOW, 7, FORECASTS, GREENWICH)
    assert [day.day for day in one.days] == [day.day for day in two.days]
    assert one.predicted == pytest.approx(two.predicted, abs=1e-3)
    standings = [
        standing("ada", student, at, by, seen)
        for student, at, by, seen in ((ours, now, rules, one), (theirs, NOW, GREENWICH, two))
    ]
    assert days_told(standings[0]) == days_told(standings[1])


def days_told(found: Standing | None) -> list[object]:
    """The days that signs of needing help name: since when, until when, on what."""
    assert found is not None
    return [
        (type(sign).__name__, name, value)
        for sign in found.signs
        for name, value in msgspec.structs.asdict(sign).items()
        if name in ("since", "last", "day", "topics")
    ]


def test_what_is_advised_is_the_same(both: tuple[Student, Student], rules: Rules, behind: Micros) -> None:
    plans, advised, chances = [], [], []
    for student, at, by in zip(both, (NOW + behind, NOW), (rules, GREENWICH), strict=True):
        view = outlook_of(student.evidence, student.knowledge, CURRICULUM, TODAY, by)
        minutes = work(student.guidance.habits, by.first_day(TODAY)).minutes_a_day
        steps = learning_path(view, by)
        plans.append(timetable(steps, rhythm(student.evidence.activity, minutes, TODAY), TODAY))
        score = mastery_score(student.evidence, at, by)
        advice = advice_for(student.guidance, student.evidence, score, view, TODAY, by)
        advised.append([(one.action, one.area, one.minutes) for one in advice])
        model = NO_ANSWER_MODELS.of("default")
        chances.append(
            next_answers(student, [ItemAsked("i-1", ("loops",))], at, model, DEFAULT_SKILLS, by)[0].probability
        )
    assert plans[0] == plans[1]
    assert advised[0] == advised[1]
    assert chances[0] == pytest.approx(chances[1], abs=1e-6)


def test_what_goes_with_the_retention_is_the_same(both: tuple[Student, Student], rules: Rules, behind: Micros) -> None:
    ours, theirs = both
    for ahead in (1, 30, 59):
        left = aged(ours, {}, NOW + behind + ahead * DAY, rules)
        other = aged(theirs, {}, NOW + ahead * DAY, GREENWICH)
        assert left is not None
        assert other is not None
        assert left.student.evidence.completion.keys() == other.student.evidence.completion.keys()
        assert left.student.evidence.activity == other.student.evidence.activity
        assert left.student.knowledge.skills.keys() == other.student.knowledge.skills.keys()
        assert left.student.guidance.habits == other.student.guidance.habits
        assert left.student.guidance.spells.keys() == other.student.guidance.spells.keys()
    assert aged(NOBODY, {}, NOW, rules) is None


def test_the_weeks_that_a_course_learns_from_are_its_own(rules: Rules, behind: Micros) -> None:
    name = EVENTS[0].student_id
    ours = misses_of(of(name, behind), FORECASTS, rules, until=NOW + behind)
    theirs = misses_of(of(name, 0), FORECASTS, GREENWICH, until=NOW)
    assert [miss.origin for miss in ours] == [miss.origin for miss in theirs] != []
    assert [miss.came for miss in ours] == pytest.approx([miss.came for miss in theirs], abs=1e-9)
    begun = folded(of(name, behind), rules)
    later = [one for one in of(name, behind) if rules.day_of(one.at) > TODAY - 20]
    assert misses_of(later, FORECASTS, rules, until=NOW + behind, document=begun)[0].now > 0.0


def test_an_event_is_too_old_by_the_courses_days(rules: Rules, behind: Micros) -> None:
    received = NOW + behind
    oldest = rules.start_of(TODAY - 59)
    for at, is_taken in ((oldest, True), (oldest - 1, False)):
        one = msgspec.structs.replace(event("help", {"topic": "loops"}, at=at), received=received)
        if is_taken:
            assert check_times(one, rules) is one
        else:
            with pytest.raises(RefusedEvent, match="older than the 60 days"):
                check_times(one, rules)


@pytest.mark.parametrize(("named", "is_taken"), [("2026-01-16", True), ("2026-01-17", False)])
def test_a_day_that_is_named_may_be_tomorrows_in_the_course(named: str, is_taken: bool) -> None:
    rules = Rules(zone=zone_named("Pacific/Kiritimati"))  # where it is the 15th already
    one = msgspec.structs.replace(
        event("consistency", {"activity_dates": ["2026-01-15"]}),
        data=event("consistency", {"activity_dates": [named]}, at=NOW + 3 * DAY).data,
    )
    if is_taken:
        assert check_times(one, rules) is one
    else:
        with pytest.raises(RefusedEvent, match="later than the day after the receipt"):
            check_times(one, rules)


def test_a_struggle_is_told_since_the_day_of_its_first_sign_there() -> None:
    rules = Rules(zone=zone_named("America/Los_Angeles"))
    late = [failed(str(number), error_type="TypeError", at=TODAY * DAY + number) for number in range(3)]
    *_, (_, student) = documents(late, [TODAY - 1], rules)
    found = standing("ada", student, NOW, rules, None)
    assert found is not None
    (struggle,) = [sign for sign in found.signs if isinstance(sign, StruggleSign)]
    assert [topic.since for topic in struggle.topics] == [TODAY - 1]
