"""What an event means in its course."""

import msgspec

from mastery_engine.domain.courses.naming import as_in_course
from mastery_engine.domain.events.kinds import Answer
from tests.support.samples import answered, done, given, helped, logged

ITEMS = {"q1": ("loops", "lists")}
NAMED = {"https://standards.example/1": "loops", "LST.1": "lists"}


def skills(**data: object) -> tuple[str, ...]:
    (one,) = as_in_course(logged([answered(correct=True, **data)]), ITEMS, NAMED)
    assert isinstance(one.event.data, Answer)
    return one.event.data.skills


def test_an_answer_without_skills_has_those_of_its_item() -> None:
    assert skills(item_id="q1", skills=()) == ("loops", "lists")
    assert skills(item_id="q2", skills=()) == ()
    assert skills(item_id="q1", skills=("functions",)) == ("functions",)


def test_aliases_are_the_skills_that_they_name() -> None:
    assert skills(item_id="q2", skills=("LST.1", "https://standards.example/1", "loops")) == ("lists", "loops")
    (topic,) = as_in_course(logged([done("LST.1", 1, 2)]), ITEMS, NAMED)
    assert topic == msgspec.structs.replace(
        topic, event=msgspec.structs.replace(topic.event, data=done("lists", 1, 2).data)
    )


def test_what_the_course_says_nothing_of_is_the_same_object() -> None:
    events = logged(
        [done("loops", 1, 2), done(None, 1, 2), helped(), given(quiz=0.5), answered(item_id="q1", skills=("loops",))]
    )
    assert all(one is before for one, before in zip(as_in_course(events, ITEMS, NAMED), events, strict=True))
