"""Advice in the document: when it is made anew, what goes out, what dismissal does."""

from typing import Any

import msgspec
import pytest

from mastery_engine.domain.advice.guidance import NO_GUIDANCE, PATH_HELD, Guidance
from mastery_engine.domain.advice.guidance import current as shown_now
from mastery_engine.domain.advice.recommendation import HELD, recommendation_id
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.evidence.score import score_on
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.results import PathRecommended, Updated, message, topic_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import skill_estimates
from mastery_engine.domain.student import NOBODY, DocumentKey, Student, pack, unpack
from mastery_engine.domain.transition import aged, apply
from tests.support.samples import CURRICULUM, HOUR, NOW, TODAY, done, event, helped, logged, quiz
from tests.support.samples import given as set_to

RULES = Rules()
ADA = DocumentKey("default", "ada")


class Fold:
    """A student's document, moved with a course."""

    def __init__(self) -> None:
        self.student: Student = NOBODY
        self.offset = 0

    def __call__(self, *events: LearningEvent, at: int = NOW, is_busy: bool = False) -> list[Any]:
        """What this batch sends."""
        settled = {0: self.offset}
        arrived = logged(events, first=self.offset)
        self.offset += len(events)
        self.student = apply(
            self.student, arrived, at, RULES, cold={}, settled=settled, curriculum=CURRICULUM, is_busy=is_busy
        ).student
        return [one.result for one in self.student.outbox]

    @property
    def made(self) -> Any:
        return self.student.guidance.advice


def test_in_a_busy_hour_advice_is_made_for_what_happened_and_not_for_a_day_that_passed() -> None:
    fold = Fold()
    first, *_ = fold(set_to("1", completion=0.5, quiz=0.5, quality=0.5), is_busy=True)
    assert first.advice, "whoever has none gets it"
    before, tomorrow = fold.made, NOW + DAY
    (update,) = fold(followed("2", tomorrow), at=tomorrow, is_busy=True)
    assert (fold.made, update.advice) == (before, None)
    shown = current(fold.student, tomorrow)
    assert shown.advice.day == TODAY + 1, "who asks is told of today"
    fold(set_to("3", at=tomorrow + 1, quality=0.56), at=tomorrow, is_busy=True)
    assert fold.made.day == TODAY + 1, "a component has moved"
    later = tomorrow + DAY
    fold(followed("4", later), at=later, is_busy=True)
    assert fold.made.day == TODAY + 1
    fold(followed("5", later), at=later)
    assert fold.made.day == TODAY + 2, "the next event of a quieter hour"


def followed(event_id: str, at: int) -> LearningEvent:
    """What moves no component, not even consistency."""
    return event("recommendation.followed", {"recommendation_id": "r-1"}, event_id, at=at, received=at)


def current(student: Student, at: int) -> Guidance:
    score = score_on(student.evidence, RULES.day_of(at), RULES)
    return shown_now(student.guidance, student.evidence, score, RULES.day_of(at), CURRICULUM, RULES, student.knowledge)


def test_without_a_course_no_advice_is_made() -> None:
    student = apply(NOBODY, logged([quiz(1, 2)]), NOW, RULES).student
    assert student.guidance.advice == NO_GUIDANCE.advice
    assert len(student.outbox) == 1


def test_an_update_carries_the_advice_that_the_document_holds() -> None:
    fold = Fold()
    update, _ = fold(quiz(1, 2))
    assert isinstance(update, Updated)
    assert update.advice == fold.made.items
    assert 1 <= len(update.advice) <= HELD
    sent = message(update).recommendations
    assert sent is not None
    assert [one.recommendation_id for one in sent] == [recommendation_id(*ADA, one) for one in update.advice]
    assert (sent[0].action, sent[0].area) == (update.advice[0].action, update.advice[0].area)
    assert (sent[0].estimated_time, sent[0].reason) == (update.advice[0].minutes, update.advice[0].reason)
    assert unpack(pack(fold.student)) == fold.student


@pytest.mark.parametrize(("value", "anew"), [(0.549, False), (0.55, True), (0.451, False), (0.45, True)])
def test_advice_is_made_anew_when_a_component_has_moved_by_0_05(value: float, anew: bool) -> None:
    fold = Fold()
    fold(set_to("1", completion=0.5, quiz=0.5, quality=0.5))
    before = fold.made
    fold(set_to("2", at=NOW + 1, quality=value))
    assert (fold.made is not before) == anew


def test_small_moves_add_up() -> None:
    fold = Fold()
    fold(set_to("0", quality=0.5))
    before = fold.made
    fold(set_to("1", at=NOW + 1, quality=0.53))
    assert fold.made is before
    fold(set_to("2", at=NOW + 2, quality=0.551))
    assert fold.made is not before


def test_advice_is_made_anew_when_the_level_changes_and_when_a_day_has_passed() -> None:
    fold = Fold()
    fold(set_to("1", completion=0.5, quiz=0.5, quality=0.24))
    assert fold.made.level == "beginner"
    before = fold.made
    fold(set_to("2", at=NOW + 1, quality=0.249), at=NOW + HOUR)
    assert fold.made is before
    fold(set_to("3", at=NOW + 2, quality=0.251))
    assert fold.made.level == "developing"
    before = fold.made
    fold(helped("4", at=NOW + DAY, received=NOW + DAY), at=NOW + DAY)
    assert fold.made.day == before.day + 1


def test_a_component_without_evidence_counts_as_none_moved() -> None:
    fold = Fold()
    fold(set_to("1", completion=0.5))
    before = fold.made
    fold(set_to("2", at=NOW + 1, quality=0.0))
    assert fold.made is before


def test_the_path_goes_out_when_it_changes() -> None:
    fold = Fold()
    first = [one for one in fold(helped("1")) if isinstance(one, PathRecommended)]
    assert first[0].steps[0].skill == "variables"
    assert len(first[0].steps) <= PATH_HELD
    assert topic_of(first[0]) == "mastery.events"
    sent = message(first[0])
    assert (sent.event_type, sent.caused_by) == ("learning.path.recommended", ("1",))
    assert sent.steps is not None
    assert [one.skill for one in sent.steps] == [one.skill for one in first[0].steps]
    assert not [one for one in fold(quiz(9, 10, "2")) if isinstance(one, PathRecommended)]
    again = [one for one in fold(done("variables", 10, 10, "3")) if isinstance(one, PathRecommended)]
    assert "variables" not in [step.skill for step in again[0].steps]
    tomorrow = fold(helped("4", at=NOW + DAY, received=NOW + DAY), at=NOW + DAY)
    assert not [one for one in tomorrow if isinstance(one, PathRecommended)]


def dismissal(advised: Any, event_id: str, at: int = NOW) -> LearningEvent:
    data = {"recommendation_id": recommendation_id(*ADA, advised)}
    return event("recommendation.dismissed", data, event_id, at=at, received=at)


def test_dismissed_advice_stays_away_for_a_week() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"), done("loops", 2, 9, "2"))
    first = fold.made.items[0]
    gone = recommendation_id(*ADA, first)

    def told(results: list[Any]) -> list[str]:
        advice = fold.student.guidance.advised(*ADA, results[0].at)
        assert results[0].advice in (None, advice)
        return [recommendation_id(*ADA, one) for one in advice]

    assert gone not in told(fold(dismissal(first, "d")))
    for day in (1, 6):
        assert gone not in told(
            fold(helped(f"h-{day}", at=NOW + day * DAY, received=NOW + day * DAY), at=NOW + day * DAY)
        )
    week = NOW + 7 * DAY
    fold(done("loops", 2, 9, "again", at=week, received=week), at=week)
    held = [recommendation_id(*ADA, one) for one in fold.student.guidance.advised(*ADA, week)]
    assert gone in held


def test_followed_advice_is_taken() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"))
    before = fold.made
    (update,) = fold(event("recommendation.followed", {"recommendation_id": "r-1"}, "2"))
    assert fold.made == before
    assert update.advice is None, "the same as that sent before"
    assert message(update).recommendations is None
    assert b"recommendations" not in msgspec.json.encode(message(update))


def test_an_update_has_the_advice_where_it_is_other_than_that_last_sent() -> None:
    fold = Fold()
    first, _ = fold(quiz(1, 2, "1"))
    assert first.advice == fold.made.items
    dismissed = first.advice[0]
    without, *_ = fold(dismissal(dismissed, "d"))
    assert without.advice == first.advice[1:]
    same, *_ = fold(helped("h"))
    assert same.advice is None
    tomorrow, *_ = fold(helped("t", at=NOW + DAY, received=NOW + DAY), at=NOW + DAY)
    assert tomorrow.advice == fold.student.guidance.advised(*ADA, NOW + DAY) != without.advice
    fold.student = msgspec.structs.replace(fold.student, guidance=NO_GUIDANCE)  # as who withdraws consent to profiling
    assert fold_without_course(fold, helped("n", at=NOW + DAY, received=NOW + DAY)).advice == ()


def test_a_document_of_an_engine_that_did_not_keep_what_it_sent_sends_its_advice_once_more() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"))
    older = msgspec.structs.replace(fold.student.sent, advised=0)
    fold.student = msgspec.structs.replace(fold.student, sent=older)
    assert fold(helped("2"))[0].advice == fold.made.items
    assert fold(helped("3"))[0].advice is None


def fold_without_course(fold: Fold, one: LearningEvent) -> Any:
    arrived = logged([one], first=fold.offset)
    return apply(fold.student, arrived, one.received, RULES, settled={0: fold.offset}).student.outbox[0].result


def test_advice_and_dismissals_age_out_with_the_retention() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"), event("recommendation.dismissed", {"recommendation_id": "r"}, "2"))
    kept = aged(fold.student, {}, NOW + 89 * DAY, RULES)
    gone = aged(fold.student, {}, NOW + 90 * DAY, RULES)
    assert kept is not None
    assert gone is not None
    assert kept.student.guidance.advice.items
    assert kept.student.guidance.dismissed
    assert gone.student.guidance == NO_GUIDANCE


def answers(skill: str, right: bool, count: int, *, at: int = NOW, first: int = 0) -> list[LearningEvent]:
    """Answers that a quiz result outweighs, so that the advice of the day stays for what it says of components."""
    data = {"item_id": "i", "skills": [skill], "correct": right}
    return [event("answer", data, f"{skill}-{first + one}", at=at, received=at) for one in range(count)]


def test_advice_on_a_skill_is_made_anew_when_answers_show_it_mastered() -> None:
    """Though no component moves: what is told in a query never names a skill as weak that is mastered beside it."""
    fold = Fold()
    fold(quiz(10_000, 10_000, "q"), done("io", 1, 1, "d"), *answers("variables", False, 2))
    advised = fold.made
    assert "variables" in [one.area for one in advised.items]
    assert "variables" in [step.skill for step in fold.student.guidance.path]
    for place in range(20):
        fold(*answers("variables", True, 1, first=2 + place), *answers("knitting", True, 1, first=place))
        student = fold.student
        found = skill_estimates(["variables"], student.evidence, student.knowledge, CURRICULUM, TODAY, RULES)
        known = found["variables"]
        named = fold.student.guidance.named()
        assert known.is_settled == ("variables" not in named)
        if not known.is_settled:
            assert fold.made is advised
    assert known.is_mastered


def test_a_review_is_advised_until_it_is_done() -> None:
    fold = Fold()
    later = NOW + 30 * DAY
    fold(quiz(10_000, 10_000, "q"), *answers("variables", True, 3), *answers("variables", False, 1, first=3))
    fold(helped("h", at=later, received=later), at=later)
    assert fold.student.guidance.named()["variables"], "a review"
    fold(*answers("variables", True, 1, at=later, first=8), at=later)
    assert not fold.student.guidance.named().get("variables"), "no review any more"


def test_exercises_settle_advice_as_answers_do() -> None:
    fold = Fold()
    fold(done("io", 90_000, 90_000, "d"), quiz(1, 2, "q"))
    before = fold.made
    assert "variables" in fold.student.guidance.named()
    fold(done("variables", 1, 10, "v-1"))
    assert fold.made is before
    fold(done("variables", 10, 10, "v-2"))
    assert "variables" not in fold.student.guidance.named()
