"""The sample of each course's students: the same however the log is read, within bounds, and of all that counts."""

import json
from collections.abc import Sequence

import pytest

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.rules import Rules
from mastery_engine.ports.event_log import Record
from mastery_engine.worker import sampled_students
from mastery_engine.worker.decoding import RecordDecoder
from mastery_engine.worker.sampled_students import SampledStudents
from tests.support.samples import HELP, NOW, Clock, envelope, raw

COURSE, OTHERS = CourseKey("default"), CourseKey("school-1")


def record(offset: int, student_id: str, tenant: str = "default", value: bytes | None = None) -> Record:
    sent = raw(envelope("help", HELP, f"e-{offset}", student_id=student_id)) if value is None else value
    return Record(0, offset, NOW, tenant, None, sent, "")


def sampled(records: Sequence[Record], *, page: int = 100, tenant: str | None = None) -> SampledStudents:
    sample = SampledStudents(RecordDecoder(lambda _: Rules(), Clock()), lambda key, _: key, tenant)
    for start in range(0, len(records), page):
        sample.take(records[start : start + page])
    return sample


def held(sample: SampledStudents, course: CourseKey = COURSE) -> dict[str, list[int]]:
    """The offsets of the records that are held, by student."""
    return {
        key.student_id: [one.offset for one in own]
        for key, own in sample.students(course)
        if key.tenant == course.tenant
    }


def by_hash(names: Sequence[str]) -> list[str]:
    return sorted(names, key=id_hash)


NAMES = [f"s{number}" for number in range(40)]
ALL = [record(offset, NAMES[offset % 40]) for offset in range(200)]


def test_a_small_course_is_its_own_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = sampled(ALL)
    assert sample.size == 40
    found = held(sample)
    assert list(found) == by_hash(NAMES)
    assert found["s7"] == [7, 47, 87, 127, 167]
    assert (sample.size, held(sample)) == (0, {}), "what was given out is let go of"


@pytest.mark.parametrize("page", [1, 7, 200])
def test_of_a_large_course_the_same_students_are_taken_however_the_log_is_read(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled_students, "MOST_STUDENTS", 10)
    found = held(sampled(ALL, page=page))
    assert list(found) == by_hash(NAMES)[:10]
    assert {len(offsets) for offsets in found.values()} == {5}, "all of their records, or none"


def test_no_more_is_held_than_fits_and_the_largest_course_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_students, "MOST_RECORDS", 60)
    theirs = [record(offset, f"t{offset % 4}", "school-1") for offset in range(200, 220)]
    sample = sampled([*ALL, *theirs])
    ours, of_others = held(sample), held(sample, OTHERS)
    assert len(of_others) == 4
    assert list(ours) == by_hash(NAMES)[: len(ours)]
    assert 6 <= len(ours) <= 8
    assert {len(offsets) for offsets in ours.values()} == {5}


def test_whoever_does_more_than_anybody_can_is_left_out_and_crowds_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_students, "MOST_OF_STUDENT", 10)
    robot = by_hash(NAMES)[0]
    sample = sampled([*ALL, *[record(offset, robot) for offset in range(200, 230)]])
    assert list(held(sample)) == by_hash(NAMES)[1:]


def test_one_tenant_alone() -> None:
    sample = sampled([*ALL[:3], record(3, "s0", "school-1")], tenant="school-1")
    assert list(sample.courses) == [OTHERS]
    assert held(sample, OTHERS) == {"s0": [3]}


def test_an_event_counts_in_whatever_form_it_came_and_what_is_none_does_not() -> None:
    event = envelope("help", HELP, "e-1", student_id="ada")
    cloud = {"specversion": "1.0", "id": "c-1", "source": "x", "type": "help", "data": event}
    forms = [raw(event), b"\xef\xbb\xbf" + raw(event), raw(cloud)]
    broken = [
        None,
        b"",
        b"\xff",
        b"[]",
        raw({"student_id": 5}),
        b"[" * 10_000,
        json.dumps({"data": event}).encode()[:-9],
    ]
    records = [Record(0, offset, NOW, "default", b"ada", value, "") for offset, value in enumerate([*forms, *broken])]
    assert held(sampled(records)) == {"ada": [0, 1, 2]}
