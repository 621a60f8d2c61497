"""The advice that holds now, and its words."""

from functools import cache

from msgspec.structs import replace

from mastery_engine.domain.advice.guidance import PATH_HELD, Guidance
from mastery_engine.domain.advice.learning_path import Step, learning_path
from mastery_engine.domain.advice.recommendation import STAYS_AWAY, recommendation_id
from mastery_engine.domain.courses.course import NO_COURSE, CourseSetup, setup_of
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY, day_of
from mastery_engine.domain.rules import Level, Rules
from mastery_engine.domain.skills.estimates import outlook_of
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.domain.transition import apply
from mastery_engine.ports.documents import StoredDocument
from mastery_engine.responses.advice import Recommended, path_ahead
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


def at(advice: CurrentAdvice, student: Student, now: int) -> Guidance:
    return advice.guidance(in_course(student, now), mastery_score(student.evidence, now, RULES))


def test_on_the_day_of_the_fold_it_is_the_documents_and_later_what_a_fold_would_leave() -> None:
    models = Models()
    advice, student = CurrentAdvice(models), folded(quiz(1, 2, "1"))
    assert at(advice, student, NOW) is student.guidance
    tomorrow = at(advice, student, NOW + DAY)
    woken = folded(helped("2", at=NOW + DAY, received=NOW + DAY), after=student, at=NOW + DAY).guidance
    assert (tomorrow.advice.day, tomorrow.path) == (woken.advice.day, woken.path)
    assert [one.area for one in tomorrow.advice.items] == [one.area for one in woken.advice.items]
    assert at(advice, student, NOW + DAY) is tomorrow, "cached"
    assert at(advice, student, NOW + 2 * DAY).advice.day == tomorrow.advice.day + 1
    now = at(advice, student, NOW + DAY)
    models.take_up(SkillModel(usual=-1.0), models.answers)
    assert at(advice, student, NOW + DAY) is not now, "by another model"


def shown(advice: CurrentAdvice, student: Student, now: int, rules: Rules = RULES) -> Guidance:
    return advice.with_path(in_course(student, now, rules=rules), mastery_score(student.evidence, now, RULES))


def path_now(student: Student, now: int, model: SkillModel = DEFAULT_SKILLS) -> tuple[Step, ...]:
    view = outlook_of(student.evidence, student.knowledge, CURRICULUM, day_of(now), RULES, model)
    return learning_path(view, RULES)[:PATH_HELD]


def test_the_path_is_that_of_the_moment_though_the_one_last_published_is_held() -> None:
    models = Models()
    advice, student = CurrentAdvice(models), folded(quiz(5_000, 10_000, "1"))
    assert shown(advice, student, NOW) is student.guidance, "it is held as it is now"
    three = [answered(f"a{n}", skills=("variables",), correct=n == 0) for n in range(3)]
    known = folded(*three, after=student, at=NOW + 1)
    assert known.guidance.path == student.guidance.path, "three answers move no component by 0.05"
    fresh = shown(advice, known, NOW)
    assert fresh.path == path_now(known, NOW) != known.guidance.path
    assert fresh.advice is known.guidance.advice
    assert shown(advice, known, NOW) is fresh, "cached"
    tomorrow = shown(advice, known, NOW + DAY)
    assert tomorrow.advice == at(advice, known, NOW + DAY).advice, "the same advice as without the path"
    assert tomorrow.path == path_now(known, NOW + DAY)
    model = SkillModel(usual=2.0)
    models.take_up(model, models.answers)
    for now in (student, known):
        assert shown(advice, now, NOW).path == path_now(now, NOW, model), "by another model"


def test_the_path_held_is_shown_only_as_long_as_it_is_that_of_the_moment() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    for number, kind in enumerate((answered, helped, answered)):
        student = folded(kind(f"a{number}", at=NOW), after=student, at=NOW + number)
        assert shown(advice, student, NOW).path == path_now(student, NOW)
    for day in (1, 30):
        now = NOW + day * DAY
        student = folded(helped(f"d{day}", at=now, received=now), after=student, at=now)
        assert shown(advice, student, now).path == path_now(student, now)
    anew = folded(quiz(1, 2, "1"))
    other = Rules(levels=(Level("low", 0.0), Level("high", 0.5)))
    assert shown(advice, anew, NOW, other) is not anew.guidance, "another school's rules"
    assert shown(advice, anew, NOW) is anew.guidance, "what is cached is of the rules that it was made by"


def test_words_are_cached_as_long_as_the_advice_stays() -> None:
    advice, student = CurrentAdvice(Models(), most=1), folded(quiz(1, 2, "1"))

    def words(student: Student, now: int = NOW, key: DocumentKey = ADA) -> list[Recommended]:
        return advice.in_words(in_course(student, now, key), mastery_score(student.evidence, now, RULES))

    first = words(student)
    assert first
    assert words(student) is first
    assert words(student, key=BOB)[0].recommendation_id != first[0].recommendation_id
    assert words(student) == first
    data = {"recommendation_id": recommendation_id(*ADA, student.guidance.advice.items[0])}
    dismissed = folded(event("recommendation.dismissed", data, "d"), after=student, at=NOW + 1)
    assert words(dismissed) == words(dismissed) == first[1:]


def test_what_was_dismissed_comes_back_after_a_week_though_words_are_cached() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    data = {"recommendation_id": recommendation_id(*ADA, student.guidance.advice.items[0])}
    dismissed = folded(event("recommendation.dismissed", data, "d"), after=student, at=NOW + 1)
    score = mastery_score(student.evidence, NOW, RULES)
    week = replace(in_course(dismissed, NOW), now=NOW + STAYS_AWAY)  # so that only the moment is another
    assert len(advice.in_words(in_course(dismissed, NOW), score)) + 1 == len(advice.in_words(week, score))


def test_words_with_the_path_are_those_without_it() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    for now in (NOW, NOW + DAY):
        ada, score = in_course(student, now), mastery_score(student.evidence, now, RULES)
        alone = advice.in_words(ada, score)
        words, path = advice.with_path_in_words(ada, score)
        assert words == alone
        assert path == path_ahead(path_now(student, now))
        assert advice.with_path_in_words(ada, score)[1] is path, "cached"
        assert advice.in_words(ada, score) is words, "of the same advice"


def test_another_version_of_the_document_is_answered_anew() -> None:
    advice, student = CurrentAdvice(Models()), folded(quiz(1, 2, "1"))
    other = folded(quiz(9, 10, "2"), after=student)
    assert other.updated == student.updated
    score = mastery_score(student.evidence, NOW, RULES)
    first = advice.guidance(in_course(student, NOW), score)
    again = replace(in_course(other, NOW), document=StoredDocument(2, other))
    assert advice.guidance(again, mastery_score(other.evidence, NOW, RULES)) != first
