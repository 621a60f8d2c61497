"""Days of a time zone: each is what the zone's calendar says, and begins where the one before it ends."""

import pickle
from datetime import UTC as UTC_CLOCK
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastery_engine.domain.courses.zone import NO_PLACES, UTC, Zone, zone_named
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Day, Micros, day_of, day_of_date, moment_of
from mastery_engine.errors import InvalidInput

HOUR = 60 * MINUTE
# Daylight saving in both halves of the year, half an hour of it, by half and quarter hours, and at the date line.
NAMES = (
    "UTC",
    "America/Los_Angeles",
    "Europe/Berlin",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Etc/GMT+12",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "America/St_Johns",
)


def moment(*when: int) -> Micros:
    return moment_of(datetime(*when, tzinfo=UTC_CLOCK))  # type: ignore[misc,arg-type]  # year, month, day and so on


FIRST, LAST = moment(2012, 1, 1), moment(2149, 1, 1)
zones = st.sampled_from(NAMES).map(zone_named)


@st.composite
def zones_and_moments(draw: st.DrawFn) -> tuple[Zone, Micros]:
    """A zone and a moment, often one at which its clocks change, or a microsecond before."""
    zone = draw(zones)
    changes = [at for at in zone.changes if FIRST < at < LAST]
    beside = st.sampled_from(changes or [FIRST + DAY]).flatmap(lambda at: st.sampled_from([at - 1, at, at + HOUR]))
    return zone, draw(st.one_of(st.integers(FIRST, LAST), beside))


@given(zones_and_moments())
def test_a_moment_is_of_the_day_that_the_zones_calendar_shows(found: tuple[Zone, Micros]) -> None:
    zone, at = found
    local = datetime.fromtimestamp(at // SECOND, ZoneInfo(zone.name))
    assert zone.day_of(at) == day_of_date(local.date())
    assert (at + zone.offset_at(at)) % DAY // HOUR == local.hour


@given(zones_and_moments())
@example((zone_named("Pacific/Apia"), moment(2011, 12, 30, 10)))
@example((zone_named("America/St_Johns"), moment(2010, 11, 7, 2, 31)))
def test_a_day_begins_where_the_one_before_it_ends(found: tuple[Zone, Micros]) -> None:
    zone, at = found
    day = zone.day_of(at)
    start = zone.start_of(day)
    assert start <= at < zone.start_of(day + 1)
    assert zone.day_of(start - 1) < day == zone.day_of(start)
    assert zone.end_of(day) == zone.start_of(day + 1) - SECOND


@given(zones, st.integers(0, day_of(LAST)), st.integers(0, LAST))
def test_a_day_is_reached_when_its_first_moment_is(zone: Zone, day: Day, at: Micros) -> None:
    assert (zone.day_of(at) >= day) == (at >= zone.start_of(day))


@pytest.mark.parametrize("name", NAMES)
def test_days_never_fall_where_time_goes_on(name: str) -> None:
    """Nor where clocks went back over midnight, as in Newfoundland until 2010."""
    zone = zone_named(name)
    days = [zone.day_of(at + beside) for at in zone.changes for beside in (-HOUR, -1, 0, 1, HOUR, 2 * HOUR)]
    assert days == sorted(days)
    assert list(zone.changes) == sorted(set(zone.changes))
    assert len(zone.offsets) == len(zone.changes) + 1


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("UTC", date(2026, 3, 29), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/Los_Angeles", date(2026, 3, 8), 23),
        ("America/Los_Angeles", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Kathmandu", date(2026, 3, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("Pacific/Apia", date(2011, 12, 31), 24),
    ],
)
def test_a_day_lasts_as_long_as_its_clocks_say(name: str, day: date, hours: float) -> None:
    zone, ordinal = zone_named(name), day_of_date(day)
    assert zone.start_of(ordinal + 1) - zone.start_of(ordinal) == hours * HOUR


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("Pacific/Kiritimati", moment(2026, 1, 13, 10)),  # 14 hours ahead
        ("Etc/GMT+12", moment(2026, 1, 14, 12)),
        ("Asia/Kolkata", moment(2026, 1, 13, 18, 30)),
        ("Asia/Kathmandu", moment(2026, 1, 13, 18, 15)),
        ("America/Los_Angeles", moment(2026, 1, 14, 8)),
    ],
)
def test_a_day_begins_at_local_midnight(name: str, at: Micros) -> None:
    assert zone_named(name).start_of(day_of(moment(2026, 1, 14))) == at


def test_utc_is_days_of_86_400_seconds() -> None:
    assert zone_named("UTC") == UTC
    for at in (0, 1, DAY - 1, DAY, moment(2026, 1, 14, 10, 30)):
        assert UTC.day_of(at) == day_of(at)
    assert (UTC.start_of(20_000), UTC.end_of(20_000)) == (20_000 * DAY, 20_001 * DAY - SECOND)


def test_no_change_of_any_zone_is_missed() -> None:
    """The table is made by probing; Python's own reading of the files names each change."""
    from zoneinfo._zoneinfo import ZoneInfo as Parsed  # type: ignore[import-not-found]  # the reading in Python

    for name in sorted(available_timezones() - NO_PLACES)[::13]:
        parsed, zone = Parsed(name), zone_named(name)
        seconds = [second for second in parsed._trans_utc if second > 0]
        offsets = [[datetime.fromtimestamp(at, parsed).utcoffset() for at in (one - 1, one)] for one in seconds]
        changed = [at for at, (before, after) in zip(seconds, offsets, strict=True) if before != after]
        end = (seconds or [0])[-1] * SECOND
        moved = [at for at in zone.changes if at <= end]
        assert len(moved) == len(changed), name
        assert all(0 <= found - at * SECOND < 3 * HOUR for found, at in zip(moved, changed, strict=True)), name


def test_a_zone_is_a_value() -> None:
    berlin = zone_named("Europe/Berlin")
    assert zone_named("Europe/Berlin") is berlin
    assert pickle.loads(pickle.dumps(berlin)) == berlin
    assert len({berlin, zone_named("Europe/Paris"), UTC}) == 3
    assert repr(berlin) == "Zone('Europe/Berlin')"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("europe/berlin", "it is spelled Europe/Berlin."),
        ("localtime", "Give an IANA name"),
        ("Factory", "Give an IANA name"),
        ("Los Angeles", "did you mean America/Los_Angeles?"),
        ("Kolkatta", "did you mean Asia/Kolkata?"),
        ("PST", "Give an IANA name, such as Europe/Berlin"),
        ("UTC-8", "Give an IANA name"),
        ("", "Give an IANA name"),
        ("../../etc/passwd", "Give an IANA name"),
        ("x" * 1_000, "Give an IANA name"),
    ],
)
def test_an_unknown_zone_is_refused_with_names_like_it(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="is no time zone") as refusal:
        zone_named(name)
    assert said in str(refusal.value)
    assert refusal.value.field == "time_zone"
    assert len(str(refusal.value)) < 250
