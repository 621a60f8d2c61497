"""What is dumped and ingested into a fresh engine gives the same scores, whatever happened before, in every format."""

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.cli.dump_files import DumpForm, writer_for
from mastery_engine.cli.dump_reader import DUMPS
from mastery_engine.cli.ingest import EventFileReader, Ingested
from mastery_engine.domain.courses.course import CourseChange, CourseRules
from mastery_engine.domain.courses.zone import zone_named
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY, MINUTE, day_of, iso_date
from mastery_engine.domain.rules import Rules, Weights
from mastery_engine.responses.dumps import ROWS
from tests.support.engines import ADAS, CALLER, MAIL, TestedEngine, derived, engine
from tests.support.samples import DATA, NOW, QUIZ, Clock, by_id, envelope, envelopes

FORMS: tuple[DumpForm, ...] = ("parquet", "csv", "jsonl")
FIRST, SECOND = derived(ADAS), derived(MAIL)
RUST = CourseChange(
    time_zone="Pacific/Apia",
    rules=CourseRules(weights=Weights(0.1, 0.5, 0.3, 0.1), half_life_days=5.0),
)
KYIV = Rules(zone=zone_named("Europe/Kyiv"), half_life_days=21.0)


def ignore(_done: float) -> None:
    """Nobody watches."""


async def dumped(ours: TestedEngine, form: DumpForm, course_id: str | None = None) -> bytes:
    """The events of an engine as a file."""
    file = BytesIO()
    writer = writer_for(form, ROWS["events"], file)
    async for page in ours.engine.dumps.events(CALLER, course_id, ignore):
        writer.write(page)
    writer.close()
    return file.getvalue()


async def ingested(fresh: TestedEngine, form: DumpForm, content: bytes) -> Ingested:
    """Take a file into a fresh engine; what was read."""
    await fresh.engine.courses.learn_all("default", fresh.clock())
    source = DUMPS[form](BytesIO(content), len(content))
    reader = EventFileReader(fresh.engine, source, "default", 0, is_dump=True, keeps_receipt=True)
    async for chunk in reader.chunks(ignore):
        await fresh.engine.ingest.append(CALLER, chunk.events, "ingest", chunk.values)
    await fresh.work()
    return reader.done(None, 1.0)


async def scores(ours: TestedEngine) -> dict[tuple[str, str], Any]:
    """Each student's score in each course, by the course's own rules."""
    rows = [row async for page in ours.engine.dumps.scores(CALLER, None) for row in page]
    return {(row.student_id, row.course_id): row for row in rows}


async def check_same(ours: TestedEngine, fresh: TestedEngine) -> None:
    expected, found = await scores(ours), await scores(fresh)
    assert found.keys() == expected.keys()
    for place, row in expected.items():
        assert numbers(found[place]) == pytest.approx(numbers(row), abs=1e-9)
        assert found[place].level == row.level


def numbers(row: Any) -> Sequence[float]:
    return (row.mastery_score, row.coverage, *msgspec.structs.astuple(row.components))


async def with_courses(ours: TestedEngine) -> None:
    await ours.engine.courses.put(CALLER, "rust", RUST)


sent = by_id(
    envelopes(students=("ada", FIRST, "bob"), courses=(None, "rust"), first=NOW - 80 * DAY, last=NOW),
    min_size=1,
    max_size=12,
)


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Events in any order, some again and with other content, with links, work and days in between."""
    events = draw(sent)
    again = draw(st.lists(st.sampled_from(events), max_size=3))
    others = [one | {"data": draw(st.sampled_from(events))["data"]} for one in again]
    shuffled = draw(st.permutations([*events, *again, *others]))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=3)))
    steps: list[tuple[str, Any]] = [("send", shuffled[a:b]) for a, b in pairwise([0, *cuts, len(shuffled)]) if a < b]
    for step in draw(st.sets(st.sampled_from(["link", "work", "day", "month"]))):
        steps.insert(draw(st.integers(0, len(steps))), (step, ADAS))
    return steps


@given(stories(), st.sampled_from(FORMS))
async def test_a_dump_of_events_gives_a_fresh_engine_the_same_scores(
    story: list[tuple[str, Any]], form: DumpForm
) -> None:
    clock = Clock()
    async with engine("memory", clock, rules=KYIV) as ours, engine("memory", clock, rules=KYIV) as fresh:
        await with_courses(ours)
        await with_courses(fresh)
        for what, more in story:
            clock.tick({"day": DAY, "month": 30 * DAY}.get(what, MINUTE))
            if what == "send":
                await ours.send("ingest", more)
            elif what == "link":
                await ours.link("ada", more)
            elif what == "work":
                await ours.work()
        await ours.work()
        read = await ingested(fresh, form, await dumped(ours, form))
        assert not read.refusals
        assert not read.ignored
        for later in (0, DAY, 14 * DAY, 45 * DAY):
            clock.tick(later)
            await check_same(ours, fresh)


@pytest.mark.parametrize("form", FORMS)
async def test_an_event_comes_back_as_it_was(form: DumpForm) -> None:
    """All kinds, with whatever texts and numbers a sender may give."""
    clock = Clock()
    odd = {"activity_dates": [iso_date(day_of(NOW) - 3)], "max_streak": 0}
    message = '=HYPERLINK("http://x"),\r\n"\u2028; ünï, 💥\x00'
    metadata = {"cohort_id": "py-101", "=1+1": '"', "n": 7, "half": 0.1, "no": None, "yes": True}
    events = [
        *(envelope(kind, data, f"e-{kind}") for kind, data in DATA.items()),
        envelope("consistency", odd, "named", source="-1", metadata=metadata),
        envelope("help", {"topic": 'größe, "loops"', "message": message}, "odd", source='@a,"b"\r\nc', at=NOW - 1),
        envelope("quiz", {"total_questions": 3, "correct_answers": 0.1 + 0.2}, "third", at=NOW - 123_456),
        envelope("answer", {"item_id": "i", "score": 1 / 3, "skills": [], "attempt_id": "a/1", "part_of": "q"}, "part"),
    ]
    async with engine("memory", clock) as ours, engine("memory", clock) as fresh:
        await ours.send("ingest", events)
        clock.tick(5 * MINUTE)
        assert not (await ingested(fresh, form, await dumped(ours, form))).refusals
        expected, found = await events_of(ours), await events_of(fresh)
    assert len(expected) == len(events)
    assert [msgspec.structs.replace(one, received=expected[0].received) for one in found] == expected


async def events_of(ours: TestedEngine) -> list[Any]:
    return [row async for page in ours.engine.dumps.events(CALLER, None, ignore) for row in page]


async def test_each_event_is_in_it_once_as_it_came_first_by_whose_it_is_now() -> None:
    async with engine("memory") as ours:
        first = envelope("quiz", {"total_questions": 10, "correct_answers": 1}, "e", student_id=FIRST)
        other = envelope("quiz", {"total_questions": 10, "correct_answers": 9}, "e")
        await ours.send("ingest", [first, other, first, {**other, "course_id": "rust"}])
        await ours.link("ada", ADAS)
        await ours.work()
        rows = [row async for page in ours.engine.dumps.events(CALLER, None, ignore) for row in page]
        assert [(row.student_id, row.course_id, row.data.correct_answers) for row in rows] == [
            ("ada", "default", 1),
            ("ada", "rust", 9),
        ]
        assert [row.course_id async for page in ours.engine.dumps.events(CALLER, "rust", ignore) for row in page] == [
            "rust"
        ]
        assert {row.student_id for row in (await scores(ours)).values()} == {"ada"}


@pytest.mark.parametrize("form", FORMS)
async def test_an_event_that_is_too_old_by_now_counts_by_the_days_that_it_names(form: DumpForm) -> None:
    """It was received in time, as the dump tells; so its named days count as long as they are young enough."""
    clock = Clock()
    async with engine("memory", clock) as ours, engine("memory", clock) as fresh:
        days = {"activity_dates": [iso_date(day_of(NOW) - back) for back in range(5)]}
        old = envelope("consistency", days, "names-later-days", at=NOW - 89 * DAY)
        await ours.send("ingest", [old, envelope("quiz", QUIZ, "too-old", at=NOW - 89 * DAY)])
        await ours.work()
        clock.tick(3 * DAY)
        read = await ingested(fresh, form, await dumped(ours, form))
        assert (read.accepted, read.refusals) == (1, [])
        await check_same(ours, fresh)
        assert numbers((await scores(fresh))["ada", "default"])[-1] > 0.1


async def test_who_withdrew_or_was_erased_is_not_in_it_and_the_others_are_on_the_audit_trail() -> None:
    async with engine("memory") as ours:
        people = ("ada", "bob", "cyd", "dan")
        await ours.send("ingest", [envelope("quiz", QUIZ, "e", student_id=one) for one in people])
        await ours.send("ingest", [envelope("answer", DATA["answer"], "a", student_id=one) for one in people])
        await ours.work()
        await ours.engine.privacy.change_consent(CALLER, "bob", processing=False, profiling=None)
        await ours.engine.privacy.change_consent(CALLER, "cyd", processing=None, profiling=False)
        await ours.engine.privacy.erase(CALLER, "dan")
        dumps = ours.engine.dumps
        found: dict[str, set[str]] = {}
        for what, pages in (
            ("events", dumps.events(CALLER, None, ignore)),
            ("scores", dumps.scores(CALLER, None)),
            ("skills", dumps.skills(CALLER, None)),
            ("forecasts", dumps.forecasts(CALLER, None)),
        ):
            found[what] = {row.student_id async for page in pages for row in page}
        assert found == {"events": {"ada", "cyd"}, "scores": {"ada", "cyd"}, "skills": {"ada"}, "forecasts": {"ada"}}
        for student_id, calls in (
            ("ada", ["dump-events", "dump-scores", "dump-skills", "dump-forecasts"]),
            ("cyd", ["dump-events", "dump-scores"]),
            ("bob", []),
        ):
            looks = await ours.engine.privacy.looks(CALLER, student_id)
            assert [one.call for one in reversed(looks) if one.call.startswith("dump")] == calls


async def test_scores_are_the_engines_own_in_full_precision() -> None:
    async with engine("memory", rules=KYIV) as ours:
        await ours.send("ingest", [envelope(kind, data, f"e-{kind}") for kind, data in DATA.items()])
        await ours.work()
        (row,) = (await scores(ours)).values()
        (held,) = await ours.inner_stores.documents.load([key async for key in ours.inner_stores.documents.all_keys()])
        assert held is not None
        expected = mastery_score(held.student.evidence, ours.clock(), KYIV)
        assert (row.mastery_score, row.level, row.coverage) == (expected.score, expected.level, expected.coverage)
        answer = await ours.engine.scores.query(CALLER, "ada")
        assert round(row.mastery_score, 4) == answer.current_mastery.mastery_score
        assert (row.trend, round(row.historical_average, 4)) == (answer.trend, answer.historical_average)
