"""What is known of items that could be answered next, by a student's document."""

from mastery_engine.domain.advice.item_choice import Prospect
from mastery_engine.domain.advice.next_items import prospects
from mastery_engine.domain.advice.recommend import gain_of_practice
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import RESTED_DAYS, outlook_of
from mastery_engine.domain.skills.next_answer.model import ItemAsked
from mastery_engine.domain.skills.next_answer.parameters import PRIOR
from mastery_engine.domain.skills.next_answer.predictions import next_answers
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import apply
from tests.support.samples import CURRICULUM, NOW, event, logged

RULES = Rules()
ITEMS = [
    ItemAsked("v", ("variables",)),
    ItemAsked("both", ("types", "variables")),
    ItemAsked("t", ("types",)),
    ItemAsked("l", ("loops",)),
    ItemAsked("beside", ("juggling",)),
    ItemAsked("bare", ()),
]


def found(right: int, days: int = 0) -> dict[str, Prospect]:
    data = {"item_id": "v", "skills": ["variables"], "correct": True}
    student = apply(
        NOBODY, logged([event("answer", data, str(one), at=NOW) for one in range(right)]), NOW, RULES
    ).student
    at = NOW + days * DAY
    view = outlook_of(student.evidence, student.knowledge, CURRICULUM, at // DAY, RULES)
    made = prospects(student, ITEMS, at, view, PRIOR, RULES)
    assert [one.item_id for one in made] == [item.item_id for item in ITEMS]
    chances = next_answers(student, ITEMS, at, PRIOR, view.model, RULES)
    assert [one.probability for one in made] == [one.probability for one in chances]
    for one, item in zip(made, ITEMS, strict=True):
        gains = [gain_of_practice(view.estimate(name)) for name in item.skills if name in CURRICULUM.skills]
        assert one.gain == max(gains, default=0.0)
    return {one.item_id: one for one in made}


def test_an_item_waits_for_what_its_skills_build_on_and_the_item_itself_does_not_exercise() -> None:
    nobody, begun = found(0), found(3)
    missing = {name: one.missing for name, one in nobody.items() if one.missing is not None}
    assert missing == {"t": "variables", "l": "conditionals"}
    assert begun["t"].missing is None
    assert begun["l"].missing == "conditionals"
    assert begun["v"].right_ago == 1
    assert begun["t"].right_ago is None


def test_an_item_is_done_when_all_its_skills_are_and_due_when_one_has_rested() -> None:
    known, rested = found(30), found(30, days=RESTED_DAYS)
    assert [known[name].is_mastered for name in ("v", "both", "beside", "bare")] == [True, False, False, False]
    assert {one.due for one in known.values()} == {None}
    assert [rested[name].due for name in ("v", "both", "t")] == ["variables", "variables", None]
    assert not rested["v"].is_mastered
