"""What every backend promises of batches of calculations."""

import msgspec

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.jobs import BatchJob
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
    answered = msgspec.structs.replace(job("b-2", NOW + 1), answer=b'{"results":[]}')
    await jobs.put(answered)
    assert await jobs.find("default", "b-2") == answered
    assert [waiting.batch_id for waiting in await jobs.open()] == ["b-1", "b-1", "b-3"]


async def test_an_answer_is_kept_only_where_the_batch_still_is(stores: Stores) -> None:
    jobs = stores.jobs
    answered = job(answer=b"{}")
    await jobs.put(answered)
    assert (await jobs.find("default", "b-1"), await jobs.open()) == (None, [])
    await jobs.put(job())
    await jobs.put(answered)
    assert (await jobs.find("default", "b-1"), await jobs.open()) == (answered, [])
    assert await jobs.purge(NOW + 1) == 1
    await jobs.put(answered)
    assert await jobs.find("default", "b-1") is None
    assert await jobs.purge(NOW + 1) == 0


async def test_an_erasure_takes_the_batches_that_name_a_student(stores: Stores) -> None:
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
    await jobs.put(msgspec.structs.replace(written[3], answer=b'{"results":[{"student_id":"ada"}]}'))
    assert await jobs.erase(ADA) == 4
    assert await jobs.erase(ADA) == 0
    assert await jobs.find("default", "of-ada") is None
    await jobs.put(msgspec.structs.replace(written[0], answer=b"{}"))  # it was worked meanwhile
    assert await jobs.find("default", "of-ada") is None
    left = {(batch.tenant, batch.batch_id) for batch in await jobs.open()}
    assert left == {("default", "of-bob"), ("school-1", "of-ada")}


async def test_a_purge_takes_those_from_before_a_moment(stores: Stores) -> None:
    jobs = stores.jobs
    for number in (-2, -1, 0, 1):
        await jobs.put(job(f"b{number}", NOW + number))
    await jobs.put(job("b-2", NOW - 2, answer=b"{}"))
    assert await jobs.purge(NOW) == 2
    assert [batch.batch_id for batch in await jobs.open()] == ["b0", "b1"]
    assert await jobs.find("default", "b-2") is None
    assert await jobs.purge(NOW) == 0


async def test_a_student_of_another_tenant_is_another(stores: Stores) -> None:
    await stores.jobs.put(BatchJob("default", "of-ada", "ada", "normal", NOW, b"{}", b"{}"))
    assert await stores.jobs.erase(StudentKey("school-1", "ada")) == 0
    assert len(await stores.jobs.open()) == 1
