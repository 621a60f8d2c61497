"""The advice that holds now, and its words."""

import gc
from functools import cache

from msgspec.structs import replace

from mastery_engine.domain.advice.guidance import PATH_HELD
from mastery_engine.domain.advice.learning_path import learning_path
from mastery_engine.domain.advice.recommendation import STAYS_AWAY, Recommendation
from mastery_engine.domain.courses.course import NO_COURSE, CourseSetup, setup_of
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.score import MasteryScore, mastery_score
from mastery_engine.domain.moments import DAY, day_of
from mastery_engine.domain.rules import Level, Rules
from mastery_engine.domain.skills.estimates import outlook_of
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.domain.transition import apply
from mastery_engine.ports.documents import StoredDocument
from mastery_engine.responses.advice import PathAhead, path_ahead
from mastery_engine.services.current_advice import CurrentAdvice
from mastery_engine.services.models import Models
from mastery_engine.services.students import StudentInCourse
from tests.support.samples import CURRICULUM, NOW, answered, event, helped, logged, quiz

RULES = Rules()
ADA, BOB = DocumentKey("default", "ada"), DocumentKey("default", "bob")


def folded(*events: object, after: Student = NOBODY, at: int = NOW) -> Student:
    arrived = logged(events)  # type: ignore[arg-type]
    return apply(after, arrived, at, RULES, cold={}, curriculum=CURRICULUM).student


@cache
def course(rules: Rules = RULES) -> CourseSetup:
    return setup_of(CourseKey("default"), 0, NO_COURSE, rules, CURRICULUM)


def in_course(student: Student, now: int, key: DocumentKey = ADA, rules: Rules = RULES) -> StudentInCourse:
    return StudentInCourse(key, StoredDocument(1, student), course(rules), now, {}, rules.day_of(now))


def at(student: Student, now: int, key: DocumentKey = ADA, *, version: int = 1) -> tuple[StudentInCourse, MasteryScore]:
    found = replace(in_course(student, now, key), document=StoredDocument(version, student))
    return found, mastery_score(student.evidence, now, RULES)


def advised(advice: CurrentAdvice, student: Student, now: int, version: int = 1) -> tuple[Recommendation, ...]:
    return advice.advice(*at(student, now, version=version))


def test_on_the_day_of_the_fold_it_is_the_documents_and_later_what_a_fold_would_leave() -> None:
    models = Models()
    advice, student = CurrentAdvice(models), folded(quiz(1, 2, "1"))
    assert advised(advice, student, NOW) == student.guidance.advice.items
    tomorrow = advised(advice, student, NOW + DAY)
    woken = folded(helped("2", at=NOW + DAY, received=NOW + DAY), after=student, at=NOW + DAY).guidance
    assert [one.area for one in tomorrow] == [one.area for one in woken.advice.items]
    assert tomorrow != student.guidance.advice.items
    assert advised(advice, student, NOW + DAY) == tomorrow, "cached"
    assert advised(advice, student, NOW) == student.guidance.advice.items, "what is cached is of its day"
    models.take_up(SkillModel(usual=-1.0), models.answers)
    assert advised(advice, student, NOW + DAY) != tomorrow, "by another model"


def path_now(student: Student, now: int, model: SkillModel = DEFAULT_SKILLS) -> PathAhead | None:
    view = outlook_of(student.evidence, student.knowledge, CURRICULUM, day_of(now), RULES, model)
    return path_ahead(learning_path(view, RULES)[:PATH_HELD])


def path(advice: CurrentAdvice, student: Student, now: int, rules: Rules = RULES, version: int = 1) -> PathAhead | None:
    found = replace(in_course(student, now, rules=rules), document=StoredDocument(version, student))
    return advice.with_path_in_words(found, mastery_score(student.evidence, now, rules)).path


def test_the_path_is_that_of_the_moment_though_the_one_last_published_is_held() -> None:
    models = Models()
    advice, student = CurrentAdvice(models), folded(quiz(5_000, 10_000, "1"))
    assert path(advice, student, NOW) == path_ahead(student.guidance.path), "it is held as it is now"
    three = [answered(f"a{n}", skills=("variables",), correct=n == 0) for n in range(3)]
    known = folded(*three, after=student, at=NOW + 1)
    assert known.guidance.path == student.guidance.path, "three answers move no component by 0.05"
    assert path(advice, known, NOW) == path_now(known, NOW) != path_ahead(known.guidance.path)
    assert path(advice, known, NOW) == path_now(known, NOW), "cached"
    assert path(advice, known, NOW + DAY) == path_now(known, NOW + DAY)
    model = SkillModel(usual=2.0)
    models.take_up(model, models.answers)
    for now in (student, known):
        assert path(advice, now, NOW) == path_now(now, NOW, model), "by another model"


def test_the_path_held_is_shown_only_as_long_as_it_is_that_of_the_moment() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    for number, kind in enumerate((answered, helped, answered)):
        student = folded(kind(f"a{number}", at=NOW), after=student, at=NOW + number)
        assert path(advice, student, NOW) == path_now(student, NOW)
    for day in (1, 30):
        now = NOW + day * DAY
        student = folded(helped(f"d{day}", at=now, received=now), after=student, at=now)
        assert path(advice, student, now) == path_now(student, now)
    anew = folded(quiz(1, 2, "1"))
    other = Rules(levels=(Level("low", 0.0), Level("high", 0.5)))
    assert path(advice, anew, NOW, other) != path_now(anew, NOW), "another school's rules"
    assert path(advice, anew, NOW) == path_now(anew, NOW), "what is cached is of the rules that it was made by"


def test_words_are_those_of_the_student_whom_they_are_said_to() -> None:
    advice, student = CurrentAdvice(Models(), most=1), folded(quiz(1, 2, "1"))
    first = advice.in_words(*at(student, NOW))
    assert first
    assert advice.in_words(*at(student, NOW)) == first
    assert advice.in_words(*at(student, NOW, BOB))[0].recommendation_id != first[0].recommendation_id
    assert advice.in_words(*at(student, NOW)) == first


def test_what_was_dismissed_is_not_said_for_a_week() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    first = advice.in_words(*at(student, NOW))
    data = {"recommendation_id": first[0].recommendation_id}
    dismissed = folded(event("recommendation.dismissed", data, "d"), after=student, at=NOW + 1)
    found, score = at(dismissed, NOW)
    for _ in range(2):
        assert advice.in_words(found, score) == first[1:]
    week = replace(found, now=NOW + STAYS_AWAY)  # only the moment is another
    assert advice.in_words(week, score) == first
    assert advice.in_words(found, score) == first[1:]


def test_words_with_the_path_are_those_without_it() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    for now in (NOW, NOW + DAY):
        found, score = at(student, now)
        alone = advice.in_words(found, score)
        for _ in range(2):
            words, ahead = advice.with_path_in_words(found, score)
            assert words == alone
            assert ahead == path_now(student, now)
        assert advice.in_words(found, score) == alone


def test_another_version_of_the_document_is_answered_anew() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    other = folded(quiz(9, 10, "2"), after=student)
    assert other.updated == student.updated
    assert advised(advice, student, NOW) != advised(advice, other, NOW, version=2)


def test_what_is_cached_is_nothing_to_the_garbage_collector() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    found, score = at(student, NOW + DAY)
    advice.with_path_in_words(found, score)
    gc.collect()
    ((key, made),) = advice._made.items()
    assert not any(map(gc.is_tracked, (key, made, made.pieces, made.steps, made.words)))
