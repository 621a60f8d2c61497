"""The advice that holds now, and its words."""

from mastery_engine.domain.advice.guidance import Guidance
from mastery_engine.domain.advice.recommendation import recommendation_id
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.student import NOBODY, Student, StudentKey
from mastery_engine.domain.transition import apply
from mastery_engine.services.current_advice import CurrentAdvice
from mastery_engine.services.models import Models
from tests.support.samples import CURRICULUM, NOW, event, helped, logged, quiz

RULES = Rules()
ADA, BOB = StudentKey("default", "ada"), StudentKey("default", "bob")


def folded(*events: object, after: Student = NOBODY, at: int = NOW) -> Student:
    arrived = logged(events)  # type: ignore[arg-type]
    return apply(after, arrived, at, RULES, cold={}, curriculum=CURRICULUM).student


def at(advice: CurrentAdvice, student: Student, now: int, key: StudentKey = ADA) -> Guidance:
    return advice.guidance(key, student, mastery_score(student.evidence, now, RULES), now)


def test_on_the_day_of_the_fold_it_is_the_documents_and_later_what_a_fold_would_leave() -> None:
    models = Models()
    advice, student = CurrentAdvice(models, RULES, CURRICULUM), folded(quiz(1, 2, "1"))
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


def test_words_are_cached_as_long_as_the_advice_stays() -> None:
    words, student = CurrentAdvice(Models(), RULES, CURRICULUM, most=1), folded(quiz(1, 2, "1"))
    first = words.in_words(ADA, student.guidance, NOW)
    assert first
    assert words.in_words(ADA, student.guidance, NOW) is first
    assert words.in_words(BOB, student.guidance, NOW)[0].recommendation_id != first[0].recommendation_id
    assert words.in_words(ADA, student.guidance, NOW) == first
    data = {"recommendation_id": recommendation_id("default", "ada", student.guidance.advice.items[0])}
    dismissed = folded(event("recommendation.dismissed", data, "d"), after=student)
    assert words.in_words(ADA, dismissed.guidance, NOW) == first[1:]
