"""One truth for each question: every door that answers it says the same, of the same student at the same moment.

A simulated class of 1,000 goes through the real door for events, log, worker and store. Then every door of
``tests/support/doors.py`` is asked about every student. Whoever adds a door there has it compared with all others.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.event import encode
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.skills.estimates import KNOWN, MASTERED
from mastery_engine.errors import NotFound
from mastery_engine.lab.simulate.classes import past, pupils
from tests.support.calls import Api, MovedClock, serving
from tests.support.composed import composed
from tests.support.doors import CLASS_DOORS, STUDENT_DOORS, Facts, Visitor
from tests.support.samples import CURRICULUM, NOW, Clock, by_id, envelopes, raw

STUDENTS, DAYS, SEED = 1_000, 8, 23
LATER = ((1, 11), (24, 13))  # so many days later, without events, one in so many students is looked at again
BATCH = 1_000


class StillClock(MovedClock):
    """The time when it was made, moved ahead by what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.start = super().__call__()

    def __call__(self) -> int:
        return self.start + self.ahead


@pytest.mark.timeout(300)
async def test_no_two_doors_say_different_things(tmp_path: Path) -> None:
    clock = StillClock()
    async with serving(tmp_path, clock, worker_enabled=False) as api:
        await _lived(api, clock())
        await api.engine.calibrator.learn(await api.engine.calibrator.sample())
        class_ = sorted([key.student_id async for key in api.stores.documents.all_keys()])
        assert len(class_) > 0.95 * STUDENTS
        visitor = Visitor(api.engine, api)
        await _look(visitor, class_)
        for days, every in LATER:
            clock.ahead = days * DAY
            await _look(visitor, class_[::every])


answers_and_exercises = by_id(
    envelopes(first=NOW - 80 * DAY, last=NOW, kinds=("answer", "completion", "quiz", "mastery.calculation.requested")),
    min_size=1,
    max_size=12,
)
SKILLS = [*CURRICULUM.skills][:3]
skill_names = st.sampled_from([*SKILLS, CURRICULUM.module_of[SKILLS[0]], "juggling"])


@pytest.mark.timeout(300)  # a contradiction is shrunk within it
@settings(max_examples=30)  # each asks every door
@given(answers_and_exercises, st.data(), st.sampled_from([0, 1, 23, 70]))
def test_nor_do_they_of_any_student(sent: list[dict[str, Any]], data: st.DataObject, days: int) -> None:
    """Their answers and exercises are on skills and modules of the course, and beside it."""
    for one in sent:
        if one["event_type"] == "answer":
            one["data"]["skills"] = data.draw(st.lists(skill_names, max_size=3))
        elif one["event_type"] == "completion":
            one["data"]["topic"] = data.draw(skill_names)
    asyncio.run(_at_every_door(sent, days))


async def _at_every_door(sent: list[dict[str, Any]], days: int) -> None:
    clock = Clock()
    engine = composed(clock=clock, curriculum=CURRICULUM)
    for one in sent:
        await engine.ingest.take(Caller("tests", "admin"), [raw(one)])
        await engine.worker.run(until=await engine.progress.ends())
    clock.tick(days * DAY)
    visitor = Visitor(engine)
    try:
        said = {"query": await STUDENT_DOORS["query"](visitor, "ada")}
    except NotFound:  # what was sent is older than the retention by now
        return
    for name in ("skills", "skill_map", "tool_skills", "recommendations", "learning_path", "tool_learning_path"):
        said[name] = await STUDENT_DOORS[name](visitor, "ada")
    assert [*_contradictions(said), *_does_not_follow(said)] == []
    assert {question[1] for question in said["skill_map"] if question[0] == "skill"} >= CURRICULUM.skills.keys()
    assert said["skills"].items() <= said["skill_map"].items()


async def _lived(api: Api, now: int) -> None:
    """Some hours of the class's work are folded at a time, so that what a document holds is not all new."""
    events = past(pupils(STUDENTS, SEED), days=DAYS, seed=SEED, until=now)
    for start in range(0, len(events), BATCH):
        body = b'{"events":[' + b",".join(map(encode, events[start : start + BATCH])) + b"]}"
        receipts = (await api.call("POST", "/mastery/ingest/batch", content=body)).json()["data"]
        assert receipts["refused"] == 0, receipts
        await api.engine.worker.run(until=await api.logs.events.ends())


async def _look(visitor: Visitor, class_: list[str]) -> None:
    of_class = {name: await door(visitor, class_) for name, door in CLASS_DOORS.items()}
    silent = {*STUDENT_DOORS, *CLASS_DOORS}
    found: list[str] = []
    for student_id in class_:
        said = {name: await door(visitor, student_id) for name, door in STUDENT_DOORS.items()}
        said |= {name: {**facts.get("", {}), **facts.get(student_id, {})} for name, facts in of_class.items()}
        silent -= {name for name, facts in said.items() if facts}
        found += [f"{student_id}: {one}" for one in (*_contradictions(said), *_does_not_follow(said))]
    assert not found, f"{len(found)} contradictions\n" + "\n".join(found[:20])
    assert not silent, "a door that says nothing is compared with none"


def _contradictions(said: Mapping[str, Facts]) -> Iterator[str]:
    """The questions that two doors answer differently."""
    first: dict[tuple[str, ...], tuple[str, object]] = {}
    for door, facts in said.items():
        for question, answer in facts.items():
            other, known = first.setdefault(question, (door, answer))
            if known != answer:
                yield f"{' '.join(question)} is {known!r} at {other}, and {answer!r} at {door}"


def _does_not_follow(said: Mapping[str, Facts]) -> Iterator[str]:
    """What does not follow: states and advice from how well a skill is known, who needs help from the forecast."""
    facts = {question: answer for one in said.values() for question, answer in one.items()}
    if facts.get(("needs intervention",)) and not facts.get(("needs help",)):
        yield "needs intervention, and is in no list of who needs help"
    for question, answer in facts.items():
        match question:
            case ("skill", skill, "state"):
                chance = facts["skill", skill, "probability"]
                least = {"mastered": MASTERED, "known": KNOWN}.get(str(answer), 0.0)
                if not isinstance(chance, float) or chance < least:
                    yield f"{skill} is {answer} at {chance}"
            case ("advice", _):
                assert isinstance(answer, tuple)
                _, action, skill, *_, reason, _ = answer
                state = facts.get(("skill", skill, "state"))
                chance, basis = (facts.get(("skill", skill, name)) for name in ("probability", "basis"))
                if action == "practice" and "not shown yet" in reason:
                    if basis != "prior" and isinstance(chance, float) and chance >= MASTERED:
                        yield f"{skill} is advised as weak at {chance}"
                elif action == "review" and "time to review" in reason and state != "fading":
                    yield f"a review of {skill} is advised, which is {state}"
