"""What a clearing, an erasure and a purge take of all that a backend stores, and what they leave."""

from mastery_engine.domain.cohorts.cohort import Cohort
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import Join
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.ports.jobs import BatchJob
from mastery_engine.ports.refusals import Refusal
from mastery_engine.ports.result_cache import ResultKey
from tests.support.samples import NOW, TODAY
from tests.support.stores import (
    ADA,
    ADAS,
    BOB,
    BOBS,
    clear,
    cold_ids,
    erase,
    everyone,
    job,
    newest,
    purge,
    put,
    read,
    record,
    refusal,
    roster,
    stores_fixture,
    student,
)

stores = stores_fixture()


async def test_clearing_takes_documents_and_checkpoints_and_leaves_the_trail(stores: Stores) -> None:
    await put(stores.documents, ADA, cold={1: b"x" * 8})
    epoch = (await stores.checkpoints.read("log")).server_epoch
    await stores.checkpoints.move("log", {0: 0}, {0: 5}, epoch)
    await stores.audit_log.append([record()])
    await stores.jobs.put(job())
    await stores.refusals.put([refusal()])
    await clear(stores)
    assert (await read(stores.documents), await cold_ids(stores.documents)) == (None, {})
    assert await everyone(stores.documents) == []
    assert (await stores.checkpoints.read("log")).offsets == {}
    assert await newest(stores) == [record()]
    assert await stores.jobs.find("default", "b-1") == job()
    assert await stores.refusals.of(ADA) == [refusal()]
    assert await put(stores.documents, ADA, version=0)


async def test_clearing_takes_who_joined_and_leaves_the_admins_word(stores: Stores) -> None:
    word = Cohort("Größe 1", ("ada", "bob"), ("eve",))
    await stores.cohorts.join([Join(StudentKey("default", "eve"), "py", TODAY)])
    await stores.cohorts.put("default", "py", 0, word)
    await stores.documents.commit([DocumentChange(ADAS, 0, student())])
    await clear(stores)
    found = await roster(stores.cohorts)
    assert (found.version, found.cohort, found.joined) == (1, word, frozenset())
    assert await stores.cohorts.put_into(ADA) == {"py"}
    assert await stores.documents.versions([ADAS]) == [0]


async def test_an_erasure_takes_all_that_is_the_students_and_nothing_else(stores: Stores) -> None:
    for key in (ADA, BOB, StudentKey("school-1", "ada")):
        await put(stores.documents, key, cold={1: b"x" * 8})
        await stores.refusals.put([Refusal(key, "e-1", "CODE", "why", NOW)])
    jobs = [
        BatchJob("default", "of-ada", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"ada"}]}'),
        BatchJob("default", "by-adas-teacher", "tutor", "normal", NOW, b'{"students":["ada"]}', b"{}"),
        BatchJob("default", "of-bob", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"bob"}]}'),
        BatchJob("school-1", "of-ada", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"ada"}]}'),
    ]
    for batch in jobs:
        await stores.jobs.put(batch)
    assert [known.event_id for known in await stores.refusals.of(ADA)] == ["e-1"]
    assert await erase(stores, ADA) == 5
    assert await erase(stores, ADA) == 0
    assert await read(stores.documents) is None
    assert await cold_ids(stores.documents) == {}
    assert await stores.refusals.of(ADA) == []
    assert await stores.jobs.find("default", "of-ada") is None
    assert not await stores.jobs.answer(jobs[0], b"{}"), "it was worked meanwhile"
    assert await stores.jobs.find("default", "of-ada") is None
    left = {(batch.tenant, batch.batch_id) for batch in await stores.jobs.open()}
    assert left == {("default", "of-bob"), ("school-1", "of-ada")}
    assert sorted(await everyone(stores.documents)) == [BOBS, DocumentKey("school-1", "ada")]
    assert await stores.refusals.find(BOB, "e-1") is not None


async def test_a_purge_takes_what_is_older_than_a_moment_and_no_document(stores: Stores) -> None:
    await put(stores.documents, ADA)
    await stores.audit_log.append([record(number, at=NOW + number) for number in (-2, -1, 0, 1)])
    for number in (-1, 0):
        await stores.jobs.put(job(f"b{number}", NOW + number))
        await stores.refusals.put([refusal(f"e{number}", at=NOW + number)])
    # A stream of Redis is cut by the millisecond, which NOW begins.
    assert await purge(stores, NOW) == 4
    assert [kept.at - NOW for kept in await newest(stores)] == [1, 0]
    assert [batch.batch_id for batch in await stores.jobs.open()] == ["b0"]
    kept = (await stores.refusals.find(ADA, "e-1"), await stores.refusals.find(ADA, "e0"))
    assert kept == (None, refusal("e0"))
    assert await read(stores.documents) is not None
    assert await purge(stores, NOW) == 0


async def test_results_of_a_student_are_dropped_without_touching_the_rest(stores: Stores) -> None:
    mine, others = ResultKey("default", "ada", "forecast-7"), ResultKey("default", "bob", "forecast-7")
    await put(stores.documents, ADA)
    for key in (mine, others):
        await stores.results.put(key, "1", b"x")
    await stores.results.drop("default", "ada")
    assert (await stores.results.get(mine, "1"), await stores.results.get(others, "1")) == (None, b"x")
    assert await read(stores.documents) is not None
