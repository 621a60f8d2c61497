"""How long what is in Redis lives: what others are found by outlives what is written again and again."""

import asyncio
import re
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec
import pytest

from mastery_engine.backends.redis import keys
from mastery_engine.backends.redis.client import connect, disconnect
from mastery_engine.backends.redis.cohorts import RedisCohorts
from mastery_engine.backends.redis.documents import RedisDocuments
from mastery_engine.backends.redis.jobs import RedisJobs
from mastery_engine.backends.redis.refusals import RedisRefusals
from mastery_engine.backends.redis.stores import open_stores
from mastery_engine.domain.cohorts.cohort import Cohort, Due, Teacher
from mastery_engine.domain.courses.course import Course
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.moments import DAY, SECOND
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import Profile
from mastery_engine.domain.student import DocumentKey, Student
from mastery_engine.ports.cohorts import Join
from mastery_engine.ports.credentials import Credential
from mastery_engine.ports.deliveries import Delivery
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.ports.people import NO_STORED_PROFILE, ProfileWrite
from mastery_engine.ports.record_documents import RecordDocument, RecordDocumentKey
from mastery_engine.ports.registry import RegistryWrite
from mastery_engine.ports.result_cache import LIFE_S, ResultKey
from mastery_engine.ports.statements import StatementRecord
from scripts.servers.redis import Redis
from tests.support.calibrated import learned
from tests.support.samples import NOW, TODAY
from tests.support.stores import (
    ADA,
    ADAS,
    BOB,
    RETENTION_DAYS,
    calendars_of,
    cold_ids,
    job,
    put,
    read,
    record,
    refusal,
    roster,
)

pytestmark = pytest.mark.xdist_group("kafka")

CLASS = Cohort("Class", ("ada",), ("eve",), (Due(TODAY),), (Teacher("x-1", ("kay",)),))
NEW = Student()
SHORT_MS = 300  # a life that a test sees the end of
TARGET = str(UUID(bytes=b"t" * 16))  # of a reference


@pytest.fixture
async def client(redis_server: Redis) -> AsyncIterator[Any]:
    with redis_server.client() as emptied:
        emptied.flushall()
    opened = connect(redis_server.url)
    yield opened
    await disconnect(opened)


async def test_every_key_lives_as_long_as_its_name_says(client: Any, redis_server: Redis) -> None:
    stores = open_stores(redis_server.url, retention_days=RETENTION_DAYS, now=monotonic)
    for key in (ADAS, ADAS._replace(course_id="rust")):
        await put(stores.documents, key, cold={1: b"x" * 8})
    await stores.refusals.put([refusal(), refusal(course_id="rust")])
    await stores.results.put(ResultKey("default", "ada", "forecast"), "1", b"x")
    await stores.cohorts.put("default", "py", 0, CLASS)
    await stores.cohorts.join([Join(ADA, "py", TODAY)])
    await stores.checkpoints.move("log", {0: 0}, {0: 5}, (await stores.checkpoints.read("log")).server_epoch)
    await stores.checkpoints.set_flood("log", 1, flooded=True)
    await stores.audit_log.append([record()])
    await stores.jobs.put(job())
    await stores.calibrations.put(CourseKey("default"), learned(NOW, 310))
    await stores.courses.put(CourseKey("default", "b-1"), 0, Course("Physics"))
    profile = Profile("Ada", external=(Identity("mailto", "ada@school.example"),))
    await stores.people.write([ProfileWrite(ADA, NO_STORED_PROFILE, profile)])
    await stores.credentials.put(Credential("5f0c", b"x" * 32, "Moodle", "default", ("xapi",), None, NOW))
    await stores.registry.write("badges", [RegistryWrite("default/1", b"x", owner=ADA, expires=NOW + DAY)], NOW)
    for delivery_id in ("1", "2"):
        await stores.deliveries.enqueue([Delivery("webhook/1", delivery_id, "default:ada", ADA, NOW, NOW, b"x")])
    (leased,) = await stores.deliveries.lease("webhook/1", NOW, NOW + DAY, 1)
    await stores.deliveries.settle([msgspec.structs.replace(leased, state="delivered", ended=NOW)])
    assert stores.statements is not None
    assert stores.record_documents is not None
    referring = StatementRecord(str(UUID(bytes=b"a" * 16)), b"{}", b"digest", 0, (b"f" * 16,), TARGET, contents=("5f",))
    voiding = StatementRecord(
        str(UUID(bytes=b"b" * 16)), b"{}", b"digest", 0, (b"f" * 16,), referring.statement_id, voids=True
    )
    await stores.statements.put("default", [referring], {"5f": b"x"}, NOW)
    await stores.statements.put("default", [voiding], {}, NOW)
    state = RecordDocument(b"x", "text/plain", "etag", NOW, b"{}", b"p" * 16)
    await stores.record_documents.save(RecordDocumentKey("default", b"s" * 16, "page"), state, over=None)
    await stores.idempotency.claim("key", "body", NOW)
    await stores.connection.ping()
    await stores.connection.close()

    table = re.findall(r"^    (mastery:\S+)  +\S.+?  +(\S.+)$", keys.__doc__ or "", flags=re.MULTILINE)
    places = {"{TENANT:STUDENT}": "{default:ada}", "{TENANT:SUBJECT}": "{default:ada}", "{TENANT:ID}": "{default:py}"}
    places |= {
        "{TENANT:NAME}": "{default:kay}",
        "KIND": "forecast",
        "{COPY}:LOG": "{0}:log",
        "LOG": "log",
        "{TENANT}:ID": "{default}:b-1",
    }
    places |= {":s:ID": f":s:{'a' * 16}", ":t:ID": f":t:{'t' * 16}", ":f:FACET": f":f:{'f' * 16}"}
    places |= {":v:ID": f":v:{'a' * 16}", "{TENANT}:c:ID": f"{{TENANT}}:c:{'a' * 16}"}
    places |= {":d:SCOPE": f":d:{(b's' * 16).hex()}", ":p:FACET": f":p:{(b'p' * 16).hex()}", "SHA2": "5f"}
    places |= {"{TABLE}:r:KEY": "{badges}:r:default/1", "{TABLE}": "{badges}", "TENANT:STUDENT": "default:ada"}
    places |= {"{SINK}:d:ID": "{webhook/1}:d:1", "{SINK}": "{webhook/1}", "LANE": "default:ada", "STATE": "delivered"}
    places |= {"{TENANT}": "{default}", "HASH": "key", "{N}": "{0}", ":d:ID": ":d:rust", ":c:ID": ":c:rust"}
    lives: dict[str, str] = {}
    for name, life in table:
        for place, value in places.items():
            name = name.replace(place, value)
        lives[name] = life
    found = {name.decode(): await client.ttl(name) async for name in client.scan_iter()}
    for waits in ("mastery:deliveries:{webhook/1}:d:2", "mastery:deliveries:{webhook/1}:p:waiting"):
        assert found.pop(waits) == -1
    second = {f"mastery:statements:{{default}}:{name}" for name in (f"s:{'b' * 16}", f"t:{'a' * 16}")}
    assert found.keys() - lives.keys() == second
    assert found.keys() >= lives.keys()
    lives |= dict.fromkeys(second, "the retention")
    for name, seconds in found.items():
        if "retention" in lives[name] or re.match("as the (default one's )?document", lives[name]):
            assert RETENTION_DAYS * DAY < seconds * 1_000_000 <= (RETENTION_DAYS + 1) * DAY, name
        elif "5 minutes" in lives[name] or lives[name].startswith("as the last"):
            assert LIFE_S - 30 < seconds <= LIFE_S, name
        elif "24 hours" in lives[name] or "or expires" in lives[name]:
            assert DAY // SECOND - 30 < seconds <= DAY // SECOND, name
        elif "a minute" in lives[name]:
            assert 0 < seconds <= 60, name
        else:
            assert seconds == -1, f"{name} expires, and nothing writes it again"


async def test_what_lists_others_outlives_them(client: Any) -> None:
    documents, cohorts = RedisDocuments(client, life_ms=SHORT_MS), RedisCohorts(client, life_ms=SHORT_MS)
    refusals, jobs = RedisRefusals(client, life_ms=SHORT_MS), RedisJobs(client, life_ms=SHORT_MS)
    await put(documents, ADA, cold={1: b"x" * 8})
    await cohorts.put("default", "py", 0, CLASS)
    await cohorts.join([Join(BOB, "py", TODAY)])
    await refusals.put([refusal()])
    await jobs.put(job())
    await asyncio.sleep(2 * SHORT_MS / 1_000)
    assert (await read(documents), await cold_ids(documents)) == (None, {})
    assert [key async for key in documents.all_keys()] == []
    assert await refusals.of(ADA) == []
    assert (await jobs.find("default", "b-1"), await jobs.open()) == (None, [])
    found = await roster(cohorts)
    assert (found.version, found.cohort, found.joined) == (1, CLASS, frozenset())
    assert await cohorts.put_into(ADA) == {"py"}
    assert await calendars_of(cohorts, ADA, [], since=TODAY) == {"py": CLASS.calendar}
    assert await jobs.purge(NOW + 1) == 0
    left = sorted([name.decode() async for name in client.scan_iter()])
    cohort = ["mastery:cohort:{default:py}", "mastery:cohort:{default:py}:by", "mastery:teaches:{default:kay}"]
    assert left == [*cohort, "mastery:{default:ada}:g"]


async def test_a_course_whose_document_expired_alone_comes_back_and_goes_as_any_other(client: Any) -> None:
    documents = RedisDocuments(client, life_ms=60_000)
    rust, other = DocumentKey(*ADA, "rust"), DocumentKey(*ADA, "other")
    assert await documents.commit([DocumentChange(key, 0, NEW) for key in (rust, other)]) == [True, True]
    await client.delete(keys.document(rust), keys.cold_ids(rust))  # as if it had expired
    assert [own.keys() for own in await documents.of_students([ADA])] == [{"other"}]
    assert await documents.commit([DocumentChange(rust, 0, NEW)]) == [True]
    (own,) = await documents.of_students([ADA])
    assert list(own) == ["rust", "other"]
    assert await documents.commit([DocumentChange(key, 1, None) for key in (rust, other)]) == [True, True]
    assert not await client.exists(keys.other_courses(ADA))


async def test_a_student_in_thousands_of_courses_holds_nobody_else_up(client: Any) -> None:
    documents, many = RedisDocuments(client, life_ms=60_000), range(4_000)
    names = [DocumentKey("default", "everywhere", f"course-{number}-{'x' * 80}") for number in many]
    await client.config_resetstat()
    assert all(await documents.commit([DocumentChange(key, 0, NEW) for key in names]))
    assert all(await documents.commit([DocumentChange(key, 1, NEW) for key in names]))
    assert (await client.info("commandstats"))["cmdstat_eval"][
        "usec"
    ] < 2_000_000  # 10 s, with the list written each time


async def test_a_student_who_goes_on_loses_nothing_that_is_written_once(client: Any) -> None:
    documents, cohorts = RedisDocuments(client, life_ms=SHORT_MS), RedisCohorts(client, life_ms=SHORT_MS)
    await put(documents, ADA, cold={1: b"x" * 8})
    await cohorts.put("default", "py", 0, CLASS)
    for version in range(1, 9):
        await asyncio.sleep(SHORT_MS / 4_000)
        assert await put(documents, ADA, version), "the document lives on by its writes"
        await cohorts.join([Join(BOB, "py", TODAY)])
    assert await cold_ids(documents) == {1: b"x" * 8}
    assert (await roster(cohorts)).members == {"ada", "bob"}
    assert await calendars_of(cohorts, BOB, ["py"], since=TODAY) == {"py": CLASS.calendar}


async def test_those_who_joined_long_ago_leave_the_roster_of_a_cohort_that_goes_on(client: Any) -> None:
    cohorts = RedisCohorts(client, life_ms=keys.life_ms(RETENTION_DAYS))
    await cohorts.join([Join(ADA, "py", TODAY - 200), Join(BOB, "py", TODAY)])
    with_bob = {(await client.zrange(name, 0, -1))[0] async for name in client.scan_iter(match=keys.JOINED)}
    assert with_bob == {b"bob"}
    await cohorts.join([Join(ADA, "go", TODAY - 89)])
    await cohorts.purge(TODAY - 80)
    assert [name async for name in client.scan_iter(match=keys.JOINED)] == [keys.joined("default", "py").encode()]


@pytest.mark.parametrize("course_id", ["default", "rust", "a:d:b", "}:d:x", "edX/DemoX {2026}", "größe 🎓"])
def test_a_documents_name_says_whose_it_is_and_nothing_else_is_taken_for_one(course_id: str) -> None:
    key = DocumentKey("school-1", "ada", course_id)
    assert keys.document_of(keys.document(key).encode()) == key
    others = (keys.cold_ids(key), keys.other_courses(key.student), keys.refusals(key.student))
    results = keys.result_kinds("school-1", f"ada}}:d:{course_id}")
    assert [keys.document_of(name.encode()) for name in (*others, results, f"{results}:forecast")] == [None] * 5
