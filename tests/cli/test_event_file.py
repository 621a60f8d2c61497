"""Files of events: lines, damage, and the move to now."""

import gzip
import io
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.cli.event_file import LONGEST_LINE, EventFile, days_to_now, event_in, open_events
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Consistency
from mastery_engine.domain.moments import DAY, SECOND, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput, RefusedEvent, TooLarge
from tests.support.samples import NOW, TODAY, envelope


def file_of(*lines: bytes | dict[str, Any]) -> EventFile:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return EventFile(io.BytesIO(b"\n".join(raw)), None)


def event(line: bytes | dict[str, Any], *, number: int = 1, days: int = 0) -> LearningEvent:
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    return event_in(number, raw, received=NOW, tenant="default", days=days, rules_of=lambda _: Rules())[0]


def help_at(at: int) -> dict[str, Any]:
    return envelope("help", {"topic": "loops"}, timestamp=rfc3339(at))


def numbers(lines: Iterable[tuple[int, bytes]]) -> list[int]:
    return [number for number, _ in lines]


def test_lines_keep_their_numbers_and_blank_ones_are_none() -> None:
    assert list(file_of(b"a", b"", b"  ", b"b\r").lines()) == [(1, b"a"), (4, b"b")]


def test_a_file_can_be_read_again() -> None:
    source = file_of(b"a", b"b")
    assert list(source.lines()) == list(source.lines())


def test_a_compressed_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(gzip.compress(b"a\nb\n"))
    with open_events(tmp_path / "events") as source:
        assert list(source.lines()) == [(1, b"a"), (2, b"b")]


def test_a_damaged_file_says_so_after_its_good_lines(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b"%d\n" % (number * 7_919) for number in range(10_000)))
    (tmp_path / "events.gz").write_bytes(packed[: len(packed) // 2])
    read: list[tuple[int, bytes]] = []
    with open_events(tmp_path / "events.gz") as source, pytest.raises(InvalidInput, match="damaged after line"):
        read.extend(source.lines())


def test_an_endless_line_is_refused_and_the_next_one_is_not() -> None:
    source = file_of(b"x" * (3 * LONGEST_LINE), b"b")
    lines = list(source.lines())
    assert numbers(lines) == [1, 2]
    assert lines[1][1] == b"b"
    with pytest.raises(TooLarge):
        event(lines[0][1])


def test_an_event_without_an_id_gets_the_one_of_its_line() -> None:
    line = {name: value for name, value in help_at(NOW).items() if name != "event_id"}
    again = event(line, number=3, days=-1)
    assert event(line, number=3).event_id == again.event_id
    assert event(line, number=4).event_id != again.event_id
    assert event(line | {"source": "x"}, number=3).event_id != again.event_id


@pytest.mark.parametrize("at", [NOW, NOW - 1, NOW - DAY + 1, NOW - DAY, NOW - 4_000 * DAY - 1, NOW + 1, NOW + 9 * DAY])
def test_the_newest_event_moves_into_the_last_24_hours(at: int) -> None:
    source = file_of(help_at(at - DAY), help_at(at), help_at(at - 5 * DAY))
    moved = event(help_at(at), days=days_to_now(source, NOW)).at
    assert NOW - DAY < moved <= NOW
    assert (moved - at) % DAY == 0


def test_events_without_a_time_and_bad_lines_do_not_decide() -> None:
    newest = NOW - 10 * DAY
    bad: list[bytes | dict[str, Any]] = [
        b"{",
        b"\xff",
        b'{"timestamp": "2026-13-01T00:00:00Z"}',
        help_at(NOW - DAY) | {"student_id": "no id!"},
    ]
    untimed = {name: value for name, value in help_at(NOW).items() if name != "timestamp"}
    assert days_to_now(file_of(*bad, untimed, help_at(newest), *bad), NOW) == 10
    assert days_to_now(file_of(*bad, untimed), NOW) == 0


def test_dates_in_the_data_move_along() -> None:
    named = envelope("consistency", {"activity_dates": ["2025-12-31", "2026-01-01"]}, timestamp="2026-01-01T08:00:00Z")
    moved = event(named, days=12)
    assert moved.data == Consistency(activity_dates=(date(2026, 1, 12), date(2026, 1, 13)))
    assert rfc3339(moved.at) == "2026-01-13T08:00:00Z"


def test_an_event_without_a_time_is_of_its_receipt_however_the_others_move() -> None:
    untimed = {name: value for name, value in help_at(NOW).items() if name != "timestamp"}
    assert event(untimed, days=100).at == NOW


def test_what_leaves_the_calendar_is_refused() -> None:
    far = envelope("consistency", {"activity_dates": ["9999-12-01"]}, timestamp=rfc3339(NOW - 40 * DAY))
    with pytest.raises(InvalidInput, match="an impossible date"):
        event(far, days=40)
    with pytest.raises(InvalidInput, match="an impossible date"):
        event(help_at(NOW - 1), days=-TODAY - 1)


def test_what_is_too_old_even_so_is_refused() -> None:
    with pytest.raises(RefusedEvent, match="older than the 90 days"):
        event(help_at(NOW - 200 * DAY - SECOND), days=100)


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_byte_order_mark_costs_no_event(tmp_path: Path, pack: Any, ends: bytes) -> None:
    lines = [json.dumps(help_at(NOW)).encode(), b"", b'{"a": "\x00"}', json.dumps(help_at(NOW - 1)).encode()]
    (tmp_path / "events").write_bytes(pack(MARK + ends.join(lines)))
    with open_events(tmp_path / "events") as source:
        read = list(source.lines())
    assert numbers(read) == [1, 3, 4]
    assert event(read[0][1]) == event(lines[0])
    assert event(read[2][1]).at == NOW - 1
    with pytest.raises(InvalidInput, match="This is not JSON"):
        event(read[1][1])


def test_a_mark_alone_is_a_blank_line_and_a_later_one_is_none() -> None:
    assert list(file_of(MARK, b"a", MARK + b"b").lines()) == [(2, b"a"), (3, MARK + b"b")]


@pytest.mark.parametrize("begins", [b"", json.dumps(help_at(NOW)).encode()], ids=["begins", "middle"])
def test_a_mark_where_files_were_joined_is_named(begins: bytes) -> None:
    ((number, line),) = list(file_of(b"", begins + MARK + json.dumps(help_at(NOW)).encode()).lines())
    assert number == 2
    with pytest.raises(InvalidInput, match=rf"byte-order mark \(U\+FEFF\) at byte {len(begins)}, .* remove it"):
        event(line)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_wide_file_is_told_to_be_saved_as_utf_8(encoding: str) -> None:
    text = "\n".join(json.dumps(help_at(NOW)) for _ in range(3))
    with pytest.raises(InvalidInput, match="save or send it as UTF-8"):
        list(file_of(text.encode(encoding)).lines())


def test_a_list_over_several_lines_is_told_once() -> None:
    with pytest.raises(InvalidInput, match="write each event in a line of its own"):
        list(file_of(b"[", b"{},", b"{}", b"]").lines())


@pytest.mark.parametrize("dumped", [json.dumps([{"a": 1}, {"a": 2}]), "[]", '[ {"a": 1}]', "\n[\n{}]"])
def test_a_list_in_a_line_is_told_so_too(dumped: str) -> None:
    with pytest.raises(InvalidInput, match="write each event in a line of its own"):
        list(file_of(*dumped.encode().split(b"\n")).lines())


def test_what_only_looks_like_a_list_is_a_bad_line() -> None:
    assert numbers(file_of(b"[1]", b"[").lines()) == [1, 2]
