"""What a backend's logs promise together, and that no backend is forgotten by the suites."""

from pathlib import Path

from mastery_engine import backends
from mastery_engine.domain.student import StudentKey
from tests.support.logs import LOGS, OpenedLogs, letter, logs_fixture, on_one_machine, records, updated
from tests.support.samples import NOW, helped

opened = logs_fixture()


def test_every_backend_that_has_logs_is_in_the_suites() -> None:
    (folder,) = backends.__path__
    assert {file.parent.name for file in Path(folder).glob("*/logs.py")} == set(LOGS)


async def test_servers_as_they_should_be_have_no_dangers(opened: OpenedLogs) -> None:
    await opened.logs.events.append([helped()])
    assert [danger for danger in await opened.logs.connection.dangers() if "in memory" not in danger.message] == []


async def test_a_connection_is_up_until_it_is_closed_which_may_be_twice(opened: OpenedLogs) -> None:
    await opened.logs.connection.ping()
    await opened.logs.events.append([helped()])
    await opened.logs.connection.ping()
    assert len(await records(opened.logs.events)) == 1
    await opened.logs.connection.close()
    await opened.logs.connection.close()


@on_one_machine
async def test_a_purge_of_all_parts_takes_what_is_old_and_was_worked(opened: OpenedLogs) -> None:
    logs = opened.logs
    positions = await logs.events.append([helped(f"e{n}", at=NOW + n, received=NOW + n) for n in (-3, -2, -1, 0, 1)])
    await logs.events.commit({positions[2].partition: positions[2].offset})  # the third is still to be worked
    await logs.results.publish([updated("old", at=NOW - 1), updated("new", at=NOW)])
    await logs.dead_letters.append([letter(0, received=NOW - 1), letter(1, received=NOW)])
    parts = (logs.events, logs.results, logs.dead_letters)
    assert [await part.purge(NOW) for part in parts] == [2, 1, 1]
    assert [record.received - NOW for record in await records(logs.events)] == [-1, 0, 1]
    assert [result["caused_by"][-1] for result in await opened.sent()] == ["new"]
    assert [kept.offset for kept in await logs.dead_letters.page()] == [1]
    assert [await part.purge(NOW) for part in parts] == [0, 0, 0]


@on_one_machine
async def test_an_erasure_of_all_parts_leaves_nothing_of_a_student(opened: OpenedLogs) -> None:
    """Nor can a letter of theirs be redriven afterwards."""
    logs, key = opened.logs, StudentKey("default", "ada")
    await logs.events.append([helped("e1"), helped("e2", student_id="bob")])
    await logs.results.publish([updated(), updated(student_id="bob")])
    await logs.dead_letters.append([letter()])
    (kept,) = await logs.dead_letters.page()
    removed = [await part.erase(key) for part in (logs.results, logs.dead_letters, logs.events)]
    assert removed == [1, 1, 1]
    assert await logs.dead_letters.redrive([kept.letter_id], NOW) == {}
    assert [record.event_id for record in await records(logs.events)] == ["e2"]
    assert [result["student_id"] for result in await opened.sent()] == ["bob"]
