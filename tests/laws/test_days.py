"""The laws hold by the days of any time zone, daylight saving days among them, and by any half-life."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.courses.zone import zone_named
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY, MINUTE, Micros, moment_of, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply
from tests.support.engines import Sent, engine, key
from tests.support.samples import HELP, HOUR, NOW, QUIZ, Clock, by_id, envelope, envelopes, event, logged

# Days of 23, 24.5 and 25 hours lie within the evidence or within what is asked; and the ends of the date line.
ZONES = (
    "America/Los_Angeles",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Atlantic/Azores",
)
LATER = (7 * HOUR, DAY, 60 * DAY, 75 * DAY, 90 * DAY)
LOS_ANGELES = Rules(zone=zone_named("America/Los_Angeles"))

all_rules = st.builds(
    lambda name, half_life: Rules(zone=zone_named(name), half_life_days=half_life),
    st.sampled_from(ZONES),
    st.sampled_from([14.0, 14.0, 7.0, 3.5]),
)


def moment(*when: int) -> Micros:
    return moment_of(datetime(*when, tzinfo=UTC))  # type: ignore[misc,arg-type]  # year, month, day and so on


@st.composite
def sent_at_midnights(draw: st.DrawFn, rules: Rules) -> Sent:
    """An event, often at the first or the last moment of a day of the zone."""
    one: Sent = draw(envelopes(students=("ada", "bob"), first=NOW - 80 * DAY, last=NOW))
    if draw(st.booleans()):
        start = rules.start_of(rules.day_of(NOW) - draw(st.integers(0, 79)))
        at = start + draw(st.sampled_from([-1, 0, 1, MINUTE]))
        if at <= NOW:
            one = {**one, "timestamp": rfc3339(at)}
    return one


@st.composite
def two_orders(draw: st.DrawFn) -> tuple[Rules, list[list[list[Sent]]]]:
    """Rules, and some events twice: each time in another order, in batches, some of them repeated."""
    rules = draw(all_rules)
    events = draw(by_id(sent_at_midnights(rules), min_size=1, max_size=12))
    orders = []
    for _ in range(2):
        some = draw(st.permutations([*events, *draw(st.lists(st.sampled_from(events), max_size=4))]))
        cuts = sorted(draw(st.sets(st.integers(1, len(some)), max_size=4)))
        orders.append([some[a:b] for a, b in pairwise([0, *cuts, len(some)]) if a < b])
    return rules, orders


@given(two_orders())
async def test_in_any_zone_the_order_does_not_matter_and_twice_is_once(
    orders: tuple[Rules, list[list[list[Sent]]]],
) -> None:
    rules, both = orders
    found = []
    for batches in both:
        async with engine("memory", rules=rules) as ours:
            for batch in batches:
                await ours.send("ingest", batch)
            await ours.work()
            await ours.check_scores(*LATER, rules.start_of(rules.day_of(NOW) + 1) - NOW)
            await ours.check_results()
            found.append(await ours.scores(NOW))
    one, other = found
    assert one.keys() == other.keys()
    for student_id, (*numbers, level, score) in one.items():
        *others, other_level, other_score = other[student_id]
        assert [*numbers, score] == pytest.approx([*others, other_score], abs=1e-9)
        assert level == other_level


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_repeat_at_the_very_end_of_a_retention_of_25_hours_more_counts_once(kind: str) -> None:
    """Received on a day of summer time, which begins at midnight UTC in the Azores, it still counts an hour longer."""
    rules = Rules(zone=zone_named("Atlantic/Azores"))
    begin = moment(2026, 8, 1)
    clock = Clock(begin - 2 * MINUTE)
    async with engine(kind, clock, rules=rules) as ours:
        first = envelope("quiz", QUIZ, "first", at=begin + MINUTE)
        assert rules.day_of(begin + MINUTE) == rules.day_of(begin - 2 * MINUTE) + 1
        await ours.send("ingest", [first])
        await ours.work()
        clock.now = rules.start_of(rules.day_of(begin) + 90) - MINUTE
        assert clock.now == moment(2026, 10, 30, 0, 59)
        await ours.send("ingest", [envelope("quiz", {**QUIZ, "correct_answers": 1}, "last", at=clock.now)])
        await ours.work()
        await ours.purge()
        await ours.send("ingest", [first])
        await ours.work()
        await ours.check_scores(0)
        (held,) = await ours.stores.documents.load([key("ada")])
        assert len(held.student.evidence.quiz.days) == 2 * 2
        clock.now += MINUTE
        await ours.send("ingest", [first])  # now it is too old
        await ours.work()
        await ours.check_scores(0)


# ---- what a day is for


def folded(events: list[Any], rules: Rules) -> Student:
    return apply(NOBODY, logged(events), NOW, rules).student


def a_week_of_evenings() -> list[Any]:
    """Work on seven days of Los Angeles in winter, at five in the afternoon and at three in turn."""
    begin = moment(2026, 1, 5, 8)  # midnight there
    hours = [begin + back * DAY + (17 if back % 2 == 0 else 15) * HOUR for back in range(7)]
    return [event("help", HELP, f"e-{at}", at=at) for at in hours]


def test_who_works_every_local_day_has_no_gap() -> None:
    """Three in the afternoon at UTC-8 is one day in UTC, and five the next: every other day would be missing."""
    asked = moment(2026, 1, 12, 16)  # the morning after
    local, utc = (folded(a_week_of_evenings(), rules) for rules in (LOS_ANGELES, Rules()))
    evening = asked - 14 * HOUR
    assert mastery_score(local.evidence, evening, LOS_ANGELES).components[3] == 1.0
    assert mastery_score(local.evidence, asked, LOS_ANGELES).components[3] == pytest.approx(0.8244, abs=5e-5)
    assert mastery_score(utc.evidence, asked, Rules()).components[3] == pytest.approx(0.5746, abs=5e-5)


def test_a_day_of_25_hours_is_one_day() -> None:
    first, last = moment(2025, 11, 2, 7), moment(2025, 11, 3, 8) - 1  # 2 November in Los Angeles
    student = folded([event("help", HELP, str(at), at=at) for at in (first - 1, first, last, last + 1)], LOS_ANGELES)
    day = LOS_ANGELES.day_of(first)
    assert student.evidence.activity == ActiveDays.of(day - 1, day, day + 1)
    assert [point.day for point in student.history.points()] == [day - 1, day, day + 1]


def test_what_was_kept_stays_where_the_zone_changes() -> None:
    """From then on days are those of the new zone; the active days and daily points of before are not moved."""
    late = event("quiz", QUIZ, "e-1", at=moment(2026, 1, 13, 2))
    before = folded([late], Rules())
    day = Rules().day_of(late.at)
    after = apply(before, logged([event("quiz", QUIZ, "e-2", at=late.at)], first=1), NOW, LOS_ANGELES).student
    assert before.evidence.activity == ActiveDays.of(day)
    assert after.evidence.activity == ActiveDays.of(day - 1, day)
    assert after.evidence.quiz.mean(day - 1) == 0.9
