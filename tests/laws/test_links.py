"""The contract's three laws with identities linked in between: whose an event is changes, and it counts once.

What the engine comes to is held against a plain reading of what was sent, each event as of whom it belongs to.
"""

from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.backends.memory.event_log import MemoryEventLog
from mastery_engine.backends.memory.logs import open_logs
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.people.profile import ProfileChange
from mastery_engine.errors import Unavailable
from tests.support.engines import (
    ADAS,
    CALCULATION,
    CALLER,
    MAIL,
    Crash,
    Door,
    Forgetful,
    Sent,
    TestedEngine,
    derived,
    engine,
)
from tests.support.samples import DATA, NOW, QUIZ, Clock, by_id, envelope, envelopes

# Of the memory's log one knows where a student's events are, and one, as Kafka, only after a reading of all.
KINDS = pytest.mark.parametrize("kind", ["memory", "sqlite", "unlisted"])
FIRST, SECOND = derived(ADAS), derived(MAIL)
IDS = ("ada", FIRST, SECOND, "bob")
COURSES = (None, "rust")
LATER = (DAY, 14 * DAY, 45 * DAY, 91 * DAY)
MOMENTS: tuple[Literal["before", "after"], ...] = ("before", "after")

doors: st.SearchStrategy[Door] = st.sampled_from(["ingest", "append", "fold"])


@pytest.fixture(autouse=True)
def _quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.worker.worker.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("mastery_engine.backends.sqlite.event_log.IDLE_S", 0.0)
    monkeypatch.setattr("mastery_engine.backends.sqlite.event_log.POLL_S", 0.001)


class UnlistedLog(MemoryEventLog):
    """A log that finds a student's events by a reading of all alone."""

    async def events_of(self, key: Any, *, scan: bool = False) -> Any:
        return await super().events_of(key) if scan else None


def opened(kind: str, batch_size: int = 3) -> Any:
    return engine("memory" if kind == "unlisted" else kind, Clock(), batch_size=batch_size)


def unlisted(ours: TestedEngine, kind: str) -> None:
    if kind == "unlisted":
        ours.inner_logs.events.__class__ = UnlistedLog


# ---- order does not matter, and twice is once

sent = by_id(envelopes(students=IDS, courses=COURSES, first=NOW - 80 * DAY, last=NOW), min_size=1, max_size=12)


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Events of a person under three ids, one content for each id of an event, with links and work in between."""
    events = draw(sent)
    contents: dict[tuple[Any, ...], Sent] = {}
    for place, one in enumerate(events):
        if one["student_id"] != "bob":  # an event that is sent under several ids is the same one
            first = contents.setdefault((one.get("course_id"), one["event_id"]), one)
            events[place] = {**first, "student_id": one["student_id"]}
    shuffled = draw(st.permutations([*events, *draw(st.lists(st.sampled_from(events), max_size=4))]))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=4)))
    steps: list[tuple[Any, ...]] = [
        ("send", draw(doors), shuffled[a:b]) for a, b in pairwise([0, *cuts, len(shuffled)]) if a < b
    ]
    for step in [("link", "ada", ADAS), draw(st.sampled_from([("link", "ada", MAIL), ("link", FIRST, MAIL)]))]:
        steps.insert(draw(st.integers(0, len(steps))), step)
    for _ in range(draw(st.integers(0, 3))):
        steps.insert(draw(st.integers(0, len(steps))), (draw(st.sampled_from(["work", "restart", "purge"])),))
    if ("link", FIRST, MAIL) in steps:  # before it is another's itself
        steps.sort(key=lambda step: step == ("link", "ada", ADAS))
    return steps


async def live(ours: TestedEngine, step: tuple[Any, ...]) -> None:
    what, *more = step
    ours.clock.tick(MINUTE)
    if what == "send":
        await ours.send(*more)
    elif what == "link":
        await ours.link(*more)
    elif what == "work":
        await ours.work()
    elif what == "purge":
        await ours.purge()
    else:
        ours.start()


@KINDS
@given(stories(), st.integers(1, 5))
async def test_whenever_identities_are_linked_each_event_counts_once_for_its_student(
    kind: str, story: list[tuple[Any, ...]], batch_size: int
) -> None:
    async with opened(kind, batch_size) as ours:
        unlisted(ours, kind)
        for step in story:
            await live(ours, step)
        await ours.work()
        await ours.check_scores(*LATER)
        await ours.check_results()
        await ours.check_status()
        assert {student_id for student_id, _ in await ours.all_scores(NOW)} <= {"ada", "bob"}
        await ours.fold_again()
        await ours.check_scores(*LATER)


@KINDS
@pytest.mark.parametrize("worked", [True, False])
async def test_an_id_that_is_in_both_documents_is_one_event_of_which_the_first_counts(
    kind: str, *, worked: bool
) -> None:
    async with opened(kind) as ours:
        unlisted(ours, kind)
        first = envelope("quiz", {"total_questions": 10, "correct_answers": 1}, "e", student_id=FIRST)
        other = envelope("quiz", {"total_questions": 10, "correct_answers": 9}, "e")
        await ours.send("ingest", [first, envelope("quiz", QUIZ, "own", student_id=FIRST, at=NOW - DAY), other])
        await ours.send("ingest", [envelope("quality", DATA["quality"], "more"), {**first, "course_id": "rust"}])
        if worked:
            await ours.work()
        await ours.link("ada", ADAS)
        await ours.work()
        await ours.send("append", [other, first])
        await ours.work()
        await ours.check_scores(*LATER)
        await ours.fold_again()
        await ours.check_scores(*LATER)


# ---- nothing is lost


SCENE: list[Sent] = [
    envelope("quiz", QUIZ, "e-1", student_id=FIRST),
    envelope("completion", DATA["completion"], "e-2", student_id=FIRST, course_id="rust"),
    envelope("quality", DATA["quality"], "e-3"),
    envelope("quiz", QUIZ, "e-4", student_id=SECOND, at=NOW - DAY),
    envelope(CALCULATION, DATA[CALCULATION], "e-5", student_id=FIRST),
]
LATE: list[Sent] = [
    envelope("quiz", QUIZ, "e-6", student_id=FIRST, at=NOW - 2 * DAY),
    envelope("quiz", QUIZ, "e-1"),  # a repeat, by whom it is sent now
    envelope("answer", DATA["answer"], "e-7", student_id=SECOND),
]


async def linked_through_crashes(ours: TestedEngine) -> None:
    """As a caller does who has no answer: again."""
    while True:
        try:
            await ours.link("ada", ADAS, MAIL)
        except Crash:
            ours.start()
        except Unavailable:
            continue
        else:
            return


async def scene(ours: TestedEngine) -> None:
    """Some of it is folded already, some is not."""
    await ours.send("append", SCENE)
    await ours.work()
    await ours.send("append", LATE)


async def whole(ours: TestedEngine) -> None:
    await linked_through_crashes(ours)
    await ours.work_through_crashes()


@KINDS
@pytest.mark.parametrize("error", [Unavailable, Crash])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_link_that_is_cut_at_any_step_moves_all_and_counts_nothing_twice(
    kind: str, error: type[Exception], moment: Literal["before", "after"]
) -> None:
    async with opened(kind) as ours:
        unlisted(ours, kind)
        await scene(ours)
        before = len(ours.faults.calls)
        await whole(ours)
        steps = len(ours.faults.calls) - before
    assert steps > 30
    for place in range(0, steps, 1 if kind == "memory" else 4):
        async with opened(kind) as ours:
            unlisted(ours, kind)
            await scene(ours)
            ours.faults.fail(place, moment, error)
            await whole(ours)
            ours.faults.at.clear()
            await ours.check_scores(*LATER)
            await ours.check_results()
            assert {name for name, _ in await ours.all_scores(NOW)} == {"ada"}


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_store_that_lost_what_was_moved_has_it_again(lost: int) -> None:
    """The profile is lost with it: the link is not."""
    clock = Clock()
    store = Forgetful(clock)
    ours = TestedEngine(store.stores, open_logs(batch_size=2), clock)
    snapshots = [store.snapshot()]
    await scene(ours)
    snapshots.append(store.snapshot())
    await ours.link("ada", ADAS, MAIL)
    snapshots.append(store.snapshot())
    await ours.work()
    store.fall_back(snapshots[-lost])
    await ours.send("append", [envelope("help", DATA["help"], "after", student_id="bob")])
    await ours.work()
    await ours.check_scores(*LATER)


async def test_a_worker_that_does_not_know_of_the_link_yet_folds_to_whom_it_belongs() -> None:
    """The link is recorded between its reading of consent and its commit, by another process."""
    clock = Clock()
    store = Forgetful(clock)
    logs = open_logs(batch_size=2)
    ours, other = TestedEngine(store.stores, logs, clock), TestedEngine(store.stores, logs, clock)
    await ours.send("append", SCENE)
    commit = ours.inner_stores.documents.commit
    others = iter([ADAS, MAIL])

    async def late(changes: Any) -> Any:
        person = next(others, None)
        if person is not None:
            ours.linked |= {derived(person): "ada"}
            await other.link("ada", person)
        return await commit(changes)

    ours.inner_stores.documents.commit = late  # type: ignore[method-assign]
    await ours.work()
    ours.inner_stores.documents.commit = commit  # type: ignore[method-assign]
    await ours.check_scores(*LATER)
    await ours.check_results()


async def test_what_came_before_another_link_stays_where_it_went() -> None:

    async def answered(right: int) -> None:
        quiz = {"total_questions": 10, "correct_answers": right}
        await ours.send("append", [envelope("quiz", quiz, f"right-{right}", student_id=FIRST)])
        await ours.work()
        ours.clock.tick(MINUTE)

    async with engine("memory") as ours:
        await answered(10)
        await ours.link("ada", ADAS)
        await answered(8)
        await ours.engine.people.put(CALLER, "ada", ProfileChange(external=()))
        await ours.link("bob", ADAS)
        await answered(1)
        for _ in range(2):
            found = await ours.scores(NOW)
            assert found.keys() == {"ada", "bob"}
            assert (found["ada"][1], found["bob"][1]) == (pytest.approx(0.9), pytest.approx(0.1))
            await ours.fold_again()
