"""What every backend promises of batches of calculations."""

import msgspec

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.jobs import BatchJob, answered
from tests.support.samples import NOW
from tests.support.stores import ADA, job, stores_fixture

stores = stores_fixture()


async def test_a_batch_is_kept_and_answered(stores: Stores) -> None:
    jobs = stores.jobs
    assert await jobs.find("default", "b-1") is None
    assert await jobs.open() == []
    for written in (job("b-3", NOW + 2), job("b-1"), job("b-2", NOW + 1), job("b-1", NOW - 1, "school-1")):
        await jobs.put(written)
    assert await jobs.find("default", "b-1") == job()
    assert await jobs.find("school-1", "b-1") == job("b-1", NOW - 1, "school-1")
    assert await jobs.find("school-1", "b-2") is None
    names = [(waiting.tenant, waiting.batch_id) for waiting in await jobs.open()]
    assert names == [("school-1", "b-1"), ("default", "b-1"), ("default", "b-2"), ("default", "b-3")]
    assert await jobs.answer(job("b-2", NOW + 1), b'{"results":[]}')
    assert await jobs.find("default", "b-2") == answered(job("b-2", NOW + 1), b'{"results":[]}')
    assert [waiting.batch_id for waiting in await jobs.open()] == ["b-1", "b-1", "b-3"]


async def test_a_batch_that_is_there_stays_as_it_is(stores: Stores) -> None:
    jobs = stores.jobs
    await jobs.put(job())
    await jobs.answer(job(), b"{}")
    await jobs.put(job())
    assert await jobs.find("default", "b-1") == answered(job(), b"{}")


async def test_an_answered_batch_names_nobody_but_in_its_answer(stores: Stores) -> None:
    sent = BatchJob("default", "b-1", "tutor", "normal", NOW, b'{"students":["ada"]}', b'{"rows":["ada"]}')
    await stores.jobs.put(sent)
    assert await stores.jobs.answer(sent, b"{}")
    kept = await stores.jobs.find("default", "b-1")
    assert kept is not None
    assert (kept.caller, kept.request, kept.answer) == (b"", b"", b"{}")


async def test_an_answer_is_kept_only_where_the_batch_still_is_as_it_was(stores: Stores) -> None:
    jobs = stores.jobs
    assert not await jobs.answer(job(), b"{}")
    assert (await jobs.find("default", "b-1"), await jobs.open()) == (None, [])
    await jobs.put(job())
    assert await jobs.answer(job(), b"{}")
    assert not await jobs.answer(job(), b'{"late":1}'), "another replica was first"
    assert (await jobs.find("default", "b-1"), await jobs.open()) == (answered(job(), b"{}"), [])
    assert await jobs.purge(NOW + 1) == 1
    assert not await jobs.answer(job(), b"{}")
    assert await jobs.find("default", "b-1") is None
    assert await jobs.purge(NOW + 1) == 0


def nothing_of(batch: BatchJob) -> BatchJob | None:
    """What an erasure leaves of these batches: nothing of those that a student sent, else all but the name."""
    if batch.subject == "ada":
        return None
    without = {name: (getattr(batch, name) or b"").replace(b'"ada"', b"null") for name in ("caller", "request")}
    answer = None if batch.answer is None else batch.answer.replace(b'"ada"', b"null")
    return msgspec.structs.replace(batch, **without, answer=answer)


async def test_an_erasure_takes_a_student_out_of_the_batches_that_name_them(stores: Stores) -> None:
    jobs = stores.jobs
    written = [
        BatchJob("default", "of-ada", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"ada"}]}'),
        BatchJob("default", "by-ada", "ada", "normal", NOW, b"{}", b"{}"),
        BatchJob("default", "by-adas-teacher", "tutor", "normal", NOW, b'{"students":["ada"]}', b"{}"),
        BatchJob("default", "answered", "tutor", "normal", NOW, b"{}", b"{}"),
        BatchJob("default", "of-bob", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"bob"}]}'),
        BatchJob("school-1", "of-ada", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"ada"}]}'),
    ]
    for batch in written:
        await jobs.put(batch)
    await jobs.answer(written[3], b'{"results":[{"student_id":"ada"}]}')
    named = {batch.batch_id: batch.answer for batch in await jobs.of(ADA)}
    answer = b'{"results":[{"student_id":"ada"}]}'
    assert named == {"of-ada": None, "by-ada": None, "by-adas-teacher": None, "answered": answer}
    assert await jobs.erase(ADA, nothing_of) == 4
    assert await jobs.erase(ADA, nothing_of) == 0
    assert await jobs.of(ADA) == []
    assert await jobs.find("default", "by-ada") is None
    done = await jobs.find("default", "answered")
    assert done is not None
    assert done.answer == b'{"results":[{"student_id":null}]}'
    assert not await jobs.answer(written[0], b'{"results":[{"student_id":"ada"}]}'), "it was worked meanwhile"
    left = await jobs.find("default", "of-ada")
    assert left is not None
    assert (left.request, left.answer) == (b'{"rows":[{"student_id":null}]}', None)
    assert await jobs.answer(left, b"{}")
    waiting = {(batch.tenant, batch.batch_id) for batch in await jobs.open()}
    assert waiting == {("default", "by-adas-teacher"), ("default", "of-bob"), ("school-1", "of-ada")}


async def test_what_an_erasure_leaves_as_it_is_is_not_counted(stores: Stores) -> None:
    """A word of the batch may look like a student's id."""
    rows = BatchJob("default", "b-1", "tutor", "normal", NOW, b"{}", b'{"ada":1}')
    await stores.jobs.put(rows)
    assert await stores.jobs.erase(ADA, lambda batch: batch) == 0
    assert await stores.jobs.find("default", "b-1") == rows


async def test_a_purge_takes_those_from_before_a_moment(stores: Stores) -> None:
    jobs = stores.jobs
    for number in (-2, -1, 0, 1):
        await jobs.put(job(f"b{number}", NOW + number))
    await jobs.answer(job("b-2", NOW - 2), b"{}")
    assert await jobs.purge(NOW) == 2
    assert [batch.batch_id for batch in await jobs.open()] == ["b0", "b1"]
    assert await jobs.find("default", "b-2") is None
    assert await jobs.purge(NOW) == 0


async def test_a_student_of_another_tenant_is_another(stores: Stores) -> None:
    await stores.jobs.put(BatchJob("default", "of-ada", "ada", "normal", NOW, b"{}", b"{}"))
    assert await stores.jobs.erase(StudentKey("school-1", "ada"), nothing_of) == 0
    assert len(await stores.jobs.open()) == 1
