"""The envelope: what is taken, what is refused and why, and what the log keeps of it."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mastery_engine.domain.courses.zone import zone_named
from mastery_engine.domain.events.envelope import (
    FIELDS,
    Peeked,
    SentEvent,
    check_event_id,
    peek,
    read,
    read_strictly,
    unknown_fields,
)
from mastery_engine.domain.events.event import (
    check_tenant,
    check_times,
    counting_times,
    decode,
    decode_written,
    encode,
    is_tenant,
)
from mastery_engine.domain.events.kinds import ALIASES, Completion
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, day_of, iso_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput, RefusedEvent
from tests.support import oracle as plain
from tests.support.samples import COMPLETION, DATA, HELP, NOW, QUIZ, TODAY, envelope, envelopes, event, raw, when

CONTRACT = {
    "event_id": "4f7f2c1e-1df0-4f8f-8f56-0b4a2b5d7b11",
    "event_type": "completion",
    "student_id": "student_12345",
    "timestamp": "2026-01-14T10:30:00Z",
    "source": "exercise-agent",
    "data": COMPLETION,
    "metadata": {"cohort_id": "py-101"},
}
LAST_MICRO = DAY - 1


def refusal(sent: dict[str, Any] | bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        decode(sent if isinstance(sent, bytes) else raw(sent), received=NOW)
    return refused.value


def in_time(at: int, received: int = NOW, **data: Any) -> bool:
    """Whether an event of that time counts where it is received then."""
    kind = ("consistency", data) if data else ("help", HELP)
    try:
        check_times(decode(raw(envelope(*kind, at=at)), received=received), Rules())
    except RefusedEvent:
        return False
    return True


# ---- what is taken


def test_the_contracts_envelope() -> None:
    taken = decode(raw(CONTRACT), received=NOW + 7, tenant="school-1")
    assert (taken.event_id, taken.student_id, taken.tenant) == (CONTRACT["event_id"], "student_12345", "school-1")
    assert (taken.at, taken.received) == (NOW, NOW + 7)
    assert taken.data == Completion(10, 8, "intermediate", "loops")
    assert (taken.source, taken.metadata) == ("exercise-agent", {"cohort_id": "py-101"})
    assert taken.event_type == "completion"


def test_a_course_is_named_in_one_spelling_and_default_where_none_is() -> None:
    for course_id, expected in (("cafe\u0301 ", "café"), ("default", "default"), (None, "default")):
        assert decode(raw({**CONTRACT, "course_id": course_id}), received=NOW).course_id == expected
    assert decode(raw(CONTRACT), received=NOW).course_id == "default"


def test_what_may_be_left_out_has_defaults() -> None:
    least = {"event_type": "help", "student_id": "ada", "data": HELP}
    taken = decode(raw(least), received=NOW, event_id="minted")
    assert (taken.event_id, taken.at, taken.tenant) == ("minted", NOW, "default")
    assert (taken.source, taken.metadata) == (None, {})


@pytest.mark.parametrize("nothing", ["timestamp", "event_id", "source", "metadata"])
def test_null_is_the_same_as_left_out(nothing: str) -> None:
    sent = envelope("help", HELP, **{nothing: None}) | {nothing: None}
    taken = decode(raw(sent), received=NOW, event_id="minted")
    left_out = decode(raw({k: v for k, v in sent.items() if k != nothing}), received=NOW, event_id="minted")
    assert taken == left_out


def test_an_id_is_made_only_where_there_is_none() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("made")
        return "made"

    stated = envelope("help", HELP, "stated")
    assert decode(raw(stated), received=NOW, event_id=make).event_id == "stated"
    assert made == []
    del stated["event_id"]
    assert decode(raw(stated), received=NOW, event_id=make).event_id == "made"
    assert refusal(stated).field == "event_id"


@pytest.mark.parametrize(
    ("timestamp", "read"),
    [
        ("2026-01-14T10:30:00Z", "2026-01-14T10:30:00Z"),
        ("2026-01-14t10:30:00z", "2026-01-14T10:30:00Z"),
        ("2026-01-14T15:30:00+05:00", "2026-01-14T10:30:00Z"),
        ("2026-01-14T04:45:00-05:45", "2026-01-14T10:30:00Z"),
        ("2026-01-15T00:29:59.999999+14:00", "2026-01-14T10:29:59.999999Z"),
        ("2026-01-14T10:30:00.5Z", "2026-01-14T10:30:00.500000Z"),
        ("2026-01-14T10:30:00.000001-00:00", "2026-01-14T10:30:00.000001Z"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
        (1_768_386_600_000, "2026-01-14T10:30:00Z"),
        (1_768_386_600_001, "2026-01-14T10:30:00.001000Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_rfc_3339_or_whole_milliseconds(timestamp: Any, read: str) -> None:
    assert rfc3339(decode(raw(envelope("help", HELP, timestamp=timestamp)), received=NOW).at) == read


def test_at_a_border_of_days_the_offset_decides() -> None:
    late = decode(raw(envelope("help", HELP, timestamp="2026-01-14T23:30:00-01:00")), received=NOW)
    assert iso_date(day_of(late.at)) == "2026-01-15"


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-14T10:30:00",
        "2026-01-14",
        "2026-02-30T10:30:00Z",
        "2026-13-01T10:30:00Z",
        "2026-01-14T24:00:00Z",
        "2026-01-14T10:30:60Z",
        "2026-01-14T10:60:00Z",
        "2026-01-14T10:30:00+24:00",
        "2026-01-14T10:30Z",
        "2026-01-14T10:30:00Z\n",
        " 2026-01-14T10:30:00Z",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "yesterday",
        "",
        "1768386600000",
        1_768_386_600_000.5,
        10**30,
        10**18,
        -1,
        True,
        [],
        {},
    ],
    ids=repr,
)
def test_other_times_are_refused(timestamp: Any) -> None:
    assert refusal(envelope("help", HELP, timestamp=timestamp)).field == "timestamp"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("student_id", "a"),
        ("student_id", "A_z-0" * 10),
        ("event_id", "x" * 100),
        ("event_id", "A.b_c:d-9"),
        ("source", ""),
        ("source", "ß" * 100),
        ("metadata", {}),
        ("metadata", {f"k{n}": "v" * 200 for n in range(20)} | {"cohort_id": "c" * 100}),
        ("course_id", "c" * 100),
        ("course_id", "course-v1:edX+DemoX+2026"),
        ("course_id", "größe/ループ 🎓"),
        ("metadata", {"k" * 200: None, "n": 1.5, "b": True, "größe": "ü" * 200}),
    ],
    ids=lambda value: str(value)[:12] + str(len(value)),
)
def test_the_longest_that_is_taken(field: str, value: Any) -> None:
    taken = decode(raw(envelope("help", HELP, **{field: value})), received=NOW)
    assert getattr(taken, field) == value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"student_id": "a b"}, "student_id"),
        ({"student_id": "ä"}, "student_id"),
        ({"student_id": "a.b"}, "student_id"),
        ({"student_id": "a" * 51}, "student_id"),
        ({"student_id": ""}, "student_id"),
        ({"student_id": "ada\n"}, "student_id"),
        ({"student_id": 7}, "student_id"),
        ({"student_id": None}, "student_id"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "a" * 101}, "event_id"),
        ({"event_id": "ä"}, "event_id"),
        ({"event_id": "a b"}, "event_id"),
        ({"event_id": "a\n"}, "event_id"),
        ({"event_id": 1}, "event_id"),
        ({"event_type": "completed"}, "event_type"),
        ({"event_type": "Completion"}, "event_type"),
        ({"event_type": ""}, "event_type"),
        ({"event_type": 1}, "event_type"),
        ({"event_type": None}, "event_type"),
        ({"source": "s" * 1_001}, "source"),
        ({"source": 1}, "source"),
        ({"course_id": ""}, "course_id"),
        ({"course_id": " "}, "course_id"),
        ({"course_id": "c" * 101}, "course_id"),
        ({"course_id": "a\x00"}, "course_id"),
        ({"course_id": ".."}, "course_id"),
        ({"course_id": 7}, "course_id"),
        ({"course_id": ["a"]}, "course_id"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {f"k{n}": "" for n in range(21)}}, "metadata"),
        ({"metadata": {"key": "v" * 201}}, "metadata.key"),
        ({"metadata": {"good": 1, "bad": {"a": 1}}}, "metadata.bad"),
        ({"metadata": {"good": "[]", "l" * 201: []}}, "metadata." + "l" * 200),
        ({"metadata": {"k" * 201: ""}}, "metadata." + "k" * 200),
        ({"metadata": {"cohort_id": "c" * 101}}, "metadata.cohort_id"),
        ({"metadata": {"cohort_id": ""}}, "metadata.cohort_id"),
        ({"metadata": {"cohort_id": 7}}, "metadata.cohort_id"),
    ],
)
def test_what_is_wrong_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    assert refusal({**CONTRACT, **change}).field == field


def test_metadata_that_is_no_scalar_is_told_by_its_key() -> None:
    assert refusal({**CONTRACT, "metadata": {"k": [1]}}).message.startswith("metadata.k must be ")


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        ("execution", "outcome", "success, error"),
        ("completion", "difficulty", "beginner, intermediate, advanced"),
        ("answer", "difficulty", "beginner, intermediate, advanced"),
        ("exercise.completed", "difficulty", "beginner, intermediate, advanced"),
    ],
)
def test_a_value_that_is_not_known_is_answered_with_those_that_are(kind: str, field: str, values: str) -> None:
    found = refusal(envelope(kind, {**DATA[ALIASES.get(kind, kind)], field: "maybe"}))
    assert found.message == f"data.{field} must be one of {values}, not 'maybe'."
    assert found.field == f"data.{field}"


def test_a_whole_number_with_a_decimal_point_is_not_called_a_fraction() -> None:
    found = refusal(envelope("quiz", {"total_questions": 10.0, "correct_answers": 1}))
    assert found.message == "data.total_questions must be a whole number, without a decimal point."


def test_seconds_in_place_of_milliseconds_are_guessed() -> None:
    for at, is_guessed in ((NOW // SECOND, True), (NOW // 1_000 - 91 * DAY // 1_000, False)):
        taken = decode(raw({**CONTRACT, "timestamp": at}), received=NOW)
        with pytest.raises(RefusedEvent, match="older than the 90 days") as refused:
            check_times(taken, Rules())
        assert ("milliseconds since 1970" in refused.value.message) is is_guessed


@pytest.mark.parametrize("missing", ["event_type", "student_id", "data"])
def test_what_must_be_there(missing: str) -> None:
    assert refusal({name: value for name, value in CONTRACT.items() if name != missing}).field == missing


def test_a_kind_that_is_not_known_is_answered_with_those_that_are() -> None:
    found = refusal({**CONTRACT, "event_type": "exam" + "x" * 1_000})
    assert "exam" in found.message
    assert "completion, quiz, quality" in found.message
    assert len(found.message) < 400


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"{",
        raw(CONTRACT)[:-1],
        raw(CONTRACT) + b"x",
        raw(CONTRACT) * 2,
        raw(CONTRACT).replace(b'"', b"'"),
        b"\xef\xbb\xbf" + raw(CONTRACT),  # doors take one off
        b" \xef\xbb\xbf" + raw(CONTRACT),
        raw(CONTRACT).decode().encode("utf-16"),
        b"\x00",
        b"[" * 100_000,
        raw(CONTRACT).replace(b'"loops"', b"[" * 100_000 + b"]" * 100_000),
        raw(CONTRACT).replace(b'"loops"', b'"\xff"'),
        raw(CONTRACT).replace(b'"loops"', b'"\\ud800"'),
        raw(CONTRACT).replace(b'"loops"', b'"a\nb"'),
    ],
    ids=range(20),
)
def test_what_is_no_json_object_is_refused(value: bytes) -> None:
    refusal(value)


@pytest.mark.parametrize("hidden", [b'"\xc3\x28"', b'"\xed\xa0\x80"', b"NaN", b"Infinity", b"-Infinity"])
def test_bad_json_is_refused_also_where_it_is_ignored(hidden: bytes) -> None:
    refusal(raw({**CONTRACT, "other": "?"}).replace(b'"?"', hidden))


def test_unknown_fields_of_the_envelope_are_ignored_and_named() -> None:
    sent = {**CONTRACT, "verb": {"id": [1, None]}, "größe": 1}
    assert decode(raw(sent), received=NOW) == decode(raw(CONTRACT), received=NOW)
    assert unknown_fields(raw(sent)) == ["verb", "größe"]
    assert unknown_fields(raw(CONTRACT)) == []


@pytest.mark.parametrize(
    "end",
    [b"", b', "metadata": null}', b"} garbage", b', "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", b', "x": "\\ud800"}'],
    ids=["cut off", "twice", "garbage", "deep", "surrogate"],
)
def test_metadata_that_is_no_scalar_is_refused_whatever_comes_behind_it(end: bytes) -> None:
    refusal(raw(envelope("help", HELP, metadata={"a": []}))[:-1] + end)


def test_what_contradicts_itself_is_named_after_what_is_missing() -> None:
    wrong = {"event_type": "quiz", "data": {"total_questions": 1, "correct_answers": 2}}
    assert refusal(raw(wrong)).field == "student_id"
    assert refusal(raw({**wrong, "student_id": "ada"})).field == "data.correct_answers"


ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, "", "a", "a b", "a\n", "ü" * 51, "x" * 201, [], {}, ["loops"], {"cohort_id": 7},
    {"cohort_id": ""}, {"cohort_id": "c"}, {"cohort_id": "c" * 101}, {"k" * 201: 1}, {"k": "v" * 201}, {"k": [1]},
    {str(n): n for n in range(20)}, {str(n): n for n in range(21)}, {"cohort_id": "c"} | {str(n): n for n in range(20)},
    "2026-01-14T10:30:00", "2026-01-14T10:30:00+01:00", "1969-12-31T23:59:59Z", "quiz", "quiz.completed", "nap",
]  # fmt: skip


@given(envelopes(), st.sampled_from(["", *sorted(FIELDS), "other"]), st.sampled_from(ODD), st.booleans())
def test_what_is_read_quickly_is_read_strictly_too(sent: dict[str, Any], name: str, odd: Any, within: bool) -> None:
    part = sent["data"] if within else sent
    if name:
        part[name] = odd
    try:
        strict: SentEvent | str = read_strictly(raw(sent))
    except InvalidInput as error:
        strict = f"{error.field}: {error.message}"
    try:
        assert read(raw(sent)) == strict
    except InvalidInput as error:
        assert f"{error.field}: {error.message}" == strict


# ---- the times that count


def test_five_minutes_ahead_are_taken_and_a_microsecond_more_is_not() -> None:
    assert in_time(NOW + 5 * MINUTE)
    assert not in_time(NOW + 5 * MINUTE + 1)


def test_the_receipts_day_and_the_89_before_it_are_taken() -> None:
    oldest = (TODAY - 89) * DAY
    assert in_time(oldest)
    assert not in_time(oldest - 1)
    assert in_time(oldest, received=TODAY * DAY + LAST_MICRO)
    assert not in_time(oldest, received=(TODAY + 1) * DAY)


def test_the_verdict_follows_from_the_receipt_alone() -> None:
    old = decode(raw(envelope("help", HELP, at=NOW - 500 * DAY)), received=NOW - 500 * DAY)
    assert check_times(old, Rules()) is old


def test_a_shorter_retention_takes_less() -> None:
    week = event("help", HELP, at=NOW - 7 * DAY, received=NOW)
    assert check_times(week, Rules(retention_days=8)) is week
    with pytest.raises(RefusedEvent, match="7 days"):
        check_times(week, Rules(retention_days=7))


@given(
    st.integers(0, 400 * DAY),
    st.integers(0, 3 * DAY),
    st.floats(0.0, 1.0),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns"]),
    st.data(),
)
def test_what_surely_counts_is_never_refused(
    since: int, span: int, part: float, zone: str, data: st.DataObject
) -> None:
    rules, first, last = Rules(zone=zone_named(zone)), NOW - since, NOW - since + span
    times = counting_times(first, last, rules)
    beside = st.integers(-2, 2).map(lambda off: times.first + off) | st.integers(-2, 2).map(
        lambda off: times.last + off
    )
    at = data.draw(beside | st.integers(times.first - 2 * DAY, last + DAY))
    helped = decode(raw(envelope("help", HELP, at=at)), received=first + round(part * span))
    if times.hold(helped):
        assert check_times(helped, rules) is helped
    elif first == last:
        with pytest.raises(RefusedEvent):
            check_times(helped, rules)


def test_of_days_named_only_the_check_can_tell() -> None:
    times = counting_times(NOW, NOW, Rules())
    named = decode(raw(envelope("consistency", {"activity_dates": [iso_date(TODAY + 2)]}, at=NOW)), received=NOW)
    assert not times.hold(named)
    assert times.hold(decode(raw(envelope("consistency", {"current_streak": 2}, at=NOW)), received=NOW))


def test_days_named_may_be_tomorrow_but_no_later() -> None:
    assert in_time(NOW, activity_dates=[iso_date(TODAY + 1), iso_date(TODAY - 1000)])
    assert not in_time(NOW, activity_dates=[iso_date(TODAY), iso_date(TODAY + 2)])
    # It is the receipt's tomorrow, not the event's.
    assert in_time(NOW - 5 * DAY, activity_dates=[iso_date(TODAY + 1)])
    assert in_time(NOW, activity_dates=[])


@pytest.mark.parametrize("at", [NOW + DAY, NOW - 90 * DAY])
def test_a_refusal_for_its_time_names_the_field_and_the_time(at: int) -> None:
    with pytest.raises(RefusedEvent) as refused:
        check_times(decode(raw(envelope("help", HELP, at=at)), received=NOW), Rules())
    assert refused.value.field == "timestamp"
    assert rfc3339(at) in refused.value.message


def test_a_refusal_for_a_named_day_names_its_field() -> None:
    with pytest.raises(RefusedEvent) as refused:
        event("consistency", {"activity_dates": [iso_date(TODAY + 2)]})
    assert refused.value.field == "data.activity_dates"


# ---- what the log keeps


@given(
    envelopes(), st.integers(0, 2**62), st.sampled_from(["default", "school-1"]), st.sampled_from(["default", "größe"])
)
def test_what_is_encoded_decodes_to_the_same_event(
    sent: dict[str, Any], received: int, tenant: str, course_id: str
) -> None:
    sent |= {
        "course_id": course_id,
        "source": "agent",
        "metadata": {"cohort_id": "c", "größe": "ü", "n": 1.5, "none": None},
    }
    taken = decode(raw(sent), received=received, tenant=tenant)
    kept = encode(taken)
    assert decode(kept, received=received, tenant=tenant) == taken
    assert encode(decode(kept, received=received, tenant=tenant)) == kept


@given(envelopes())
def test_a_document_that_is_kept_as_it_is_decodes_to_what_is_encoded(sent: dict[str, Any]) -> None:
    kept = decode_written(raw(sent), received=NOW, tenant="default")
    try:
        event = decode(raw(sent), received=NOW)
    except InvalidInput:
        assert kept is None
        return
    is_whole = {"event_id", "timestamp"} <= {name for name, value in sent.items() if value is not None}
    assert kept == (event if is_whole and FIELDS.issuperset(sent) else None)
    assert decode(encode(event), received=NOW) == event


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": None},
        {"timestamp": None},
        {"timestamp": -1},
        {"colour": "blue"},
        {"student_id": ""},
        {"data": HELP | {"colour": "blue"}},
    ],
)
def test_a_document_that_is_not_whole_is_not_kept_as_it_is(change: dict[str, Any]) -> None:
    sent = envelope("help", HELP)
    assert decode_written(raw(sent), received=NOW, tenant="school-1") == decode(
        raw(sent), received=NOW, tenant="school-1"
    )
    assert decode_written(raw(sent | change), received=NOW, tenant="school-1") is None


def test_the_log_keeps_the_name_of_the_kind_and_no_defaults() -> None:
    sent = envelope("quiz.performance.submitted", QUIZ)
    assert json.loads(encode(decode(raw(sent), received=NOW))) == envelope("quiz", QUIZ)
    rust = envelope("quiz", QUIZ, course_id="rust")
    assert json.loads(encode(decode(raw(rust), received=NOW))) == rust
    assert encode(decode(raw({**sent, "course_id": "default"}), received=NOW)) == encode(
        decode(raw(sent), received=NOW)
    )
    assert json.loads(encode(event("consistency", {"activity_dates": ["2026-01-14"]})))["data"] == {
        "activity_dates": ["2026-01-14"]
    }


# ---- what can be read of what is no event


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (raw(CONTRACT), ("student_12345", CONTRACT["event_id"])),
        (b'{"student_id": "ada", "event_id": "e-1", "data": 7, "x": [{}]}', ("ada", "e-1")),
        (b'{"student_id": "ada"}', ("ada", None)),
        (b'{"student_id": "ada", "course_id": " physics/1 "}', ("ada", None, "physics/1")),
        (b'{"student_id": "ada", "course_id": "\\u0000"}', ("ada", None)),
        (b'{"student_id": "ada", "course_id": 7}', ("ada", None)),
        (b'{"student_id": "a b", "event_id": "e-1"}', (None, "e-1")),
        (b'{"student_id": "ada\\n", "event_id": 7}', (None, None)),
        (b'{"student_id": null, "event_id": "\xff"}', (None, None)),
        (b'{"student_id": "\\ud800", "event_id": ""}', (None, None)),
        (b'["student_id"]', (None, None)),
        (b'{"student_id": "ada"', (None, None)),
        (b"[" * 100_000, (None, None)),
        (b'{"student_id":' + b"[" * 100_000, (None, None)),
        (b"\xff", (None, None)),
        (b"", (None, None)),
        (None, (None, None)),
    ],
    ids=range(17),
)
def test_a_dead_letter_shows_whose_it_was_where_that_can_be_read(
    value: bytes | None, found: tuple[str | None, ...]
) -> None:
    assert peek(value) == Peeked(*found)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_and_break_nothing(value: bytes) -> None:
    refusal(value)
    assert peek(value) == Peeked(None, None, "default")


# ---- the same verdicts as a plain reading of the contract

OTHERS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 86_400, 86_401, 100_000, 100_001, 1.5, True, "", " ", "x", "x" * 100, "x" * 101, [], ["a"], {}]
    ),
    st.sampled_from(["x" * 300, "x" * 301, " x\n", "e\u0301" * 100, "a\x00", "\u202e", "..", "\u200b", ["a", "\x7f"]]),
    st.sampled_from(
        ["2026-01-14", "2026-01-14T10:30:00Z", "2026-01-14T10:30:00", NOW // 1_000, "beginner", "quiz", "success"]
    ),
    st.text(max_size=3),
)


@given(envelopes(last=NOW + 6 * MINUTE, first=NOW - 91 * DAY), st.data())
def test_verdicts_are_those_of_a_plain_reading(sent: dict[str, Any], data: st.DataObject) -> None:
    """Both read the contract alike, but for a number like 8.0 and the length of a source."""
    target = sent if data.draw(st.booleans()) else sent["data"]
    change = data.draw(st.sampled_from(["none", "put", "drop", "add"]))
    name = data.draw(st.sampled_from(sorted(target) or ["data"]))
    if change == "put":
        target[name] = data.draw(OTHERS)
    elif change == "drop":
        target.pop(name, None)
    elif change == "add":
        target[data.draw(st.sampled_from(["topic", "reason", "extra", "metadata", "event_id", "course_id"]))] = (
            data.draw(OTHERS)
        )
    where = {**sent, **sent["data"]} if isinstance(sent.get("data"), dict) else sent
    assume("error_type" not in where)
    expected = plain.accepts(sent, when(NOW))
    found = None
    try:
        check_times(decode(raw(sent), received=NOW, event_id="minted"), Rules())
    except InvalidInput as refused:
        found = refused.message
    assert (found is None) == (expected is None), (found, expected)


def test_every_kind_is_in_the_samples() -> None:
    for kind, data in DATA.items():
        assert event(kind, data).event_type == kind


# ---- what is stated beside the value


@pytest.mark.parametrize("name", ["default", "school-1", "0", "a" * 40])
def test_a_tenants_name_is_lower_case_and_short(name: str) -> None:
    assert is_tenant(name)
    assert check_tenant(name) == name


@pytest.mark.parametrize("name", ["", "-a", "School", "a_b", "a b", "a" * 41, "größe", "a\n", "a/b"])
def test_another_tenants_name_is_refused(name: str) -> None:
    assert not is_tenant(name)
    with pytest.raises(InvalidInput) as refused:
        check_tenant(name)
    assert refused.value.field == "tenant"


def test_an_id_beside_the_value_is_held_to_the_same_pattern() -> None:
    assert check_event_id("A.b_c:d-9" * 11) == "A.b_c:d-9" * 11
    for wrong in ("", "a b", "x" * 101, "ü", "a\n", " "):
        with pytest.raises(InvalidInput) as refused:
            check_event_id(wrong)
        assert refused.value.field == "event_id"
