"""What every log of results promises, whichever backend it is."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.results import Result, message, result_id
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.result_log import ResultLog
from tests.support.logs import OpenedLogs, logs_fixture, on_one_machine, reached, updated
from tests.support.samples import NOW

opened = logs_fixture()


@pytest.fixture
def log(opened: OpenedLogs) -> ResultLog:
    return opened.logs.results


def as_sent(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Messages as consumers read them, by their ids."""
    plain: list[dict[str, Any]] = [msgspec.json.decode(msgspec.json.encode(each)) for each in messages]
    return sorted(plain, key=lambda result: str(result["event_id"]))


async def test_results_go_out_as_they_are(opened: OpenedLogs, log: ResultLog) -> None:
    results: list[Result] = [updated(), reached(), updated("e-2"), updated(tenant="school-1")]
    await log.publish([])
    await log.publish(results)
    assert as_sent(await opened.sent()) == as_sent(map(message, results))


async def test_a_result_that_went_out_goes_out_no_second_time(opened: OpenedLogs, log: ResultLog) -> None:
    await log.publish([updated(score=0.5)])
    await log.publish([reached(), updated(score=0.9), reached()])
    sent = {result["event_id"]: result for result in await opened.sent()}
    assert sent.keys() == {result_id(updated()), result_id(reached())}
    assert sent[result_id(updated())]["mastery_score"] == 0.5


async def test_an_erasure_takes_a_students_results_where_they_can_be_taken_out(
    opened: OpenedLogs, log: ResultLog
) -> None:
    ours: list[Result] = [updated(), reached()]
    theirs = [updated(tenant="school-1"), updated(student_id="bob")]
    await log.publish([*ours, *theirs])
    assert await log.erase(StudentKey("default", "ada")) == (0 if opened.stamps else 2)
    left = [*ours, *theirs] if opened.stamps else theirs
    assert as_sent(await opened.sent()) == as_sent(map(message, left))
    assert await log.erase(StudentKey("default", "ada")) == 0


@on_one_machine
async def test_a_purge_takes_the_results_of_old_times(opened: OpenedLogs, log: ResultLog) -> None:
    await log.publish([updated("old", at=NOW - 1), updated("new", at=NOW)])
    assert await log.purge(NOW) == 1
    assert [result["caused_by"][-1] for result in await opened.sent()] == ["new"]
    assert await log.purge(NOW) == 0
