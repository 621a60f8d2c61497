"""Documents of earlier formats say what they said, and go on as if they had always been of today's."""

import msgspec
import pytest

from mastery_engine.domain.advice.habits import work
from mastery_engine.domain.earlier_formats import as_today
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.results import StruggleDetected, Updated, result_id
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import FORMAT, pack, pack_ids, unpack, unpack_ids
from mastery_engine.domain.transition import apply, needs_cold
from tests.support.older_documents import BEFORE_COURSES, COLD_OF_FORMAT_2, FORMAT_2
from tests.support.samples import NOW, TODAY, helped, logged, quiz

RULES = Rules()
COLD = unpack_ids(COLD_OF_FORMAT_2)
ADAS_ANSWER = "0f8fad5b-d9cb-469f-a165-708677289500"


def test_a_document_of_format_2_says_what_it_said() -> None:
    held = unpack(FORMAT_2)
    assert mastery_score(held.evidence, NOW, RULES).score == pytest.approx(0.6298, abs=5e-5)
    assert {name: one.answers for name, one in held.knowledge.skills.items()} == {"loops": 4, "variables": 4}
    assert held.knowledge.general is not None
    assert held.knowledge.general.mean == 0.07764197742237433
    guidance = held.guidance
    assert [step.skill for step in guidance.path] == [
        "types",
        "strings",
        "conditionals",
        "loop-control",
        "pattern-matching",
    ]
    assert [(one.action, one.area) for one in guidance.advice.items] == [
        ("refactor", "quality"),
        ("schedule", "consistency"),
        ("practice", "lists"),
    ]
    assert (guidance.advice.day, guidance.advice.level, guidance.basis) == (TODAY, "competent", 2515472989)
    assert (guidance.spells["loops"].trigger, set(guidance.dismissed)) == ("low_quiz", {"r-1"})
    done = work(guidance.habits, 0)
    assert (sum(done.hours), done.seconds, done.asked.timed, done.asked.helped) == (13, 602, 44, 4)
    assert done.quiz_days == (TODAY - 20, TODAY - 9, TODAY - 1, TODAY)


def test_its_results_go_out_as_they_were() -> None:
    updated, struggle = [pending.result for pending in unpack(FORMAT_2).outbox]
    assert isinstance(updated, Updated)
    assert isinstance(struggle, StruggleDetected)
    assert updated.caused_by == ("c-0", ADAS_ANSWER, "q-0", "x-0")
    assert (updated.score, updated.previous_score, updated.level) == (0.6298, 0.6544, "competent")
    assert updated.advice == unpack(FORMAT_2).guidance.advice.items
    assert (struggle.topic, struggle.evidence) == ("loops", "4 of 10 right in a quiz")
    assert result_id(updated) == "d8696116-2c29-8e15-aae0-9e8c68e1053a"


def test_its_events_count_once_the_cold_ones_too() -> None:
    held = unpack(FORMAT_2)
    recent = {event_id for day in (0, 1) for event_id in (f"c-{day}", f"q-{day}")} | {ADAS_ANSWER, "x-0", "dis"}
    assert all(held.seen.holds(seen_hash(one)) for one in recent)
    for day in (20, 9):
        again = logged([quiz(8, 10, f"q-{day}")], first=20)
        assert needs_cold(held, again)
        assert apply(held, again, NOW, RULES, cold=COLD).student is held
    new = apply(held, logged([helped("new")], first=20), NOW, RULES, cold=COLD)
    assert new.cold == {}, "few as they are, they came back into the document"
    assert new.student.seen.cold_filter == b""
    for again in (f"q-{day}" for day in (20, 9)):
        assert new.student.seen.holds(seen_hash(again))
    assert not needs_cold(new.student, logged([helped("newer")], first=21))


@pytest.mark.usefixtures("cold_after_a_week")
def test_the_filter_of_many_ids_is_made_anew() -> None:
    new = apply(unpack(FORMAT_2), logged([helped("new")], first=20), NOW, RULES, cold=COLD)
    assert new.cold == COLD
    assert len(new.student.seen.cold_filter) > 1
    assert not needs_cold(new.student, logged([helped("newer")], first=21))


@pytest.mark.parametrize("older", [BEFORE_COURSES, FORMAT_2])
def test_what_is_written_is_of_todays_format_and_holds_the_same(older: bytes) -> None:
    held = unpack(older)
    assert pack(held)[0] == FORMAT
    assert unpack(pack(held)) == held


@pytest.mark.parametrize("fields", range(1, 15))
def test_a_document_from_before_a_field_is_read_without_it(fields: int) -> None:
    first = msgspec.msgpack.decode(FORMAT_2[1:])[:fields]
    assert unpack(b"\x01" + msgspec.msgpack.encode(first)).evidence == unpack(FORMAT_2).evidence
    assert as_today(msgspec.msgpack.encode(first)).startswith(bytes((0x90 + fields,)))


def test_cold_ids_of_earlier_formats_are_those_of_today() -> None:
    assert set(COLD) == {TODAY - 20, TODAY - 9}
    assert {len(ids) for ids in COLD.values()} == {3 * 6}
    assert unpack_ids(pack_ids(COLD)) == COLD


def test_a_day_later_what_waits_goes_out_with_what_is_new() -> None:
    held, at = unpack(FORMAT_2), NOW + DAY
    after = apply(held, logged([quiz(9, 10, "next", at=at, received=at)], first=30), at, RULES, cold=COLD)
    assert after.outbox is not None
    assert after.outbox[:2] == held.outbox
    assert unpack(pack(after.student)).outbox == after.outbox
    later = apply(after.student, logged([helped("h", at=at, received=at)], first=31), at, RULES, settled={0: 31})
    assert later.outbox is not None
    assert [one.offset for one in later.outbox] == [31], "what was published is gone"
