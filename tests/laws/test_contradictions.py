"""One truth for each question: every door that answers it says the same, of the same student at the same moment.

A simulated class of 1,000 goes through the real door for events, log, worker and store. Then every door of
``tests/support/doors.py`` is asked about every student. Whoever adds a door there has it compared with all others.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mastery_engine.domain.events.event import encode
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.skills.estimates import KNOWN, MASTERED
from mastery_engine.lab.simulate.classes import past, pupils
from tests.support.calls import Api, MovedClock, serving
from tests.support.doors import CLASS_DOORS, STUDENT_DOORS, Facts, Visitor

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
        class_ = sorted([key.student_id async for key in api.stores.documents.students()])
        assert len(class_) > 0.95 * STUDENTS
        visitor = Visitor(api)
        await _look(visitor, class_)
        for days, every in LATER:
            clock.ahead = days * DAY
            await _look(visitor, class_[::every])


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
    if facts["needs intervention",] and not facts["needs help",]:
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
